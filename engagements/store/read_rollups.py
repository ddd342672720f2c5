"""Reading the rollups: what settled in each span of time, and up to when that has been counted."""

from dataclasses import dataclass
from datetime import datetime

from engagements.store.connection import Connection, fetch

_NOW = "SELECT clock_timestamp(), (SELECT min(counted_until) FROM engagements_settledcount)"

_ROWS = """
SELECT starts_at, status, settled, latency FROM engagements_rollup
WHERE width_seconds = %s AND starts_at >= %s ORDER BY starts_at
"""


@dataclass(frozen=True, slots=True)
class Rolled:
    """What settled with this status in one span. latency: of the delivered, a histogram of domain/latency.py."""

    starts_at: datetime
    status: str
    settled: int
    latency: list[int]


def clock(conn: Connection) -> tuple[datetime, datetime | None]:
    """PostgreSQL's time, and up to when was counted; None before anything has counted."""
    [(now, counted_until)] = fetch(conn, _NOW)
    return now, counted_until


def since(conn: Connection, starts_at: datetime, *, width_seconds: int) -> list[Rolled]:
    """The rollups of this width whose spans begin at the time given or later, the oldest first."""
    return [Rolled(*row) for row in fetch(conn, _ROWS, [width_seconds, starts_at])]
