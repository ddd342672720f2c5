"""Channels whose receiver is the test: registered by their dotted path, as a project registers its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from uuid import UUID

from workers.channels.base import ChannelConfig, Delivered, Delivery, Outcome

Answer = Callable[[Delivery], Awaitable[Any]]


class Gate:
    """Holds attempts until the test opens it; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def wait(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._open:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()

    def open(self) -> None:
        with self._lock:
            self._open = True
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)


@dataclass
class Call:
    """One attempt as the receiver saw it; times of the monotonic clock. cancelled: cut off before it answered."""

    delivery: Delivery
    began: float
    ended: float | None = None
    cancelled: bool = False


@dataclass
class Desk:
    """The test's side of a channel: what came, and what is answered. closed: channels that were told to release."""

    answer: Answer
    calls: list[Call] = field(default_factory=list)
    most_at_once: int = 0
    closed: int = 0

    @property
    def ids(self) -> list[UUID]:
        return [call.delivery.id for call in list(self.calls)]

    @property
    def running(self) -> list[Call]:
        return [call for call in list(self.calls) if call.ended is None]

    def of(self, user: str) -> list[Call]:
        return [call for call in list(self.calls) if call.delivery.user_id == user]


desks: dict[str, Desk] = {}
"""By the channel's url."""


async def delivered(delivery: Delivery) -> Outcome:
    return Delivered("took it")


async def never(delivery: Delivery) -> Outcome:
    """A receiver that hangs."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class DeskChannel:
    """Asks the desk that its url names."""

    def __init__(self, config: ChannelConfig) -> None:
        self.desk = desks[config.url]

    async def deliver(self, delivery: Delivery) -> Outcome:
        call = Call(delivery, monotonic())
        self.desk.calls.append(call)
        self.desk.most_at_once = max(self.desk.most_at_once, len(self.desk.running))
        try:
            outcome: Outcome = await self.desk.answer(delivery)
            return outcome
        except asyncio.CancelledError:
            call.cancelled = True
            raise
        finally:
            call.ended = monotonic()

    async def aclose(self) -> None:
        self.desk.closed += 1


class BrokenAtOnce:
    """Raises where nobody expects it: its constructor must raise ValueError only."""

    def __init__(self, config: ChannelConfig) -> None:
        raise KeyError("a mistake in somebody's channel")

    async def deliver(self, delivery: Delivery) -> Outcome:
        raise AssertionError("never made")

    async def aclose(self) -> None:
        raise AssertionError("never made")


class BrokenAtClose(DeskChannel):
    """Raises when it is told to release what it holds."""

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("a mistake in somebody's channel")


KINDS = {
    "desk": "tests.support.channels.DeskChannel",
    "broken-at-once": "tests.support.channels.BrokenAtOnce",
    "broken-at-close": "tests.support.channels.BrokenAtClose",
}
