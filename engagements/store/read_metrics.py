"""The numbers behind /metrics that no other reader has, cheap at any size of the history.

What has settled is counted up in the database, from where the last scrape stopped, by the block range index on
settled_at: every process gives the same numbers, and they only grow.
"""

from dataclasses import dataclass

from engagements.models import FINAL
from engagements.store.connection import Connection, fetch, run

LAG_SECONDS = 10
"""What settled within so long is counted by a later scrape: its transaction may still be open."""

STEP_SECONDS = 60
"""Counted by one statement: at 10,000 a second about 100 ms."""

_BEGIN = """
INSERT INTO engagements_settledcount (status, total, late, counted_until)
SELECT status, 0, 0, clock_timestamp() - %s * interval '1 second' FROM unnest(%s::text[]) AS status
ON CONFLICT (status) DO NOTHING
"""

_LOCK = """
SELECT status, counted_until >= clock_timestamp() - %s * interval '1 second' FROM engagements_settledcount
ORDER BY status FOR UPDATE SKIP LOCKED
"""

_COUNT = """
WITH span AS MATERIALIZED (
    SELECT min(counted_until) AS since, LEAST(clock_timestamp() - %(lag)s * interval '1 second',
        min(counted_until) + %(step)s * interval '1 second') AS until
    FROM engagements_settledcount
), settled AS (
    SELECT e.status, count(*) AS total, count(*) FILTER (WHERE e.late) AS late
    FROM engagements_engagement e
    WHERE e.settled_at > (SELECT since FROM span) AND e.settled_at <= (SELECT until FROM span)
    GROUP BY e.status
)
UPDATE engagements_settledcount c
SET total = c.total + COALESCE(s.total, 0), late = c.late + COALESCE(s.late, 0), counted_until = span.until
FROM span CROSS JOIN engagements_settledcount o LEFT JOIN settled s ON s.status = o.status
WHERE o.status = c.status AND span.until > span.since
"""

_TOTALS = "SELECT status, total, late FROM engagements_settledcount ORDER BY status"

_PRODUCED = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM engagements_arrival"

_DUE = """
SELECT count(*), COALESCE(extract(epoch FROM clock_timestamp() - min(GREATEST(due_at, lease_until)))::float8, 0)
FROM engagements_pipeline
WHERE due_at <= clock_timestamp() AND paused_at IS NULL AND (lease_until IS NULL OR lease_until <= clock_timestamp())
"""

_PAUSED = "SELECT count(*) FROM engagements_pipeline WHERE paused_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Settled:
    """How many have settled with this status since counting began, and how many of them were late."""

    status: str
    total: int
    late: int


def count_settled(conn: Connection) -> bool:
    """Count one step further; whether there is more. Another process that counts at the moment is not waited for."""
    with conn.transaction():
        rows = fetch(conn, _LOCK, [LAG_SECONDS])
        if len(rows) < len(FINAL):
            run(conn, _BEGIN, [LAG_SECONDS, FINAL])
            return False
        if all(fresh for _, fresh in rows):
            return False
        run(conn, _COUNT, {"lag": LAG_SECONDS, "step": STEP_SECONDS})
    return True


def settled(conn: Connection) -> list[Settled]:
    return [Settled(*row) for row in fetch(conn, _TOTALS)]


def produced(conn: Connection) -> int:
    """Arrival numbers given out: engagements accepted, replays counted again, with gaps where a transaction failed."""
    [(number,)] = fetch(conn, _PRODUCED)
    return int(number)


def due_unleased(conn: Connection) -> tuple[int, float]:
    """Pipelines with work to do now that nobody does, and for how long the first of them (s)."""
    [(count, seconds)] = fetch(conn, _DUE)
    return count, max(0.0, seconds)


def paused(conn: Connection) -> int:
    [(count,)] = fetch(conn, _PAUSED)
    return int(count)
