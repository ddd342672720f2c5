"""Runs a measure's contenders in turns (A B A B …), one at a time, and keeps what each turn gave."""

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Figures:
    """What one turn measured. numbers: by name. violations: of the order, by their description; must be empty."""

    numbers: dict[str, float]
    violations: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contender:
    """Who is measured. missing: why it cannot be; it is then reported as not run. note: what differs for it.

    rounds: at most so many turns, for what takes minutes.
    """

    name: str
    run: Callable[[], Figures]
    missing: str = ""
    note: str = ""
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One question to all contenders."""

    name: str
    what: str
    contenders: Sequence[Contender]


class Turns:
    """Takes the turns. keep is called with each raw result, as a mapping that JSON can hold."""

    def __init__(self, *, rounds: int, keep: Callable[[dict[str, Any]], None], say: Callable[[str], None]) -> None:
        self.rounds = rounds
        self.keep = keep
        self.say = say

    def take(self, measure: Measure) -> None:
        self.say(f"\n{measure.name}: {measure.what}")
        for contender in measure.contenders:
            if contender.missing:
                self.say(f"  {contender.name:36} not run: {contender.missing}")
                self.keep({"measure": measure.name, "who": contender.name, "not_run": contender.missing})
        for round in range(1, self.rounds + 1):
            for contender in measure.contenders:
                if not contender.missing and round <= (contender.rounds or self.rounds):
                    self._turn(measure, contender, round)

    def _turn(self, measure: Measure, contender: Contender, round: int) -> None:
        before, began = os.getloadavg()[0], time.monotonic()
        raw: dict[str, Any] = {"measure": measure.name, "who": contender.name, "round": round}
        if contender.note:
            raw["note"] = contender.note
        try:
            found = contender.run()
        except Exception as error:  # noqa: BLE001 (one that fails is reported; the others are measured all the same)
            raw["failed"] = f"{type(error).__name__}: {error}"[-2000:]
            self.say(f"  {contender.name:36} FAILED: {raw['failed']}")
            if os.environ.get("BENCH_TRACEBACK"):
                self.say(traceback.format_exc())
        else:
            raw |= {"figures": found.numbers, "violations": found.violations}
            words = "   ".join(f"{name} {number:,.6g}" for name, number in found.numbers.items())
            broken = f"   ORDER BROKEN: {found.violations}" if found.violations else ""
            self.say(f"  {contender.name:36} {words}{broken}")
        raw |= {"seconds": time.monotonic() - began, "load": [before, os.getloadavg()[0]]}
        self.keep(raw)
