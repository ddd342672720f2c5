"""What a delivery costs in databases of growing size: the same backlog, of users spread over all pipelines."""

from collections.abc import Callable
from typing import Any

import psycopg

from benchmarks.costs import count_statements
from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.history import fill
from benchmarks.ours.order import violations
from benchmarks.ours.spend import drained
from benchmarks.programs import run_module
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Contender, Figures

SIZES = (10_000, 100_000, 1_000_000)

SHAPE = Shape("growth", 50_000, 10_000)


def contenders(servers: Servers, backlogs: Backlogs, *, history: int, quick: bool) -> list[Contender]:
    """Each size with nothing behind it, and with a history where one is asked for."""
    databases: dict[tuple[int, int], str] = {}
    shape = SHAPE.quick() if quick else SHAPE
    sizes = [size // 10 for size in SIZES] if quick else list(SIZES)

    def run(pipelines: int, settled: int) -> Figures:
        if (pipelines, settled) not in databases:
            database = databases[pipelines, settled] = servers.create(backlogs.empty())
            with servers.connect(database) as connection:
                count_statements(connection, database)
                fill(connection, pipelines=pipelines, settled=settled)
        database = databases[pipelines, settled]
        spec = {**shape.spec(), "spread": pipelines // shape.users}
        with servers.connect(database) as connection:
            size, wal = _sizes(connection)
            run_module("benchmarks.ours.store", spec, environment=servers.environment(database))
            _, wal_after = _sizes(connection)
            [(arrival,)] = connection.execute(_NEWEST_SETTLED).fetchall()
            numbers = drained(servers, connection, database, count=shape.count)
            size_after, _ = _sizes(connection)
            broken = violations(connection, after_arrival=int(str(arrival)))
        numbers["wal_produced"] = (wal_after - wal) / shape.count
        numbers["kept"] = (size_after - size) / shape.count
        return Figures(numbers, broken)

    def made(pipelines: int, settled: int) -> Contender:
        behind = f", {settled:,} settled behind" if settled else ""
        turn: Callable[[], Figures] = lambda: run(pipelines, settled)  # noqa: E731
        return Contender(f"{pipelines:,} pipelines{behind}", turn)

    return [made(size, settled) for settled in ([0, history] if history else [0]) for size in sizes]


# What engagements and attempts take on disk with their indexes, and how much WAL has been written.
_SIZE = """
SELECT (pg_total_relation_size('engagements_engagement') + pg_total_relation_size('engagements_attempt'))::bigint,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
"""


def _sizes(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    [(kept, wal)] = connection.execute(_SIZE).fetchall()
    return int(kept), int(wal)


_NEWEST_SETTLED = """
SELECT coalesce(min(arrival) - 1, 0) FROM engagements_engagement WHERE status = 'pending' AND NOT unordered
"""


def shared(servers: Servers, backlogs: Backlogs, shape: Shape, number: int) -> Figures:
    """The same with so many workers, on a database with nothing else in it."""
    with servers.database(backlogs.of(shape)) as database, servers.connect(database) as connection:
        count_statements(connection, database)
        numbers = drained(servers, connection, database, count=shape.count, number=number)
        return Figures(numbers, violations(connection))
