"""The limits as contenders of a measure."""

from benchmarks.ours.backlog import Backlogs
from benchmarks.programs import judged, run_module
from benchmarks.receiving import Receiving
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Contender, Figures

RAW_SQL = "limit: raw SQL"

VALKEY_MOST = 5_000
"""Messages: kombu asks a Redis for one at a time."""


def raw_sql(servers: Servers, backlogs: Backlogs, shape: Shape) -> Contender:
    def run() -> Figures:
        with servers.database(backlogs.of(shape)) as database:
            spec = {**shape.spec(), "postgres": servers.url(database)}
            return judged(run_module("benchmarks.limits.raw_sql", spec), count=shape.count)

    return Contender(RAW_SQL, run)


def broker_limits(servers: Servers, shape: Shape) -> list[Contender]:
    def run(url: str, shape: Shape) -> Figures:
        with servers.database():
            return judged(run_module("benchmarks.limits.broker", {**shape.spec(), "broker": url}), count=shape.count)

    less = shape.at_most(VALKEY_MOST)
    note = f"{less.count:,} of {less.users:,}" if less != shape else ""
    return [
        Contender("limit: kombu, RabbitMQ", lambda: run(servers.rabbitmq, shape), servers.rabbitmq_missing()),
        Contender("limit: kombu, Valkey", lambda: run(servers.valkey.url, less), note=note),
    ]


def http_limits(receiving: Receiving, shape: Shape) -> list[Contender]:
    def run(module: str) -> Figures:
        receiving.take()
        found = judged(run_module(module, {**shape.spec(), "receiver": receiving.url}), count=shape.count)
        taken = receiving.take()
        found.numbers["receiver_microseconds"] = taken["microseconds"]
        if taken["count"] != shape.count:
            found.violations["posts missing at the receiver"] = shape.count - taken["count"]
        return found

    return [
        Contender("limit: bare asyncio client", lambda: run("benchmarks.limits.http_client")),
        Contender("limit: our channel, no engine", lambda: run("benchmarks.ours.webhook_channel")),
    ]
