"""Reading history for the judgement of its order: engagements with their attempts, parents and pipeline.

Each batch is one statement, and so one snapshot: what is settled while it is read cannot look half done.
Index use: numbered ones by (user, sequence), the rest by (user, arrival), attempts and parents by engagement id.
"""

from collections.abc import Iterator
from typing import Any

from engagements.store.connection import Connection, fetch, fetch_dicts
from engagements.store.everything import RUNS

BATCH = 2000
"""Engagements per statement: about 10 MB and 100 ms."""

SHOWN = 10_000
"""Engagements of one user that are judged and shown in one answer."""

SHOWN_BYTES = 8 * 1024 * 1024
"""Payloads in one answer, as PostgreSQL stores them."""

_COLUMNS = f"""e.id, e.user_id, e.status, e.order_time, e.arrival, e.expires_at, e.settled_at, e.late, e.replays,
    COALESCE(e.sequence, CASE WHEN p.in_service = e.id AND e.status = 'pending' THEN p.sequence END) AS sequence,
    e.causal_parent, parent.received_at AS parent_received_at, parent.settled_at AS parent_settled_at,
    parent.replays AS parent_replays, p.paused_at IS NOT NULL OR NOT {RUNS} AS paused,
    clock_timestamp() AS now, tried.*"""

_JOINS = """
JOIN engagements_pipeline p ON p.user_id = e.user_id
LEFT JOIN engagements_engagement parent ON parent.id = e.causal_parent
LEFT JOIN LATERAL (
    SELECT array_agg(a.number ORDER BY a.id) AS numbers, array_agg(a.sequence ORDER BY a.id) AS sequences,
        array_agg(a.token ORDER BY a.id) AS tokens, array_agg(a.started_at ORDER BY a.id) AS started,
        array_agg(a.duration_seconds ORDER BY a.id) AS durations, array_agg(a.outcome ORDER BY a.id) AS outcomes
    FROM engagements_attempt a WHERE a.engagement_id = e.id
) tried ON true
"""

_NUMBERED = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM engagements_engagement
    WHERE sequence IS NOT NULL AND (user_id, sequence) > (%(user)s, %(after)s) AND user_id <= %(last)s
    ORDER BY user_id, sequence LIMIT %(batch)s
) e {_JOINS} ORDER BY e.user_id, e.sequence
"""

_UNNUMBERED = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM engagements_engagement
    WHERE sequence IS NULL AND NOT unordered AND (user_id, arrival) > (%(user)s, %(after)s) AND user_id <= %(last)s
    ORDER BY user_id, arrival LIMIT %(batch)s
) e {_JOINS} ORDER BY e.user_id, e.arrival
"""

_LATEST = f"""
SELECT {_COLUMNS} FROM (
    SELECT *, sum(pg_column_size(payload)) OVER (ORDER BY arrival DESC) AS bytes FROM (
        SELECT * FROM engagements_engagement WHERE user_id = %(user)s AND NOT unordered
        ORDER BY arrival DESC LIMIT %(most)s
    ) latest
) e {_JOINS} WHERE e.bytes <= {SHOWN_BYTES}
"""

_USERS = "SELECT user_id FROM engagements_pipeline WHERE user_id > %s ORDER BY user_id LIMIT %s"

_MISCOUNTED = """
SELECT p.user_id, p.depth, line.pending FROM engagements_pipeline p CROSS JOIN LATERAL (
    SELECT count(*) AS pending FROM engagements_engagement e
    WHERE e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
) line
WHERE p.user_id >= %s AND p.user_id <= %s AND p.depth <> line.pending
"""

# A worker's row tells of its present incarnation only, and PostgreSQL of its present start: nothing is known before.
_SPANS = """
SELECT GREATEST(started_at, pg_postmaster_start_time()), LEAST(heartbeat_at, COALESCE(stopped_at, heartbeat_at))
FROM engagements_worker
"""

_COUNT = "SELECT count(*) FROM engagements_engagement WHERE user_id = %s AND NOT unordered"


def spans(conn: Connection) -> list[tuple[Any, Any]]:
    """Times during which PostgreSQL was up and a worker lived, as (start, end)."""
    return [(start, end) for start, end in fetch(conn, _SPANS) if start < end]


def users(conn: Connection, *, after: str, limit: int) -> list[str]:
    """The next users with a pipeline, ascending."""
    return [user for (user,) in fetch(conn, _USERS, [after, limit])]


def history(conn: Connection, first: str, last: str, *, batch: int = BATCH) -> Iterator[dict[str, Any]]:
    """All ordered engagements of the users `first` to `last`: the numbered by (user, sequence), then the rest."""
    for sql, key in ((_NUMBERED, "sequence"), (_UNNUMBERED, "arrival")):
        user, after = first, -1
        while True:
            rows = fetch_dicts(conn, sql, {"user": user, "after": after, "last": last, "batch": batch})
            yield from rows
            if len(rows) < batch:
                break
            user, after = rows[-1]["user_id"], rows[-1][key]


def latest(conn: Connection, user_id: str, *, most: int = SHOWN) -> list[dict[str, Any]]:
    """What arrived last of one user, in any order."""
    return fetch_dicts(conn, _LATEST, {"user": user_id, "most": most})


def count(conn: Connection, user_id: str) -> int:
    """How many ordered engagements of this user are on record."""
    [(total,)] = fetch(conn, _COUNT, [user_id])
    return int(total)


def miscounted(conn: Connection, first: str, last: str) -> list[tuple[str, int, int]]:
    """(user, depth, pending) of the pipelines in this range whose row miscounts what is pending."""
    return [(user, depth, pending) for user, depth, pending in fetch(conn, _MISCOUNTED, [first, last])]
