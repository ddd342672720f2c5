"""What is to be reached on a machine with two cores, by one worker: a floor and an aim for each figure.

Ratios compare medians of one run; the absolute figures are from one such machine and show the size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.limits.limit import RAW_SQL
from benchmarks.record import Record

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Goal:
    """value: from a record, None where it was not measured. more: whether more is better. unit: for people."""

    name: str
    value: Callable[[Record], float | None]
    floor: float
    aim: float
    unit: str = "/s"
    more: bool = True

    def met(self, value: float, bound: float) -> bool:
        return value >= bound if self.more else value <= bound


def of(measure: str, figure: str = "rate", who: str = OURS) -> Callable[[Record], float | None]:
    return lambda record: record.median(measure, who, figure)


def ratio(
    above: Callable[[Record], float | None], below: Callable[[Record], float | None]
) -> Callable[[Record], float | None]:
    def value(record: Record) -> float | None:
        a, b = above(record), below(record)
        return a / b if a is not None and b else None

    return value


GOALS: Sequence[Goal] = (
    Goal("dense, null channel", of("dense"), 20_000, 36_000),
    Goal("dense, beside the raw SQL bound", ratio(of("dense"), of("dense", who=RAW_SQL)), 0.3, 0.3, "times"),
    Goal("sparse, null channel", of("sparse"), 12_000, 29_000),
    Goal("large, null channel", of("large"), 18_000, 23_000),
    Goal("hot user holds a tenth: the others", of("hot", "others"), 15_000, 23_000),
    Goal("hot user holds a tenth: the hot one", of("hot", "one"), 1_200, 1_800),
    Goal("one user takes 500 ms each: the others", ratio(of("slow", "others"), of("dense")), 0.9, 1.0, "times dense"),
    Goal("50 ms per attempt, 1,000 users", of("channel-50-ms"), 8_300, 9_500),
    Goal("webhooks to a local receiver", of("webhook"), 4_500, 12_500),
    Goal(
        "unordered beside ordered, sparse",
        ratio(of("price", who="unordered"), of("price", who="per user")),
        1.3,
        2,
        "times",
    ),
    Goal("bulk ingest over REST, one web process", of("ingest"), 8_000, 20_000),
    Goal(
        "200 posts/s, receipt to delivery: p50", of("latency", "p50", "200/s, no stated time"), 8, 2, "ms", more=False
    ),
    Goal(
        "200 posts/s, receipt to delivery: p99", of("latency", "p99", "200/s, no stated time"), 30, 8, "ms", more=False
    ),
    Goal(
        "p99 of the others, 10 % hang to their deadline",
        ratio(of("isolation", "p99", "10 % hang"), of("isolation", "p99", "nobody hangs")),
        1.5,
        1.1,
        "times baseline",
        more=False,
    ),
    Goal(
        "cost per delivery, 10,000 → 1,000,000 pipelines",
        ratio(of("growth", "cpu", "1,000,000 pipelines"), of("growth", "cpu", "10,000 pipelines")),
        1.3,
        1.1,
        "times",
        more=False,
    ),
    Goal("worker at 10,000 users in flight", of("memory", "megabytes"), 250, 120, "MB", more=False),
)
