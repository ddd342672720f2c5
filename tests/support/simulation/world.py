"""A whole system in simulated time: workers, broker, receiver and PostgreSQL, moved on by the test step by step.

Everything runs in the test's thread, so a run is decided by what the test does and by its dice, and can be repeated.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from django.test import override_settings

from engagements import liveness, wakeups
from engagements.store.connection import Params, current, fetch, run
from tests.support.simulation.broker import Broker
from tests.support.simulation.clock import Clock
from tests.support.simulation.receiver import Receiver, receivers
from tests.support.simulation.worker import SimulatedWorker, this_worker
from tests.support.store import empty_tables
from workers.engine import attempts, engine

CHANNEL = "simulated"

SESSION_SECONDS = 8.0
"""Short enough for sessions to end within a run."""


class World:
    """Call advance() to let time pass; what is done at a moment happens before that."""

    def __init__(self, dice: random.Random, *, checks_sequence: bool = True) -> None:
        self.dice = dice
        self.clock = Clock()
        self.broker = Broker(self.clock, dice)
        self.receiver = Receiver(self.clock, checks_sequence=checks_sequence)
        self.workers: list[SimulatedWorker] = []
        """All processes there ever were, the running ones included."""
        self.broken: list[str] = []
        """Workers whose engine ended by itself, which is a bug."""
        self._incarnations: dict[str, int] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside of it the world turns; its database must be the test's own, see `database`."""
        self.conn = conn = current()
        run(conn, "SET search_path = pg_catalog, public")
        empty_tables(conn)
        kinds = {CHANNEL: "tests.support.simulation.receiver.SimulatedChannel"}
        receivers[CHANNEL] = self.receiver
        with (
            self.clock.installed(conn),
            override_settings(CHANNEL_KINDS=kinds, SESSION_IDLE_SECONDS=SESSION_SECONDS),
            mock.patch.object(wakeups, "_publisher", return_value=self.broker),
            mock.patch.object(attempts, "random", self.dice),
            mock.patch.object(engine, "os", SimpleNamespace(kill=self._kill, getpid=lambda: 0)),
        ):
            run(conn, "UPDATE engagements_channel SET kind = %s, url = %s", [CHANNEL, CHANNEL])
            liveness.forget()
            try:
                yield
            finally:
                for worker in self.workers:
                    if worker.alive:
                        worker.kill()
                receivers.clear()
                liveness.forget()
                run(conn, "RESET search_path")

    def start(self, name: str) -> SimulatedWorker:
        """A new process under this name; an old one of that name is superseded."""
        worker = SimulatedWorker(name, self.clock, self.dice, self.conn, self._incarnations)
        self.workers.append(worker)
        return worker

    def advance(self, seconds: float) -> None:
        """Let everything happen that is due within so many seconds."""
        until = self.clock.seconds + seconds
        while True:
            moments = [worker.loop.next_event() for worker in self.workers if worker.runs]
            due = min((moment for moment in [*moments, self.broker.next_event()] if moment is not None), default=until)
            if due >= until:
                break
            self.clock.move_to(due)
            self.broker.deliver_due(self.workers)
            for worker in self.workers:
                if worker.runs:
                    worker.run_due()
        self.clock.move_to(until)

    def call(self, service: Any, *args: Any, **kwargs: Any) -> Any:
        """What a web process does at this moment."""
        self.clock.tell(self.conn)
        return service(*args, **kwargs)

    def rows(self, sql: str, params: Params = None) -> list[Any]:
        """What an onlooker reads at this moment."""
        return fetch(self.conn, sql, params)

    def _kill(self, pid: int, number: int) -> None:
        """An engine asks its own process to end: because it was superseded, or because something in it broke."""
        worker = this_worker()
        if not worker.engine.stepped_aside:
            self.broken.append(worker.name)
