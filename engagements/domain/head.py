"""What to do with the head of a pipeline: the one decision that order rests on, as a pure function that takes now."""

from dataclasses import dataclass
from datetime import datetime

from engagements.domain.moves import Status
from engagements.domain.ordering import above


@dataclass(frozen=True, slots=True)
class Head:
    """The first of a pipeline, with what is known of its causal parent (None: no parent, or not known yet)."""

    order_time: datetime
    held_until: datetime
    expires_at: datetime
    in_service: bool
    has_parent: bool
    parent_status: Status | None = None
    parent_order_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Serve:
    """Mark it in service and attempt it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can happen before `until`, unless something is produced, settled or changed meanwhile."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Raise:
    """Its parent sorts later: give it this order time and pick the head again."""

    order_time: datetime


@dataclass(frozen=True, slots=True)
class Expire:
    """Its deadline has passed."""


Decision = Serve | Wait | Raise | Expire


def consider(head: Head, *, now: datetime) -> Decision:
    """Decide for a head whose pipeline row is locked, so that no parent can settle unseen between look and wait.

    One in service has been attempted: it is only ever served again or expired, never raised, held or made to wait.
    """
    if head.expires_at <= now:
        return Expire()
    if head.in_service:
        return Serve()
    if head.has_parent:
        raised = above(head.order_time, head.parent_order_time)
        if raised > head.order_time:
            return Raise(raised)
        if head.parent_status is None or not head.parent_status.settled:
            return Wait(head.expires_at)
    if head.held_until > now:
        return Wait(min(head.held_until, head.expires_at))
    return Serve()
