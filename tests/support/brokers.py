"""Every broker that the project supports, for tests that promise something of each."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import redis

from tests.support.servers import Servers

RABBITMQ_URL = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/")

BROKERS = ("valkey", "rabbitmq", "redis")

IN_USE_MARK = "ordered-delivery-test"
"""A key that keeps other test sessions off a Redis database."""


@dataclass(frozen=True, slots=True)
class Broker:
    """name: one of BROKERS. url: a running broker, for BROKER_URL."""

    name: str
    url: str


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Broker]:
    """One broker after the other: the test runs once for each."""
    yield from running_broker(request.param, servers)


def running_broker(name: str, servers: Servers) -> Iterator[Broker]:
    """A broker that answers. Where it is not reachable: skips here, fails under CI=true."""
    if name == "valkey":
        yield Broker(name, servers.valkey_url())
    elif name == "rabbitmq":
        _require_reachable(name, RABBITMQ_URL, "TEST_RABBITMQ_URL", 5672)
        yield Broker(name, RABBITMQ_URL)
    else:
        _require_reachable(name, REDIS_URL, "TEST_REDIS_URL", 6379)
        yield from _own_redis_database(REDIS_URL)


def _require_reachable(name: str, url: str, variable: str, default_port: int) -> None:
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "127.0.0.1", address.port or default_port), 3).close()
    except OSError as error:
        reason = f"{name} is not reachable ({error}); {variable} names another one"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def _own_redis_database(url: str) -> Iterator[Broker]:
    """A database number that held nothing before and holds nothing after: nobody else's keys are met."""
    for number in range(15, 0, -1):
        client = redis.Redis.from_url(url, db=number)
        try:
            if client.dbsize() == 0 and client.set(IN_USE_MARK, os.getpid(), nx=True, ex=3600):
                try:
                    yield Broker("redis", f"{url.rstrip('/')}/{number}")
                finally:
                    client.flushdb()
                return
        finally:
            client.close()
    pytest.fail("No empty database between 1 and 15 in Redis; TEST_REDIS_URL names another server.")
