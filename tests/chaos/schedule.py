"""Which nemesis comes when: drawn from the seed, run step by step in one thread."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.chaos.nemeses import TRACKS, Nemesis, Steps
from tests.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of peace between two nemeses of one track, at least and at most."""

    least: float = 3.0
    most: float = 12.0


class Schedule:
    """All tracks at once; each draws from a random source of its own, so that a seed means the same harm again."""

    def __init__(self, stage: Stage, *, seed: int, only: list[Nemesis], pace: Pace, say: Callable[[str], None]) -> None:
        self._say = say
        self.done: dict[str, int] = {}
        moment = time.monotonic()
        self._tracks: list[tuple[float, Steps]] = []
        for name, nemeses in TRACKS.items():
            chosen = [nemesis for nemesis in nemeses if not only or nemesis in only]
            if chosen:
                self._tracks.append((moment, self._track(stage, chosen, Random(f"{seed}-{name}"), pace)))

    def step(self) -> None:
        """Do what is due."""
        for place, (due, steps) in enumerate(self._tracks):
            if due <= time.monotonic():
                wait = next(steps)
                self._tracks[place] = (time.monotonic() + wait, steps)

    def end(self) -> None:
        """Undo what is being done."""
        for _, steps in self._tracks:
            steps.close()  # type: ignore[attr-defined]

    def _track(self, stage: Stage, nemeses: list[Nemesis], random: Random, pace: Pace) -> Iterator[float]:
        bag: list[Nemesis] = []
        while True:
            yield random.uniform(pace.least, pace.most)
            bag = bag or random.sample(nemeses, len(nemeses))
            nemesis = bag.pop()
            self._say(nemesis.__name__.replace("_", "-"))
            self.done[nemesis.__name__] = self.done.get(nemesis.__name__, 0) + 1
            yield from nemesis(stage, random)
