"""What the observer is given. All times are whole microseconds since 1970, by the clock of the one machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

SECOND = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Answer = Literal["acknowledged", "refused", "unknown"]

FINAL = ("delivered", "expired", "failed", "purged")


def moment(text: str) -> int:
    """An RFC 3339 time as microseconds."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


class Span(NamedTuple):
    """From a time to a later one."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Produced:
    """One engagement as its producer logged it. Repeats of an id after an unknown answer are the same record."""

    id: str
    user_id: str
    answer: Answer
    """The best that any of its calls was answered: acknowledged, before refused, before unknown."""
    sent_at: int
    """When its first call began."""
    answered_at: int
    """When its last call was answered, or given up."""
    stated: int | None = None
    """The produce time that was sent; None when it was left out."""
    causal_parent: str | None = None
    unordered: bool = False
    timeout_seconds: float | None = None
    call: int = 0
    """Which call of all producers it came by first."""
    place: int = 0
    """Its place in that call's list."""


@dataclass(frozen=True, slots=True)
class Request:
    """One webhook request, as its receiver logged it. The list of requests is in the order of their ends."""

    id: str
    user_id: str
    sequence: int | None
    fencing_token: int | None
    attempt: int
    begun_at: int
    ended_at: int
    """When it was answered, or broke off."""
    status: int | None
    """What was answered in whole; None when it broke off before."""
    produced_at: int
    causal_parent: str | None = None
    unordered: bool = False
    late: bool = False

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the answer ends it as failed: neither 2xx nor one that is tried again."""
        return self.status is not None and 300 <= self.status < 500 and self.status not in (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Told:
    """One engagement as the API tells it at the end."""

    status: str
    user_id: str
    produced_at: int
    received_at: int
    expires_at: int
    settled_at: int | None
    sequence: int | None
    attempts: int
    late: bool
    causal_parent: str | None = None
    unordered: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operator did: replay, purge, skip, pause or resume, of an engagement or of a user's pipeline."""

    kind: Literal["replay", "purge", "skip", "pause", "resume"]
    sent_at: int
    answered_at: int
    id: str = ""
    user_id: str = ""


@dataclass(slots=True)
class History:
    """One run.

    frozen: when a sender stood still and could not know it (SIGSTOP, a network that holds requests back). What a
    frozen worker repeats afterwards is nobody's fault; only that is excused. outages: when PostgreSQL could not be
    reached or no worker lived; deadlines are not judged then. crashes: whether anything was harmed at all, so that
    answers may have been lost and attempts repeated. timeout_seconds: the time-out of what states none; None when it
    is not known. expiry_bound_seconds: how long after its deadline an engagement may be settled. receiver_checks: False
    for a receiver that acts on whatever it answers 2xx to, whatever its number.
    """

    produced: Sequence[Produced]
    requests: Sequence[Request]
    told: Mapping[str, Told]
    operations: Sequence[Operation] = ()
    frozen: Sequence[Span] = ()
    outages: Sequence[Span] = ()
    crashes: bool = True
    timeout_seconds: float | None = None
    expiry_bound_seconds: float = 1.0
    receiver_checks: bool = True
    by_id: dict[str, Produced] = field(init=False)

    def __post_init__(self) -> None:
        self.by_id = {one.id: one for one in self.produced}
