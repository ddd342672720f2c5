"""Reading what each worker's queue has to do, and the unordered one.

Index use: one walk over the pipelines (a row of some hundred bytes per user), and the oldest pending engagements by the
index of the undelivered. Nothing here grows with the history.
"""

from dataclasses import dataclass
from typing import Any

from engagements.store.connection import Connection, fetch, fetch_dicts
from engagements.store.workers import IS_ALIVE

RECENT_SECONDS = 3600
"""A dead worker is listed for so long, or while users with pending work are pinned to it."""

OLDEST_LIMIT = 20_000
"""Pending engagements looked at for the age of the oldest: a queue all of whose work is younger than these shows the
age of the youngest of them, which is more than its own."""

UNASSIGNED_LIMIT = 20_000
"""Users without a worker that the listing gives to queues by the ring; the poll assigns them within a second."""

_WORKERS = f"""
SELECT name, {IS_ALIVE} AS alive, stopped_at IS NOT NULL AS stopped,
    heartbeat_at > clock_timestamp() - interval '{RECENT_SECONDS} seconds' AS recent,
    extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS silent_seconds,
    started_at, heartbeat_at, incarnation
FROM engagements_worker ORDER BY name
"""

_PINNED = """
SELECT worker, count(*) AS users, count(*) FILTER (WHERE due_at IS NOT NULL) AS busy, sum(depth)::bigint AS pending
FROM engagements_pipeline
WHERE worker IS NOT NULL AND (due_at IS NOT NULL OR session_until > clock_timestamp())
GROUP BY worker
"""

_UNASSIGNED = """
SELECT user_id, depth FROM engagements_pipeline
WHERE worker IS NULL AND (due_at IS NOT NULL OR session_until > clock_timestamp()) LIMIT %s
"""

_OLDEST = """
WITH oldest AS MATERIALIZED (
    SELECT user_id, unordered, received_at FROM engagements_engagement
    WHERE status <> 'delivered' AND status >= 'pending' AND status <= 'pending' ORDER BY status, arrival LIMIT %s
)
SELECT p.worker, extract(epoch FROM clock_timestamp() - min(o.received_at))::float8 AS age
FROM oldest o JOIN engagements_pipeline p ON p.user_id = o.user_id WHERE NOT o.unordered GROUP BY p.worker
UNION ALL
SELECT '', extract(epoch FROM clock_timestamp() - max(received_at))::float8 FROM oldest
"""

_UNORDERED = """
SELECT count(*) AS pending, (
    SELECT extract(epoch FROM clock_timestamp() - received_at)::float8 FROM engagements_engagement
    WHERE status = 'pending' AND unordered ORDER BY arrival LIMIT 1) AS age
FROM engagements_engagement WHERE status = 'pending' AND unordered
"""


# The newest attempts by their number, which nearly follows the time at which they were written.
_RATES = """
WITH newest AS MATERIALIZED (
    SELECT worker, sequence IS NULL AS unordered, outcome,
        started_at + duration_seconds * interval '1 second' AS ended
    FROM engagements_attempt ORDER BY id DESC LIMIT %(limit)s
), span AS (
    SELECT CASE WHEN count(*) < %(limit)s THEN %(seconds)s
        ELSE LEAST(%(seconds)s, extract(epoch FROM clock_timestamp() - min(ended))::float8) END AS seconds FROM newest
)
SELECT worker, unordered, count(*) / GREATEST(max(span.seconds), 0.1) FROM newest, span
WHERE outcome = 'delivered' AND ended > clock_timestamp() - span.seconds * interval '1 second'
GROUP BY worker, unordered
"""

RATE_SECONDS = 60.0
"""The rate is that of the last minute, or of a shorter time that as many attempts as RATE_LIMIT go back."""

RATE_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Load:
    """What the pipelines pinned to one worker add up to."""

    users: int
    busy: int
    pending: int


def workers(conn: Connection) -> list[dict[str, Any]]:
    """All workers known, by name: whether each is alive, was lately, was stopped, and seconds since its heartbeat."""
    return fetch_dicts(conn, _WORKERS)


def pinned(conn: Connection) -> dict[str, Load]:
    """Worker → its pipelines with pending work or a session."""
    return {worker: Load(*rest) for worker, *rest in fetch(conn, _PINNED)}


def unassigned(conn: Connection) -> list[tuple[str, int]]:
    """Users (with their depth) whose pipeline has no worker."""
    return [(user, depth) for user, depth in fetch(conn, _UNASSIGNED, [UNASSIGNED_LIMIT])]


def oldest(conn: Connection) -> tuple[dict[str | None, float], float | None]:
    """Worker → seconds since its oldest pending was received, and the bound for those that are not in it."""
    rows: dict[str | None, float] = dict(fetch(conn, _OLDEST, [OLDEST_LIMIT]))
    bound = rows.pop("", None)
    return rows, bound


def unordered(conn: Connection) -> tuple[int, float | None]:
    """How many unordered are pending, and for how long the oldest (s)."""
    [(pending, age)] = fetch(conn, _UNORDERED)
    return pending, age


def rates(conn: Connection) -> tuple[dict[str, float], float]:
    """Deliveries per second in the last minute: worker → of users in line; and of unordered ones, by all workers."""
    ordered: dict[str, float] = {}
    free = 0.0
    for worker, unordered_ones, rate in fetch(conn, _RATES, {"limit": RATE_LIMIT, "seconds": RATE_SECONDS}):
        if unordered_ones:
            free += float(rate)
        else:
            ordered[worker] = float(rate)
    return ordered, free
