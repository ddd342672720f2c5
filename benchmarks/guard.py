"""Ours beside the raw limit, small and in turns: what the tests hold a change against.

Two ratios of one run, never a time of its own, and both say the same on a busy machine: the CPU that a delivery takes,
and how many threads are at work (running, or ready to run and waiting for a core), because an engine that waits without
need takes no CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.limits.limit import raw_sql
from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.order import violations
from benchmarks.ours.spend import drained
from benchmarks.servers import Servers
from benchmarks.shapes import Shape

SHAPE = Shape("dense", 10_000, 500)


@dataclass(slots=True)
class Compared:
    """What each turn gave, of ours and of the raw limit."""

    ours: list[dict[str, float]] = field(default_factory=list)
    raw: list[dict[str, float]] = field(default_factory=list)

    @property
    def turns(self) -> int:
        return len(self.ours)

    def ratio(self, figure: str) -> float:
        """The median of ours by the median of the raw limit's: cpu, at_work or rate."""
        return _median(self.ours, figure) / _median(self.raw, figure)

    def __str__(self) -> str:
        said = [
            f"{figure} {_median(self.ours, figure):,.4g} against {_median(self.raw, figure):,.4g} "
            f"({self.ratio(figure):.2f} times)"
            for figure in ("cpu", "at_work", "rate")
        ]
        return f"{self.turns} turns: {', '.join(said)}"


def _median(turns: list[dict[str, float]], figure: str) -> float:
    return median(turn[figure] for turn in turns)


def compare(servers: Servers, *, most: int) -> Iterator[Compared]:
    """What is known after each turn; stop whenever it is enough. A turn whose beginning was missed is not counted."""
    backlogs, compared = Backlogs(servers, "http://127.0.0.1:9/"), Compared()
    limit = raw_sql(servers, backlogs, SHAPE)
    for _ in range(most):
        raw = limit.run()
        with servers.database(backlogs.of(SHAPE)) as database, servers.connect(database) as connection:
            numbers = drained(servers, connection, database, count=SHAPE.count)
            assert not (broken := violations(connection)), broken
        if numbers["deliveries"] < SHAPE.count / 2:
            continue
        compared.ours.append(numbers)
        compared.raw.append(raw.numbers)
        yield compared
