"""Counting what has settled: totals since the beginning, and rollups of short spans with their latencies.

One walk along the block range index on settled_at fills both, from where the last count stopped. The counts and the
place where the next walk begins are written in one transaction under a row lock: whoever counts, and wherever they
crash, each engagement is counted once. Engines count all the time, and scrapes do; who finds another at it goes away.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import NamedTuple

from engagements.domain.latency import BUCKETS, FIRST_SECONDS, PER_DOUBLING
from engagements.models import FINAL
from engagements.store.connection import Connection, fetch, run

LAG_SECONDS = 10
"""What settled within so long is counted later: its transaction may still be open."""

LEAST_SECONDS = 2
"""Less is not worth a count: with many workers and scrapes, all together still count every 2 s."""

STEP_SECONDS = 10
"""Counted by one transaction, at 20,000 a second about 100 ms; after a long stop there are many steps."""

HOP_SECONDS = 3600
"""Passed over by one step while nothing had settled."""

FINE_SECONDS = 10
COARSE_SECONDS = 300
"""Widths of the rollups: a chart of 15 minutes or an hour, and one of a day, has some hundred points to read."""

FINE_KEPT = timedelta(hours=2)
"""The last hour, and another for whoever looks back. Coarse ones are kept as long as the history itself."""

COARSE_KEPT_LEAST = timedelta(days=1, hours=1)
"""The longest chart, whatever the retention."""

_BEHIND = """
SELECT COALESCE(min(counted_until) < clock_timestamp() - %s * interval '1 second', true) FROM engagements_settledcount
"""

_BEGIN = """
INSERT INTO engagements_settledcount (status, total, late, latency, latency_seconds, counted_until)
SELECT status, 0, 0, '{}', 0, clock_timestamp() - %s * interval '1 second' FROM unnest(%s::text[]) AS status
ON CONFLICT (status) DO NOTHING
"""

_LOCK = """
SELECT counted_until, clock_timestamp() - %s * interval '1 second' FROM engagements_settledcount
ORDER BY status FOR UPDATE SKIP LOCKED
"""

_IDLE = """
SELECT NOT EXISTS (SELECT FROM engagements_engagement WHERE settled_at > %s AND settled_at <= %s)
"""

# The bucket is domain/latency.py's, of what was delivered; date_part, because extract() computes in numeric.
_CELLS = f"""
SELECT date_bin('{FINE_SECONDS} seconds', settled_at, 'epoch'), status,
    CASE WHEN status = 'delivered' THEN LEAST({BUCKETS - 1}, ceil({PER_DOUBLING} / ln(2::float8)
        * ln(GREATEST(date_part('epoch', settled_at - received_at) / {FIRST_SECONDS}, 1))))::int END,
    count(*), count(*) FILTER (WHERE late),
    COALESCE(sum(GREATEST(date_part('epoch', settled_at - received_at), 0)) FILTER (WHERE status = 'delivered'), 0)
FROM engagements_engagement WHERE settled_at > %s AND settled_at <= %s
GROUP BY 1, 2, 3
"""

_PLUS = """
ARRAY(SELECT COALESCE(a, 0) + COALESCE(b, 0) FROM unnest({0}, {1}) WITH ORDINALITY AS s(a, b, n) ORDER BY n)
"""

_ADD = f"""
INSERT INTO engagements_rollup AS r (width_seconds, starts_at, status, settled, late, latency)
SELECT * FROM json_to_recordset(%s::json)
    AS n(width_seconds int2, starts_at timestamptz, status text, settled int, late int, latency int[])
ON CONFLICT (width_seconds, starts_at, status) DO UPDATE SET settled = r.settled + excluded.settled,
    late = r.late + excluded.late, latency = {_PLUS.format("r.latency", "excluded.latency")}
"""

_ADD_TOTALS = f"""
UPDATE engagements_settledcount c SET total = c.total + COALESCE(n.total, 0), late = c.late + COALESCE(n.late, 0),
    latency = CASE WHEN n.status IS NULL THEN c.latency ELSE {_PLUS.format("c.latency", "n.latency")} END,
    latency_seconds = c.latency_seconds + COALESCE(n.latency_seconds, 0), counted_until = %(until)s
