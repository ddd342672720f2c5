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
    extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS silent_seconds
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
