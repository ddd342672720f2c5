"""What workers and PostgreSQL spend on draining a stored backlog, from the first deliveries seen to the last."""

import time
from typing import Any

import psycopg

from benchmarks.costs import spent
from benchmarks.ours.drain import attempts_made, wait_until_settled
from benchmarks.ours.worker import expect, workers
from benchmarks.servers import Servers


def drained(
    servers: Servers, connection: psycopg.Connection[Any], database: str, *, count: int, number: int = 1
) -> dict[str, float]:
    """Costs of each delivery (see benchmarks/costs.py), deliveries per second, and how many deliveries these are from;
    at_work: threads that ran or were ready to, on average: what is missing to 1 was spent on waiting.

    What starting the worker costs is left out, and so are the deliveries made before it was noticed that it began.
    connection: to this database.
    """
    postmaster = servers.postgres.part.process
    assert postmaster is not None
    log = servers.directory / "workers.log"
    connection.execute("CHECKPOINT")
    before = attempts_made(connection)
    if number > 1:
        expect(connection, number)
    with workers(number, servers.environment(database), log) as started:
        processes: dict[str, Any] = {"postmaster": postmaster.pid, "workers": [worker.pid for worker in started]}
        while attempts_made(connection) == before:
            if any(worker.poll() is not None for worker in started):
                raise RuntimeError("a worker ended before it delivered anything")
            time.sleep(0.005)
        first, began = spent(connection, **processes), time.perf_counter()
        already = attempts_made(connection)
        wait_until_settled(connection, count=count, before=before)
        last, seconds = spent(connection, **processes), time.perf_counter() - began
        deliveries = before + count - already
    if not deliveries:
        return {"deliveries": 0.0}
    at_work = (last.wanted - first.wanted) / seconds
    rate = {"rate": deliveries / seconds, "deliveries": float(deliveries), "at_work": at_work}
    return {**last.since(first, deliveries), **rate}
