"""Judging recorded history against promises 1 to 5: what was attempted when, in which order, and how it ended.

Times of attempts are PostgreSQL's clock less what a worker's own clock measured, so each is recorded no earlier than
it was; under a clock that runs forward no correct history is ever called wrong. What the record cannot decide is not
judged: the former lives of what was replayed, parents that were replayed or deleted, deadlines during which PostgreSQL
or all workers may have been away.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

ROUNDING = timedelta(milliseconds=1)
"""What adding a duration kept in binary to a time kept in microseconds, and a clock being slewed, may amount to."""

EXPIRY_BOUND = timedelta(seconds=1)
"""Promise 3: how long after its deadline an engagement may still be pending."""

KEPT = 100
"""Violations of one promise that are kept in words; all are counted."""

TITLES = {
    1: "Per-user order: one at a time, in order time, never a step back",
    2: "Causal order: a child is not attempted before its parent is settled",
    3: "Bounded wait: settled within 1 s of the deadline",
    4: "Nothing is lost: exactly one final status",
    5: "Sequence and fencing token only grow, and every delivery has them",
}

FINAL_OUTCOMES = ("delivered", "failed")


class Tried(NamedTuple):
    """One recorded attempt."""

    number: int
    sequence: int | None
    token: int
    started_at: datetime
    ended_at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class ParentRecord:
    """The causal parent, where it is still on record."""

    received_at: datetime
    settled_at: datetime | None
    replays: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """One ordered engagement as it is on record at `now`. sequence: also of one that is in service and not settled."""

    id: UUID
    status: str
    order_time: datetime
    arrival: int
    expires_at: datetime
    settled_at: datetime | None
    late: bool
    replays: int
    sequence: int | None
    causal_parent: UUID | None
    parent: ParentRecord | None
    paused: bool
    now: datetime
    attempts: Sequence[Tried] = ()


class Span(NamedTuple):
    """A time during which PostgreSQL was up and some one worker lived."""

    start: datetime
    end: datetime


@dataclass(slots=True)
class Check:
    """The verdict on one promise: it holds when count is 0."""

    promise: int
    violations: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def title(self) -> str:
        return TITLES[self.promise]


class Judge:
    """Judges one user's history. Show it the engagements with a number in that order, then those without, in any."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.checks = [Check(promise) for promise in TITLES]
        self._spans = tuple(spans)
        self._greatest: Recorded | None = None
        self._last_attempt: tuple[Recorded, Tried] | None = None

    def see(self, engagement: Recorded) -> None:
        life = [attempt for attempt in engagement.attempts if attempt.sequence == engagement.sequence]
        if engagement.sequence is None:
            life = []
        else:
            self._order(engagement)
            self._attempts(engagement, life)
        self._causality(engagement, life)
        self._deadline(engagement, life)
        self._one_end(engagement, life)
        self._numbers(engagement)

    def lost(self, detail: str) -> None:
        """What somebody who compared the pipeline's row with its engagements found."""
        self._violated(4, detail)

    def _violated(self, promise: int, detail: str) -> None:
        check = self.checks[promise - 1]
        check.count += 1
        if len(check.violations) < KEPT:
            check.violations.append(detail)

    def _order(self, this: Recorded) -> None:
        greatest = self._greatest
        if greatest is None or _place(this) > _place(greatest):
            self._greatest = this
        elif not this.late:
            self._violated(1, f"{_name(this)} came after {_name(greatest)}, which stands behind it in order time")

    def _attempts(self, this: Recorded, life: list[Tried]) -> None:
        for attempt in sorted(life, key=lambda attempt: attempt.number):
            what = f"attempt {attempt.number} of {_name(this)}"
            if self._last_attempt is not None:
                other, last = self._last_attempt
                if attempt.started_at < last.ended_at - ROUNDING:
                    self._violated(1, f"{what} began before attempt {last.number} of {_name(other)} had ended")
                if attempt.token < last.token:
                    self._violated(
                        5, f"{what} has token {attempt.token}, attempt {last.number} of {_name(other)} had {last.token}"
                    )
            if this.settled_at is not None and attempt.started_at > this.settled_at + ROUNDING:
                self._violated(1, f"{what} began after the engagement was settled")
            self._last_attempt = (this, attempt)

    def _causality(self, this: Recorded, life: list[Tried]) -> None:
        parent = this.parent
        if not life or parent is None or parent.replays or this.replays:
            return
        began = min(attempt.started_at for attempt in life)
        if parent.settled_at is None or began < parent.settled_at - ROUNDING:
            self._violated(2, f"{_name(this)} was attempted before its parent {this.causal_parent} was settled")

    def _deadline(self, this: Recorded, life: list[Tried]) -> None:
        bound = this.expires_at + EXPIRY_BOUND
        if this.status == "expired" and not this.late and _settled(this) < this.expires_at - ROUNDING:
            early = (this.expires_at - _settled(this)).total_seconds()
            self._violated(3, f"{_name(this)} was settled as expired {early:.3f} s before its deadline")
        if this.status == "purged" or this.paused or not self._watched(this.expires_at, bound):
            return
        ended = this.now if this.settled_at is None else this.settled_at
        if ended > bound:
            over = (ended - this.expires_at).total_seconds()
            what = "is still pending" if this.settled_at is None else f"was settled as {this.status}"
            self._violated(3, f"{_name(this)} {what} {over:.3f} s after its deadline")
        for attempt in life:
            if attempt.ended_at > bound + ROUNDING:
                over = (attempt.ended_at - this.expires_at).total_seconds()
                self._violated(
                    3, f"attempt {attempt.number} of {_name(this)} ran until {over:.3f} s after the deadline"
                )

    def _watched(self, start: datetime, end: datetime) -> bool:
        return any(span.start <= start and end <= span.end for span in self._spans)

    def _one_end(self, this: Recorded, life: list[Tried]) -> None:
        final = this.status != "pending"
        if final != (this.settled_at is not None):
            self._violated(4, f"{_name(this)} is {this.status} with a time of settling of {this.settled_at}")
        ends = [attempt.outcome for attempt in life if attempt.outcome in FINAL_OUTCOMES]
        if len(ends) > 1:
            self._violated(4, f"{_name(this)} ended {len(ends)} times: {', '.join(ends)}")
        elif ends and ends[0] != this.status:
            self._violated(4, f"{_name(this)} is {this.status}, but an attempt ended it as {ends[0]}")
        elif not ends and this.status in FINAL_OUTCOMES:
            self._violated(4, f"{_name(this)} is {this.status}, but no attempt ended so")

    def _numbers(self, this: Recorded) -> None:
        if this.sequence is None:
            if this.status == "delivered":
                self._violated(5, f"{_name(this)} was delivered without a sequence")
            elif this.attempts and not this.replays:
                self._violated(5, f"{_name(this)} was attempted without a sequence")
            return
        for attempt in this.attempts:
            if attempt.sequence is None or attempt.sequence > this.sequence:
                self._violated(5, f"attempt {attempt.number} of {_name(this)} carried sequence {attempt.sequence}")


def _place(engagement: Recorded) -> tuple[datetime, int]:
    return engagement.order_time, engagement.arrival


def _settled(engagement: Recorded) -> datetime:
    return engagement.settled_at or engagement.now


def _name(engagement: Recorded) -> str:
    number = "no sequence" if engagement.sequence is None else f"sequence {engagement.sequence}"
    return f"{engagement.id} ({number})"
