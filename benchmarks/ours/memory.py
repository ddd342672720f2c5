"""What a worker's memory grows by with the users in flight."""

import time
from collections.abc import Callable

import psutil

from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.order import violations
from benchmarks.ours.worker import workers
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Figures

MEGABYTE = 2**20
IDLE_SECONDS = 3
SECONDS = 120

_IN_FLIGHT = "SELECT count(*) FROM engagements_pipeline WHERE in_service IS NOT NULL"
_ALIVE = "SELECT count(*) FROM engagements_worker"


def in_flight(servers: Servers, backlogs: Backlogs, shape: Shape) -> Figures:
    """megabytes: the most that the worker had resident; the users are those that PostgreSQL saw in service at once."""
    with servers.database(backlogs.empty()) as database:
        idle, _ = _watch(servers, database, lambda seconds, _: seconds > IDLE_SECONDS)
    with servers.database(backlogs.of(shape)) as database:
        most, users = _watch(servers, database, lambda _, left: not left)
        with servers.connect(database) as connection:
            broken = violations(connection)
    if users < 0.9 * shape.users:
        raise AssertionError(f"only {users} of {shape.users} users were in flight at once")
    per_user = (most - idle) / users / 1024
    numbers = {"megabytes": most / MEGABYTE, "idle_megabytes": idle / MEGABYTE, "kilobytes_per_user": per_user}
    return Figures({**numbers, "users": users}, broken)


def _watch(servers: Servers, database: str, ended: Callable[[float, bool], bool]) -> tuple[int, int]:
    """The most memory and the most users in flight. ended: of seconds since the worker is there, and whether any
    work is left."""
    memory = users = 0
    alive_at = 0.0
    until = time.monotonic() + SECONDS
    log = servers.directory / "workers.log"
    with workers(1, servers.environment(database), log) as [process], servers.connect(database) as connection:
        worker = psutil.Process(process.pid)
        while time.monotonic() < until:
            if not alive_at and connection.execute(_ALIVE).fetchall() != [(0,)]:
                alive_at = time.monotonic()
            memory = max(memory, worker.memory_info().rss)
            [(serving,)] = connection.execute(_IN_FLIGHT).fetchall()
            users = max(users, int(str(serving)))
            left = connection.execute("SELECT FROM engagements_pipeline WHERE due_at IS NOT NULL LIMIT 1").rowcount > 0
            if alive_at and ended(time.monotonic() - alive_at, left):
                return memory, users
            time.sleep(0.1)
    raise TimeoutError(f"not done within {SECONDS} s")
