"""One simulated worker process: the real engine in a loop of its own, which the test runs, freezes and kills."""

import asyncio
import random
from collections.abc import Iterable
from typing import Any

from engagements.store.connection import Connection
from engagements.store.workers import Started
from tests.support.simulation.clock import Clock
from tests.support.simulation.lane import SimulatedLane
from tests.support.simulation.loop import SimulatedLoop
from workers.engine.engine import LANES, Engine
from workers.engine.lane import Lane

USUAL_SECONDS = 0.000_5
"""A statement's way to PostgreSQL, or back."""

LONGEST_SECONDS = 0.03
"""The same, now and then."""


class SimulatedEngine(Engine):
    """The engine of production with simulated lanes; started by its worker, in its loop."""

    def __init__(self, process: "SimulatedWorker") -> None:
        super().__init__(process.name)
        self._process = process

    def _lane(self, name: str) -> Lane:
        return SimulatedLane(name, self._process)

    async def deliver(self) -> None:
        await self._main()

    @property
    def stepped_aside(self) -> bool:
        return self._superseded


class SimulatedWorker:
    """A process named `name`. fit: neither frozen, cut off, killed nor superseded since `fit_since`."""

    def __init__(
        self, name: str, clock: Clock, dice: random.Random, conn: Connection, incarnations: dict[str, int]
    ) -> None:
        """incarnations: the last one of each name, kept by all processes together."""
        self.name = name
        self._incarnations = incarnations
        self._incarnation: int | None = None
        self._conn = conn
        self._clock = clock
        self._dice = dice
        self.alive = True
        self.frozen = False
        self.cut_lanes: frozenset[str] = frozenset()
        self.fit_since = clock.seconds
        self.lose_request = False
        self.lose_answer = False
        self.loop = SimulatedLoop(clock.monotonic)
        self.loop.worker = self  # type: ignore[attr-defined]
        self.engine = SimulatedEngine(self)
        self._main = self.loop.create_task(self.engine.deliver())

    @property
    def runs(self) -> bool:
        return self.alive and not self.frozen

    @property
    def replaced(self) -> bool:
        """Another process has registered under this name since, of which this one learns within a second or so. It need
        not be the one that was started later: their statements may cross over."""
        return self._incarnation is not None and self._incarnation < self._incarnations[self.name]

    @property
    def cut_off(self) -> bool:
        return bool(self.cut_lanes)

    @property
    def fit(self) -> bool:
        return self.runs and not (self.replaced or self.cut_off or self.stopping)

    @property
    def stopping(self) -> bool:
        asked = self.engine._stop_asked
        return asked is not None and asked.is_set()

    def run_due(self) -> None:
        """What the process does at this moment. Raises what ended its engine."""
        self.loop.run_due()
        if self._main.done():
            self._main.result()
            self.alive = False
            self.loop.abandon()

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False
        self.loop.abandon()

    def stop(self) -> None:
        """SIGTERM."""
        self.engine.ask_to_stop()

    def freeze(self) -> None:
        """SIGSTOP, between two statements."""
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        self.frozen = False
        self.fit_since = self._clock.seconds

    def disconnect(self, lanes: Iterable[str] = LANES) -> None:
        """PostgreSQL cannot be reached from here, or not by these connections."""
        self.cut_lanes = frozenset(lanes)

    def reconnect(self) -> None:
        self.cut_lanes = frozenset()
        self.fit_since = self._clock.seconds

    # --- Its network ---

    def delay(self) -> float:
        return LONGEST_SECONDS * self._dice.random() if self._dice.random() < 0.05 else USUAL_SECONDS

    def request_lost(self, lane: str) -> bool:
        lost, self.lose_request = self.lose_request or lane in self.cut_lanes, False
        return lost

    def answer_lost(self, lane: str) -> bool:
        lost, self.lose_answer = self.lose_answer or lane in self.cut_lanes, False
        return lost

    def committed(self, answer: Any) -> None:
        if isinstance(answer, Started):
            self._incarnation = self._incarnations[self.name] = answer.incarnation

    def connection(self) -> Connection:
        self._clock.tell(self._conn)
        return self._conn


def this_worker() -> SimulatedWorker:
    """The worker whose loop runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    worker: SimulatedWorker = loop.worker  # type: ignore[attr-defined]
    return worker
