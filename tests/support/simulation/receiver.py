"""The receiver in a simulation: it does to each engagement what its payload asks for, and keeps a log.

It accepts a sequence above the last one accepted of that user, answers 2xx to the others and ignores them.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.support.simulation.clock import Clock
from tests.support.simulation.worker import SimulatedWorker, this_worker
from workers.channels.base import ChannelConfig, Delivered, Delivery, Failed, Outcome, Retry

HANG = 10_000.0
"""Seconds: a receiver that never answers."""


@dataclass
class Call:
    """One attempt as the receiver saw it; times are seconds of the simulation.

    accepted: it acted on it. answer: what it answered in the end; None when it was broken off before.
    """

    worker: SimulatedWorker
    delivery: Delivery
    began: float
    ended: float | None = None
    accepted: bool = False
    answer: str | None = None
    excused: bool = False
    """Its worker was frozen or killed meanwhile: nobody can end it, or answer for it."""

    @property
    def id(self) -> UUID:
        return self.delivery.id

    @property
    def user(self) -> str:
        return self.delivery.user_id


class Receiver:
    """One for all users. checks_sequence: as receivers should; watcher: is told of each attempt as it begins."""

    def __init__(self, clock: Clock, *, checks_sequence: bool = True) -> None:
        self.clock = clock
        self.checks_sequence = checks_sequence
        self.calls: list[Call] = []
        self.last: dict[str, int] = {}
        self.taken: set[UUID] = set()
        self.watchers: list[Any] = []

    async def answer(self, delivery: Delivery) -> Outcome:
        call = Call(this_worker(), delivery, self.clock.seconds)
        for watcher in self.watchers:
            watcher.attempt_begins(call)
        self.calls.append(call)
        try:
            kind, seconds = self._wish(delivery)
            await asyncio.sleep(seconds / 2)
            if kind == "ok":
                self._accept(call)
            await asyncio.sleep(seconds / 2)
            call.answer = kind
            match kind:
                case "ok":
                    return Delivered("200")
                case "retry":
                    return Retry("503")
                case "fail":
                    return Failed("410")
                case _:
                    raise RuntimeError("a mistake in somebody's channel")
        finally:
            if call.ended is None:
                call.ended = self.clock.seconds

    def _wish(self, delivery: Delivery) -> tuple[str, float]:
        """The answer to this attempt and how long it takes: the n-th of the payload's list, the last ever after."""
        answers = json.loads(delivery.payload)["answers"]
        kind, seconds = answers[min(delivery.attempt, len(answers)) - 1]
        return kind, seconds

    def _accept(self, call: Call) -> None:
        sequence = call.delivery.sequence
        if sequence is None:  # unordered: told by its id
            call.accepted = call.id not in self.taken
            self.taken.add(call.id)
        elif not self.checks_sequence or sequence > self.last.get(call.user, 0):
            call.accepted = True
            self.last[call.user] = sequence


receivers: dict[str, Receiver] = {}
"""By the channel's url."""


class SimulatedChannel:
    """Asks the receiver that its url names."""

    def __init__(self, config: ChannelConfig) -> None:
        self.receiver = receivers[config.url]

    async def deliver(self, delivery: Delivery) -> Outcome:
        return await self.receiver.answer(delivery)

    async def aclose(self) -> None:
        """Holds nothing."""
