"""One user's course through the engine: claimed, attempted, settled, next. All of it inside the loop's thread."""

import asyncio
from dataclasses import dataclass

from engagements.store.heads import Grant
from engagements.store.settle import Settlement


@dataclass(slots=True)
class Flight:
    """A user whom the engine works on. Times are of the monotonic clock.

    grant: what is attempted or waits to be settled; None while the claim runs. lease_until: after that nothing may be
    sent under this lease. again: somebody announced work meanwhile, so look once more when the flight ends.
    """

    user_id: str
    grant: Grant | None = None
    granted_at: float = 0.0
    deadline: float = 0.0
    lease_until: float = 0.0
    attempt: asyncio.Task[None] | None = None
    again: bool = False


@dataclass(slots=True)
class Ended:
    """An attempt that ended and has to be recorded. outcome: a models.Attempt.Outcome."""

    flight: Flight
    grant: Grant
    outcome: str
    answer: str
    delay: float
    started_at: float
    ended_at: float


def settlement_of(ended: Ended, now: float) -> Settlement:
    """What the store needs to know; now: the monotonic clock just before the statement is sent."""
    grant = ended.grant
    return Settlement(
        grant.user_id,
        grant.token,
        grant.id,
        ended.outcome,
        ended.answer,
        ended.delay,
        now - ended.ended_at,
        ended.ended_at - ended.started_at,
    )
