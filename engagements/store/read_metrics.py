"""The numbers behind /metrics that no other reader has, cheap at any size of the history.

What has settled is counted by store/rollups.py: every process gives the same numbers, and they only grow.
"""

from dataclasses import dataclass

from engagements.store.connection import Connection, fetch
from engagements.store.everything import RUNS

_TOTALS = "SELECT status, total, late, latency, latency_seconds FROM engagements_settledcount ORDER BY status"

_PRODUCED = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM engagements_arrival"

_DUE = f"""
SELECT count(*), COALESCE(extract(epoch FROM clock_timestamp() - min(GREATEST(due_at, lease_until)))::float8, 0)
FROM engagements_pipeline p
WHERE due_at <= clock_timestamp() AND paused_at IS NULL AND {RUNS}
    AND (lease_until IS NULL OR lease_until <= clock_timestamp())
"""

_PAUSED = "SELECT count(*) FROM engagements_pipeline WHERE paused_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Settled:
    """How many have settled with this status since counting began, and how many of them were late.

    latency: from receipt to delivery, as a histogram of domain/latency.py; latency_seconds: their sum.
    """

    status: str
    total: int
    late: int
    latency: list[int]
    latency_seconds: float


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
