"""What was delivered, expired and failed lately, and how long deliveries took: the curves of the overview."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagements.domain.latency import merged, percentile
from engagements.store import read_rollups
from engagements.store.connection import current
from engagements.store.read_rollups import Rolled
from engagements.store.rollups import COARSE_SECONDS, FINE_SECONDS, LAG_SECONDS

STATUSES = ("delivered", "expired", "failed")

SHARES = (0.5, 0.95, 0.99)

STANDS_STILL_SECONDS = 30.0
"""Counting is this much behind only when no worker counts: it does every 2 s, up to 10 s ago."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time up to now. step: seconds between two points; width: of the rollups they are made of (s)."""

    name: str
    title: str
    seconds: int
    step: int
    width: int


SPANS = (
    Span("15m", "15 minutes", 900, 10, FINE_SECONDS),
    Span("1h", "hour", 3_600, 30, FINE_SECONDS),
    Span("24h", "24 hours", 86_400, 600, COARSE_SECONDS),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a curve. rates: per second by status, and latencies in seconds by share; None where unknown."""

    rates: dict[str, float | None]
    latencies: dict[float, float | None]


@dataclass(frozen=True, slots=True)
class Activity:
    """points: evenly spaced, the last one ends now, or a moment ago. totals: settled in the span, by status.

    latencies: seconds by share over the whole span; None when nothing was delivered.
    behind_seconds: for how long nothing has been counted any more, when that is longer than usual.
    """

    span: Span
    points: list[Point]
    totals: dict[str, int]
    latencies: dict[float, float | None]
    behind_seconds: float | None

    @property
    def empty(self) -> bool:
        return not any(self.totals.values())


def span(name: str | None) -> Span:
    """The span of this name; the shortest where there is none."""
    return next((one for one in SPANS if one.name == name), SPANS[0])


def activity(of: Span) -> Activity:
    """The last minutes or hours; two statements."""
    now, counted_until = read_rollups.clock(current())
    usual = now - timedelta(seconds=LAG_SECONDS)
    stale = counted_until is None or (usual - counted_until).total_seconds() > STANDS_STILL_SECONDS
    until = usual if stale or counted_until is None else counted_until
    last = int(until.timestamp() // of.step)  # the step that is going on
    first = last - of.seconds // of.step + 1
    starts_at = datetime.fromtimestamp(first * of.step, now.tzinfo)
    rows = read_rollups.since(current(), starts_at, width_seconds=of.width)
    steps: dict[int, list[Rolled]] = {}
    for row in rows:
        steps.setdefault(int(row.starts_at.timestamp() // of.step), []).append(row)
    points = [
        _point(steps.get(number, []), _counted_seconds(number, of.step, counted_until))
        for number in range(first, last + 1)
    ]
    return Activity(
        span=of,
        points=points,
        totals={status: sum(row.settled for row in rows if row.status == status) for status in STATUSES},
        latencies=_latencies(rows),
        behind_seconds=(now - counted_until).total_seconds() if stale and counted_until is not None else None,
    )


def _counted_seconds(number: int, step: int, counted_until: datetime | None) -> float:
    """How much of the step has been counted."""
    counted = 0.0 if counted_until is None else counted_until.timestamp() - number * step
    return max(0.0, min(float(step), counted))


def _point(rows: list[Rolled], seconds: float) -> Point:
    """A step of which little has been counted is unknown: a rate over two seconds jumps about."""
    known = seconds >= 5
    return Point(
        {
            status: sum(row.settled for row in rows if row.status == status) / seconds if known else None
            for status in STATUSES
        },
        _latencies(rows),
    )


def _latencies(rows: list[Rolled]) -> dict[float, float | None]:
    histogram = merged([row.latency for row in rows if row.latency])
    return {share: percentile(histogram, share) for share in SHARES}
