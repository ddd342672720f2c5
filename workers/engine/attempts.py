"""One attempt: calling the channel under one deadline, and naming how it ended."""

import asyncio
import logging
import random
from time import monotonic

from engagements.domain.retry import backoff_seconds
from engagements.store.heads import Grant
from workers.channels.base import Delivered, Delivery, Failed, Retry
from workers.engine.channelset import Loaded
from workers.engine.flight import Ended, Flight

logger = logging.getLogger("workers.engine")

ANSWER_LENGTH = 1000
"""Characters kept of an answer or an error."""


def delivery_of(grant: Grant, *, unordered: bool) -> Delivery:
    return Delivery(
        grant.id,
        grant.user_id,
        grant.sequence,
        None if unordered else grant.token,
        grant.produced_at,
        grant.causal_parent,
        unordered,
        grant.late,
        grant.attempt,
        grant.payload,
    )


def attempt_now(channel: Loaded, flight: Flight, grant: Grant, *, unordered: bool) -> Ended:
    """The attempt of a channel that never waits."""
    assert channel.deliver_now is not None
    started = monotonic()
    try:
        outcome: object = channel.deliver_now(delivery_of(grant, unordered=unordered))
    except Exception as error:  # noqa: BLE001 - a channel is somebody else's code
        outcome = _raised(grant, error)
    return ended(flight, grant, outcome, started)


async def attempt(channel: Loaded, flight: Flight, grant: Grant, *, unordered: bool) -> Ended:
    """The attempt of a channel that waits; cut off at the flight's deadline.

    Cancelled from outside (the worker stops, or the lease is lost) it ends as interrupted. Whatever the channel makes
    of its cancellation, the attempt ends; what it has delivered in that moment counts.
    """
    assert channel.deliver is not None
    started = monotonic()
    loop = asyncio.get_running_loop()
    outcome: object = None
    channel.running += 1
    try:
        async with asyncio.timeout_at(loop.time() + flight.deadline - started) as bound:
            try:
                outcome = await channel.deliver(delivery_of(grant, unordered=unordered))
            except Exception as error:  # noqa: BLE001 - a channel is somebody else's code
                outcome = _raised(grant, error)
            except asyncio.CancelledError as error:
                if bound.expired() or _cancelled_from_outside():
                    raise
                outcome = _raised(grant, error)
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        return Ended(flight, grant, "interrupted", "the worker stopped or lost its lease", 0.0, started, monotonic())
    finally:
        channel.running -= 1
    if bound.expired() and not isinstance(outcome, Delivered | Failed):
        return Ended(flight, grant, "cut", "no answer before the deadline", 0.0, started, monotonic())
    return ended(flight, grant, outcome, started)


def _cancelled_from_outside() -> bool:
    """Whether this task was asked to end; else the channel cancelled something of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def ended(flight: Flight, grant: Grant, outcome: object, started: float) -> Ended:
    """What the channel answered, as it is recorded; what is no outcome counts as an exception would."""
    now = monotonic()
    match outcome:
        case Delivered(str() as answer):
            return Ended(flight, grant, "delivered", _record(answer), 0.0, started, now)
        case Failed(str() as error):
            return Ended(flight, grant, "failed", _record(error), 0.0, started, now)
        case Retry(str() as error, (None | int() | float()) as after_seconds):
            delay = backoff_seconds(grant.attempt, jitter=random.random(), retry_after=after_seconds)  # noqa: S311
            return Ended(flight, grant, "retry", _record(error), delay, started, now)
    logger.warning("channel %s gave a %s, which is no outcome", grant.channel, type(outcome).__name__)
    return ended(flight, grant, Retry(f"{type(outcome).__name__}: the channel's answer is no outcome"), started)


def _record(text: str) -> str:
    """What PostgreSQL can store of a text from outside."""
    text = text[:ANSWER_LENGTH]
    return text if text.isascii() and "\0" not in text else text.replace("\0", " ").encode(errors="replace").decode()


def _raised(grant: Grant, error: BaseException) -> Retry:
    text = f"{type(error).__name__}: {_text(error)}"
    logger.warning("channel %s raised %s", grant.channel, text)
    return Retry(text)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - somebody else's code, too
        return "its text cannot be had"
