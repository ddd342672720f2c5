"""Where an engagement stands in its pipeline, as pure functions of times."""

from datetime import datetime, timedelta

TICK = timedelta(microseconds=1)
"""PostgreSQL's resolution: the smallest step by which one engagement can come after another."""

FUTURE_TOLERANCE = timedelta(seconds=5)
"""How far a producer's clock may run ahead before its produce time is refused."""


def order_time(
    *,
    stated: datetime | None,
    received_at: datetime,
    last_attempted: datetime | None,
    parent: datetime | None,
) -> datetime:
    """The time that the pipeline is sorted by.

    A stated produce time is taken as it is and raised only above the parent. Without one the engagement belongs at the
    end of what has been attempted: it is never late. A child sorts after its parent, so every causal wait points to a
    smaller order time and none can close a circle.
    """
    time = stated if stated is not None else received_at
    if stated is None and last_attempted is not None:
        time = max(time, last_attempted + TICK)
    return above(time, parent)


def above(time: datetime, parent: datetime | None) -> datetime:
    """`time`, or the first moment after the parent's order time."""
    return time if parent is None else max(time, parent + TICK)


def held_until(*, stated: bool, order_time: datetime, received_at: datetime, window: timedelta) -> datetime:
    """Until when neighbours that arrive crossed over are waited for; an unstated time is not held."""
    return min(order_time, received_at) + window if stated else received_at


def is_late(*, order_time: datetime, last_attempted: datetime | None) -> bool:
    """Whether one with a greater order time of the same user has been attempted already."""
    return last_attempted is not None and order_time < last_attempted
