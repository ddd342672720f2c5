"""A turn of ours: a stored backlog, drained by one started worker."""

from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.drain import figures, wait_until_settled
from benchmarks.ours.order import violations
from benchmarks.ours.worker import workers
from benchmarks.receiving import Receiving
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Figures


def drained(servers: Servers, backlogs: Backlogs, shape: Shape, receiving: Receiving) -> Figures:
    """Deliveries per second from the first attempt to the last settle, judged by PostgreSQL and by the receiver."""
    receiving.take()
    with servers.database(backlogs.of(shape)) as database:
        log = servers.directory / "workers.log"
        with workers(1, servers.environment(database), log), servers.connect(database) as connection:
            wait_until_settled(connection, count=shape.count)
        with servers.connect(database) as connection:
            found = figures(connection, count=shape.count, apart=shape.hot or shape.slow)
            broken = violations(connection)
    if shape.work == "http":
        taken = receiving.take()
        found["receiver_microseconds"] = taken["microseconds"]
        if taken["violations"] or taken["count"] - taken["repeats"] != shape.count:
            broken["posts out of order or missing at the receiver"] = taken["violations"] or 1
    return Figures(found, broken)
