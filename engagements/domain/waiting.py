"""Why the head of a pipeline has not been delivered: one sentence for whoever asks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

BLOCKED_SECONDS = 2.0
"""A pipeline is blocked when its head cannot go now, or should have gone for so long:

- it waits for its causal parent, or is being retried (between two attempts, or in a second or later one);
- its worker is dead, or there is none;
- nobody works on it for this long although it is due, or a first attempt runs for this long.

What is paused, or only held for the reorder window, is not blocked. Twice what a lost wake-up may cost.
"""

PLACE_LIMIT = 100
"""Places in line are counted up to here; counting on would cost more than it tells."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What the head waits for. status None: not known yet. place: its place in its user's line, 1 for the first."""

    id: UUID
    status: str | None = None
    user_id: str = ""
    unordered: bool = False
    place: int | None = None


@dataclass(frozen=True, slots=True)
class PendingHead:
    """The first in line. attempt: the number of the attempt that runs or ran last, when it is in service.

    since: the latest moment before which the running attempt cannot have begun. parent: only one that is waited for.
    """

    channel: str
    channel_kind: str
    expires_at: datetime
    held_until: datetime
    in_service: bool
    attempt: int
    since: datetime
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A pipeline as its row and its head describe it. worker_alive: the pinned worker; any_alive: some worker."""

    now: datetime
    head: PendingHead | None
    paused_at: datetime | None
    everything_paused_at: datetime | None
    due_at: datetime | None
    worker: str | None
    worker_alive: bool
    any_alive: bool
    lease_worker: str | None
    lease_until: datetime | None

    @property
    def leased(self) -> bool:
        return self.lease_until is not None and self.lease_until > self.now


def why_waiting(line: Line) -> str | None:
    """The sentence, without a full stop; None when nothing is pending."""
    head = line.head
    if head is None:
        return None
    if line.paused_at is not None:
        return _paused("paused", line.paused_at, line, head)
    if line.everything_paused_at is not None:
        return _paused("everything is paused", line.everything_paused_at, line, head)
    expires = f"expires in {_seconds(line.now, head.expires_at)}"
    if head.expires_at <= line.now:
        return f"its deadline passed {_seconds(head.expires_at, line.now)} ago; it is being settled as expired"
    if head.in_service and line.leased:
        return f"{_running(line, head)}; {expires}"
    if line.leased:
        return (
            f"waits until {line.lease_worker} lets go of what it attempted before, at most "
            f"{_seconds(line.now, line.lease_until)}; {expires}"
        )
    if head.in_service:
        what = f"attempt {head.attempt + 1} on {_channel(head)}"
        if line.due_at is not None and line.due_at > line.now:
            return f"{what} in {_seconds(line.now, line.due_at)}; {expires}"
        return f"{what} is due; {_who(line)}; {expires}"
    if head.parent is not None:
        return f"waits for its parent {_parent(head.parent)}; {expires}"
    if head.held_until > line.now:
        return f"held for the reorder window, {_seconds(line.now, head.held_until)} more"
    if line.due_at is not None and line.due_at > line.now:
        return f"looked at again in {_seconds(line.now, line.due_at)}; {expires}"
    return f"due; {_who(line)}" if line.any_alive else "no worker is alive"


def is_blocked(line: Line, *, window: timedelta) -> bool:
    """Whether the head is stuck, as BLOCKED_SECONDS says. window: of reordering, for which a head is only held."""
    head = line.head
    if head is None or line.due_at is None or line.paused_at is not None or line.everything_paused_at is not None:
        return False
    if not line.worker_alive:
        return True
    if head.in_service and (head.attempt > 1 or not line.leased):
        return True
    if not head.in_service and line.due_at > line.now + window:
        return True
    return max(head.since, line.due_at) <= line.now - timedelta(seconds=BLOCKED_SECONDS)


def _paused(what: str, since: datetime, line: Line, head: PendingHead) -> str:
    sentence = f"{what} since {since:%Y-%m-%d %H:%M:%S} UTC"
    if head.in_service and line.leased:
        sentence += f"; {_running(line, head)}, which may finish"
    return sentence


def _running(line: Line, head: PendingHead) -> str:
    lasting = _seconds(head.since, line.now)
    return f"attempt {head.attempt} on {_channel(head)} is running on {line.lease_worker} for {lasting}"


def _channel(head: PendingHead) -> str:
    return head.channel if head.channel == head.channel_kind else f"{head.channel_kind} {head.channel}".strip()


def _who(line: Line) -> str:
    if line.worker is not None and line.worker_alive:
        return f"worker {line.worker} takes it next"
    if not line.any_alive:
        return "no worker is alive"
    if line.worker is None:
        return "a worker is being chosen"
    return f"its worker {line.worker} is dead, another takes over"


def short_of(parent: Parent) -> str:
    """How the sentence names a parent."""
    return f"{parent.id.hex[:8]}…"


def _parent(parent: Parent) -> str:
    short = short_of(parent)
    if parent.status is None:
        return f"{short}, which has not arrived"
    if parent.unordered:
        return f"{short} of user {parent.user_id}, which is unordered"
    if parent.place is None or parent.place > PLACE_LIMIT:
        return f"{short} of user {parent.user_id}, which has more than {PLACE_LIMIT} before it"
    if parent.place == 1:
        return f"{short} of user {parent.user_id}, which is first in line"
    return f"{short} of user {parent.user_id}, which is {_ordinal(parent.place)} in line"


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _seconds(start: datetime, end: datetime | None) -> str:
    seconds = max(0.0, (end - start).total_seconds()) if end is not None else 0.0
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds // 60:.0f} min"
