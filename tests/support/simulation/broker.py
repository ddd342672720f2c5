"""A broker in a simulation: it loses, doubles, delays and crosses over wake-ups as it likes."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.simulation.clock import Clock
from tests.support.simulation.worker import SimulatedWorker


@dataclass(order=True)
class Message:
    """worker None: for any, about unordered ones."""

    due: float
    number: int
    worker: str | None = field(compare=False)
    users: list[str] = field(compare=False)


class Broker:
    """Takes the place of the publisher of wake-ups. loses, doubles, delays: how likely, 0 to 1."""

    def __init__(self, clock: Clock, dice: random.Random) -> None:
        self._clock = clock
        self._dice = dice
        self._messages: list[Message] = []
        self._number = 0
        self.loses = self.doubles = self.delays = 0.0

    def add(self, users: Mapping[str, Sequence[str]], *, unordered: bool) -> None:
        """What engagements.wakeups is told to announce."""
        for worker, names in users.items():
            self._take(worker, list(names))
        if unordered:
            self._take(None, [])

    def next_event(self) -> float | None:
        return min(self._messages).due if self._messages else None

    def deliver_due(self, workers: Sequence[SimulatedWorker]) -> None:
        """Hand out what is due; what nobody is there for is lost, as with a queue that expired."""
        due = [message for message in self._messages if message.due <= self._clock.seconds]
        self._messages = [message for message in self._messages if message.due > self._clock.seconds]
        for message in sorted(due):
            takers = [worker for worker in workers if worker.runs and message.worker in (None, worker.name)]
            if not takers:
                continue
            engine = self._dice.choice(takers).engine
            if message.worker is None:
                engine.submit_unordered()
            else:
                engine.submit(message.users)

    def _take(self, worker: str | None, users: list[str]) -> None:
        for _ in range(2 if self._dice.random() < self.doubles else 1):
            if self._dice.random() >= self.loses:
                delay = self._dice.random() * (3.0 if self._dice.random() < self.delays else 0.01)
                self._number += 1
                self._messages.append(Message(self._clock.seconds + delay, self._number, worker, users))
