"""The attempts of an engagement over time, as a drawing and as lines of a table. The template draws it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engagements.models import Attempt, Engagement

WIDTH, BAR_Y, BAR_HEIGHT = 1000.0, 26.0, 22.0
"""Of the drawing, in its own units: it is as wide as the page."""

LEAST_BAR = 4.0
"""A bar that is shorter could not be seen."""


@dataclass(frozen=True, slots=True)
class Running:
    """The attempt that runs now. since: it began then or later. worker: empty where it is not on record."""

    number: int
    worker: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """An attempt of the table. after: since the one before it ended, or the receipt. former: before the replay."""

    attempt: Attempt
    after: timedelta | None
    former: bool


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """From the receipt to the settling, or to the deadline while it is pending. now: where the present stands on it."""

    start: datetime
    end: datetime
    lasting: timedelta
    bars: list[Bar]
    now: float | None
    settled: bool

    width = WIDTH
    bar_y = BAR_Y
    bar_height = BAR_HEIGHT


def ended(attempt: Attempt) -> datetime:
    return attempt.started_at + timedelta(seconds=attempt.duration_seconds)


def lines(engagement: Engagement, attempts: Sequence[Attempt]) -> list[Line]:
    """The latest first, as given; each with the pause before it."""
    found = []
    for place, attempt in enumerate(attempts):
        former = attempt.started_at < engagement.received_at
        earlier = attempts[place + 1] if place + 1 < len(attempts) else None
        if earlier is not None and (former or earlier.started_at >= engagement.received_at):
            began: datetime | None = ended(earlier)
        else:
            began = None if former or attempt.number > 1 else engagement.received_at
        found.append(Line(attempt, max(attempt.started_at - began, timedelta()) if began else None, former))
    return found


def timeline(
    engagement: Engagement, attempts: Sequence[Attempt], running: Running | None, *, now: datetime
) -> Timeline | None:
    """Of the present life; None where there is nothing to draw."""
    own = [attempt for attempt in attempts if attempt.started_at >= engagement.received_at]
    if not own and running is None:
        return None
    start = engagement.received_at
    end = engagement.settled_at or max(engagement.expires_at, now)
    end = max([end, *(ended(attempt) for attempt in own)])
    scale = WIDTH / max((end - start).total_seconds(), 0.001)

    def place(at: datetime) -> float:
        return min(max((at - start).total_seconds() * scale, 0.0), WIDTH)

    def bar(began: datetime, finished: datetime, kind: str, title: str) -> Bar:
        width = max(place(finished) - place(began), LEAST_BAR)
        x = min(place(began), WIDTH - width)
        return Bar(round(x, 1), round(width, 1), kind, title)

    bars = [
        bar(one.started_at, ended(one), one.outcome, f"attempt {one.number} on {one.worker}: {one.outcome}")
        for one in reversed(own)
    ]
    if running is not None:
        title = f"attempt {running.number} is running"
        bars.append(bar(max(running.since, start), now, "running", title))
    return Timeline(
        start=start,
        end=end,
        lasting=end - start,
        bars=bars,
        now=None if engagement.settled_at else round(place(now), 1),
        settled=engagement.settled_at is not None,
    )
