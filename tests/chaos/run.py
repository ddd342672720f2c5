"""One run of chaos: produce under harm, let it end, and have the observer judge it."""

import math
import re
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.judging import history_of, pending, wait_until_settled
from tests.chaos.nemeses import Nemesis
from tests.chaos.operator import Operator
from tests.chaos.producers import Producer, Shared
from tests.chaos.schedule import Pace, Schedule
from tests.chaos.stage import Stage
from tests.support.observer import History, Produced, Report, observe
from tests.support.observer.deadlines import overshoots
from tests.support.observer.index import Index

PRODUCERS = 4

BACKLOG = 6_000
"""Pending engagements beyond which producers wait: what stands longer than its time-out only expires."""

SETTLE_SECONDS = 150.0
"""For what is pending at the end: its deadlines, the workers' way back, and a busy machine."""

BROKEN = ("a duty of the engine ended", "the engine failed")
"""What a worker logs whose engine ended by itself."""

OPERATED = 20
"""Every so many users, one that the operator pauses and purges."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run is to be. only: these nemeses instead of all. most_seconds: produce no longer than this."""

    seed: int
    engagements: int
    broker: str = "valkey"
    users: int = 400
    only: list[Nemesis] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    expiry_bound_seconds: float = 1.0
    most_seconds: float = math.inf
    timeout_seconds: float = 30.0


@dataclass(slots=True)
class Outcome:
    report: Report
    lines: list[str]
    """What was done and measured, for people."""
    history: History
    broken: list[str]
    """Engines that ended by a mistake of their own: their worker starts anew, and nothing else would show it."""

    @property
    def holds(self) -> bool:
        return self.report.holds and not self.broken


def run(wish: Wish, say: Callable[[str], None]) -> Outcome:
    """Raises whatever the harness itself runs into; what the product does wrong is in the report."""
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as directory:
        started = time.monotonic()

        def tell(text: str) -> None:
            say(f"{time.monotonic() - started:7.1f} s  {text}")

        stage = Stage(Path(directory), broker=wish.broker, say=tell, timeout_seconds=wish.timeout_seconds)
        with stage:
            stage.start_worker("w3@chaos")
            outcome = _Run(stage, wish, tell).run()
        outcome.lines.append(f"stopped by SIGTERM in {stage.stopped_in:.1f} s")
        return outcome


def _broken(directory: Path) -> Iterator[str]:
    for log in directory.rglob("*.log"):
        with log.open(errors="replace") as lines:
            yield from (f"{log.name}: {line.strip()}" for line in lines if any(words in line for words in BROKEN))


class _Run:
    def __init__(self, stage: Stage, wish: Wish, say: Callable[[str], None]) -> None:
        self.stage, self.wish, self.say = stage, wish, say
        self.users = [f"u{number}" for number in range(wish.users)]
        self.room = threading.Event()
        self.room.set()
        self.over = threading.Event()

    def run(self) -> Outcome:
        wish, stage = self.wish, self.stage
        sizes = (1, 1, 1, 10, 100, 300) if wish.engagements < 20_000 else (1, 1, 10, 100, 500, 1000)
        shared = Shared(self.users, sizes, deque(maxlen=500), threading.Lock(), self._wait)
        share = wish.engagements // PRODUCERS
        producers = [
            Producer(stage.api, shared, name=f"producer {n}", seed=f"{wish.seed}-{n}", share=share)
            for n in range(PRODUCERS)
        ]
        operator = Operator(
            stage.api, self.users[1::OPERATED], seed=f"{wish.seed}-operator", running=lambda: not self.over.is_set()
        )
        watch = threading.Thread(target=self._watch, daemon=True)
        schedule = Schedule(stage, seed=wish.seed, only=wish.only, pace=wish.pace, say=self.say)
        began = time.monotonic()
        for thread in (*producers, operator, watch):
            thread.start()
        try:
            while any(one.is_alive() for one in producers) and time.monotonic() - began < wish.most_seconds:
                schedule.step()
                time.sleep(0.05)
        finally:
            self.over.set()
            schedule.end()
            stage.heal()
        took = time.monotonic() - began
        self.say("peace")
        for producer in producers:
            producer.join(120)
            assert not producer.is_alive(), f"{producer.name} hangs"
            if producer.error is not None:
                raise producer.error
        operator.join(60)
        operator.resume_all()
        left = wait_until_settled(stage.api, seconds=SETTLE_SECONDS)
        self.say(f"{left} pending")
        produced = [one for producer in producers for one in producer.log.values()]
        return self._judge(produced, operator, schedule, took)

    def _judge(self, produced: list[Produced], operator: Operator, schedule: Schedule, took: float) -> Outcome:
        history = history_of(self.stage, produced, operator.log, expiry_bound_seconds=self.wish.expiry_bound_seconds)
        report = observe(history)
        verified = self.stage.up.manage("verify_order")
        statuses: dict[str, int] = {}
        for told in history.told.values():
            statuses[told.status] = statuses.get(told.status, 0) + 1
        over = overshoots(Index(history))
        lines = [
            f"{len(produced):,} engagements of {self.wish.users} users in {took:.0f} s; "
            f"{len(history.requests):,} requests; "
            + ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items())),
            "harm: " + ", ".join(f"{name.replace('_', '-')} {n}" for name, n in sorted(schedule.done.items())),
            f"operator: {len(operator.log)} calls",
        ]
        if over:
            lines.append(f"expiry overshoot: median {over[len(over) // 2]:.2f} s, greatest {over[-1]:.2f} s")
        # It knows nothing of the database's outages but what its own record shows; the observer judges the deadlines.
        against = [line for line in verified.stdout.splitlines() if re.search(r": promise [1245]: ", line)]
        lines.append(f"verify_order, promises 1, 2, 4 and 5: {len(against) or 'no'} violations")
        for line in against[:20]:
            report.find("sequence", f"verify_order: {line}")
        broken = list(_broken(self.stage.directory))
        lines.append(f"engines that broke: {len(broken) or 'none'}")
        return Outcome(report, [*lines, *broken[:20]], history, broken)

    def _wait(self) -> bool:
        while not self.room.wait(0.5):
            if self.over.is_set():
                return False
        return not self.over.is_set()

    def _watch(self) -> None:
        """Let the producers wait while too much is pending."""
        while not self.over.is_set():
            try:
                full = pending(self.stage.api) > BACKLOG
            except Exception:  # noqa: BLE001 - the web server is being harmed: then nobody can produce either
                full = False
            (self.room.clear if full else self.room.set)()
            self.over.wait(0.3)
