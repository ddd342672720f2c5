"""One user's course through the engine: claimed, attempted, settled, next. All of it inside the loop's thread."""

import asyncio
import math
from dataclasses import dataclass
from time import monotonic

from engagements.store.heads import Grant
from engagements.store.settle import Settlement

STUBBORN_SECONDS = 1.0
"""How long a channel may take to end an attempt that is cut off: it must let its cancellation pass."""


@dataclass(slots=True)
class Flight:
    """A user whom the engine works on. Times are of the monotonic clock.

    grant: what is attempted or waits to be settled; None while the claim runs. lease_until: after that nothing may be
    sent under this lease. cut_at: when the attempt was told to end before its deadline. again: somebody announced work
    meanwhile, so look once more when the flight ends.
    """

    user_id: str
    grant: Grant | None = None
    granted_at: float = 0.0
    deadline: float = 0.0
    lease_until: float = 0.0
    attempt: asyncio.Task[None] | None = None
    cut_at: float = math.inf
    again: bool = False

    def cut(self) -> None:
        """End the attempt that runs, if one does."""
        if self.attempt is not None:
            self.attempt.cancel()
            self.cut_at = min(self.cut_at, monotonic())

    def abandon(self) -> "Ended | None":
        """The end of an attempt that is over and that its channel does not let go of; what comes of it is ignored."""
        now = monotonic()
        if self.attempt is None or self.grant is None or now < min(self.deadline, self.cut_at) + STUBBORN_SECONDS:
            return None
        self.attempt.cancel()
        self.attempt = None
        outcome = "cut" if now >= self.deadline else "interrupted"
        return Ended(self, self.grant, outcome, "the channel did not let go of the attempt", 0.0, self.granted_at, now)


@dataclass(slots=True)
class Ended:
    """An attempt that ended and has to be recorded. outcome: a models.Attempt.Outcome. tries: how often it was tried to
    settle it while the pipeline's row was locked."""

    flight: Flight
    grant: Grant
    outcome: str
    answer: str
    delay: float
    started_at: float
    ended_at: float
    tries: int = 0


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
