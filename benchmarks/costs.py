"""What work costs: CPU of the workers and of PostgreSQL, statements, and bytes of WAL."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg


@dataclass(frozen=True, slots=True)
class Costs:
    """cpu: seconds of the workers; database: seconds of all of PostgreSQL's processes; statements: executed.

    wanted: seconds that threads of either ran, or were ready to run and waited for a core. On a quiet machine that is
    the CPU; on a busy one it still tells waiting for something from waiting for a core.
    """

    cpu: float
    database: float
    wanted: float
    statements: int
    wal: int

    def since(self, before: "Costs", deliveries: int) -> dict[str, float]:
        """For each delivery: microseconds of both together and of each, statements, bytes of WAL."""
        worker, database = 1e6 * (self.cpu - before.cpu), 1e6 * (self.database - before.database)
        return {
            "cpu": (worker + database) / deliveries,
            "cpu_worker": worker / deliveries,
            "cpu_postgresql": database / deliveries,
            "statements": (self.statements - before.statements) / deliveries,
            "wal": (self.wal - before.wal) / deliveries,
        }


def count_statements(connection: psycopg.Connection[Any], database: str) -> None:
    """From now on, in this database, on connections made from now on (about 1 µs each)."""
    connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    connection.execute(
        psycopg.sql.SQL("ALTER DATABASE {} SET pg_stat_statements.track = 'top'").format(
            psycopg.sql.Identifier(database)
        )
    )


_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"

_COUNTED = "SELECT to_regclass('pg_stat_statements') IS NOT NULL"

_STATEMENTS = """
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def spent(connection: psycopg.Connection[Any], *, postmaster: int, workers: Sequence[int]) -> Costs:
    """Up to now. postmaster, workers: process ids. Statements are 0 where nobody has asked for their count."""
    [(wal,)] = connection.execute(_WAL).fetchall()
    [(counted,)] = connection.execute(_COUNTED).fetchall()
    [(statements,)] = connection.execute(_STATEMENTS).fetchall() if counted else [(0,)]
    return Costs(
        cpu_seconds(workers),
        cpu_seconds([postmaster], ended=True),
        wanted_seconds([*workers, postmaster]),
        int(statements),
        int(wal),
    )


def cpu_seconds(processes: Sequence[int], *, ended: bool = False) -> float:
    """Of these and their children; ended: also of children that have ended already."""
    return sum(_cpu(one, ended=ended) for pid in processes for one in _family(pid))


def wanted_seconds(processes: Sequence[int]) -> float:
    """That threads of these and of their children ran or were ready to; 0 where the system does not tell."""
    return sum(_wanted(one.pid) for pid in processes for one in _family(pid))


def _wanted(pid: int) -> float:
    nanoseconds = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has ended
            ran, waited, _ = file.read_text().split()
            nanoseconds += int(ran) + int(waited)
    return nanoseconds / 1e9


def _family(pid: int) -> Iterator[psutil.Process]:
    process = psutil.Process(pid)
    yield process
    yield from process.children(recursive=True)


def _cpu(process: psutil.Process, *, ended: bool) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + (times.children_user + times.children_system if ended else 0.0))
    return 0.0
