"""Engines that run in the test's own process, each in its own thread, against the real database."""

import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from pytest_django import Settings

from engagements import liveness
from engagements.models import Channel
from engagements.store import workers
from engagements.store.connection import Connection
from tests.support import channels
from tests.support.channels import Answer, Desk, delivered
from tests.support.store import until
from workers.engine.engine import Engine

StartEngine = Callable[..., Engine]
OpenDesk = Callable[..., Desk]


@pytest.fixture
def terminations() -> Iterator[list[int]]:
    """The SIGTERMs that this process got: how an engine asks its worker to end."""
    got: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        got.append(number)

    before = signal.signal(signal.SIGTERM, note)
    yield got
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def start_engine(conn: Connection, terminations: list[int], settings: Settings) -> Iterator[StartEngine]:
    """Call it with a worker's name for an engine that delivers; all are stopped in the end."""
    settings.CHANNEL_KINDS = {**settings.CHANNEL_KINDS, **channels.KINDS}
    started: list[Engine] = []

    def start(name: str = "w1") -> Engine:
        engine = Engine(name)
        started.append(engine)
        engine.start()
        until(lambda: name in workers.alive(conn), f"the first heartbeat of {name}")
        liveness.forget()
        return engine

    yield start
    for engine in started:
        engine.stop()


@pytest.fixture
def open_desk(database: None, settings: Settings) -> Iterator[OpenDesk]:
    """Call it for a channel whose receiver is the test: `open_desk(answer, name="desk")`."""
    settings.CHANNEL_KINDS = {**settings.CHANNEL_KINDS, **channels.KINDS}

    def open_one(answer: Answer = delivered, *, name: str = "desk", kind: str = "desk") -> Desk:
        desk = channels.desks[name] = Desk(answer)
        Channel.objects.create(name=name, kind=kind, url=name)
        return desk

    yield open_one
    channels.desks.clear()