FROM engagements_settledcount o LEFT JOIN json_to_recordset(%(counts)s::json)
    AS n(status text, total bigint, late bigint, latency bigint[], latency_seconds float8) ON n.status = o.status
WHERE o.status = c.status
"""

_DELETE = """
DELETE FROM engagements_rollup WHERE width_seconds = %s AND starts_at < clock_timestamp() - %s
"""


class Cell(NamedTuple):
    """What settled in one fine span with this status and, if delivered, with a latency of this bucket."""

    starts_at: datetime
    status: str
    bucket: int | None
    settled: int
    late: int
    seconds: float


class _Sum:
    def __init__(self) -> None:
        self.settled, self.late, self.seconds = 0, 0, 0.0
        self.latency: list[int] = []

    def add(self, cell: Cell) -> None:
        self.settled += cell.settled
        self.late += cell.late
        self.seconds += cell.seconds
        if cell.bucket is not None:
            self.latency.extend([0] * (cell.bucket + 1 - len(self.latency)))
            self.latency[cell.bucket] += cell.settled


def count_settled(conn: Connection) -> bool:
    """Count one step further; whether there is more. Another process that counts at the moment is not waited for."""
    [(behind,)] = fetch(conn, _BEHIND, [LAG_SECONDS + LEAST_SECONDS])
    if not behind:
        return False
    with conn.transaction():
        rows = fetch(conn, _LOCK, [LAG_SECONDS])
        if len(rows) < len(FINAL):
            run(conn, _BEGIN, [LAG_SECONDS, FINAL])
            return False
        since, last = min(counted for counted, _ in rows), rows[0][1]
        until = min(last, since + timedelta(seconds=STEP_SECONDS))
        if until <= since:
            return False
        cells = [Cell(*row) for row in fetch(conn, _CELLS, [since, until])]
        if not cells:
            hop = min(last, since + timedelta(seconds=HOP_SECONDS))
            [(idle,)] = fetch(conn, _IDLE, [until, hop])
            until = hop if idle else until
        else:
            run(conn, _ADD, [dumps(list(_rollups(cells)))])
        run(conn, _ADD_TOTALS, {"until": until, "counts": dumps(list(_totals(cells)))})
    return bool(until < last)


def catch_up(conn: Connection, *, seconds: float) -> None:
    """Count until nothing is left, for about so long; what remains is counted by the next call."""
    until = time.monotonic() + seconds
    while count_settled(conn) and time.monotonic() < until:
        pass


def delete_old(conn: Connection, *, keep: timedelta) -> int:
    """Delete rollups of spans that no chart shows any more; how many. keep: the retention of the history."""
    deleted = run(conn, _DELETE, [FINE_SECONDS, FINE_KEPT])
    return deleted + run(conn, _DELETE, [COARSE_SECONDS, max(keep, COARSE_KEPT_LEAST)])


def _rollups(cells: Iterable[Cell]) -> Iterable[dict[str, object]]:
    sums: dict[tuple[int, float, str], _Sum] = defaultdict(_Sum)
    for cell in cells:
        for width in (FINE_SECONDS, COARSE_SECONDS):
            starts = cell.starts_at.timestamp() // width * width
            sums[width, starts, cell.status].add(cell)
    for (width, starts, status), found in sorted(sums.items()):
        yield {
            "width_seconds": width,
            "starts_at": datetime.fromtimestamp(starts, UTC).isoformat(),
            "status": status,
            "settled": found.settled,
            "late": found.late,
            "latency": found.latency,
        }


def _totals(cells: Iterable[Cell]) -> Iterable[dict[str, object]]:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for cell in cells:
        sums[cell.status].add(cell)
    for status, found in sums.items():
        yield {
            "status": status,
            "total": found.settled,
            "late": found.late,
            "latency": found.latency,
            "latency_seconds": found.seconds,
        }
