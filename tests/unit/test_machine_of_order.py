"""The rules of the domain played against each other, with nothing but the pure functions and a clock of its own.

Lines of engagements are produced, looked at and settled in any order of events, as the store does it under its locks.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engagements.domain.head import Decision, Expire, Head, Raise, Serve, Wait, consider
from engagements.domain.moves import Move, Status
from engagements.domain.ordering import held_until, is_late, order_time

WINDOW = timedelta(milliseconds=100)

USERS = ("ann", "bob", "cem")

users = st.sampled_from(USERS)
moments = st.none() | st.integers(-2_000, 4_000)
"""A stated produce time, in milliseconds from now."""


@dataclass
class One:
    """An engagement of the model."""

    number: int
    user: str
    received: datetime
    order: datetime
    held: datetime
    expires: datetime
    late: bool
    parent: int | None
    status: Status = Status.PENDING
    attempted: bool = False

    def move(self, move: Move) -> None:
        assert move.allowed_from(self.status), f"{move} from {self.status}"
        self.status = move.target


class Lines(RuleBasedStateMachine):
    """One line per user; what is in service is what was marked and has not settled."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)
        self.all: dict[int, One] = {}
        self.coming: list[int] = []
        """Numbers that were named as a parent and have not come."""
        self.in_service: dict[str, One] = {}
        self.last: dict[str, datetime] = {}

    # --- What happens ---

    @rule(milliseconds=st.sampled_from([1, 30, 100, 700, 5_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += timedelta(milliseconds=milliseconds)

    @rule(user=users, stated=moments, parent=st.none() | st.integers(0, 5), seconds=st.sampled_from([0.05, 1, 30]))
    def produce(self, user: str, stated: int | None, parent: int | None, seconds: float) -> None:
        self._produce(len(self.all) + len(self.coming), user, stated, self._known(parent), seconds)

    @rule(user=users)
    def produce_a_child_of_nobody_yet(self, user: str) -> None:
        number = len(self.all) + len(self.coming)
        self.coming.append(number)
        self._produce(number + 1, user, None, number, 30)

    @precondition(lambda self: self.coming)
    @rule(user=users, stated=moments)
    def the_parent_comes(self, user: str, stated: int | None) -> None:
        self._produce(self.coming.pop(0), user, stated, None, 30)

    @rule(user=users)
    def look(self, user: str) -> None:
        """What a claim does, until nothing more can be done with this line at this moment."""
        while (head := self._head(user)) is not None and self._do(head, self._decide(head)):
            pass

    @rule(user=users, move=st.sampled_from([Move.DELIVER, Move.FAIL, None]))
    def attempt_ends(self, user: str, move: Move | None) -> None:
        """None: it is to be tried again, and stays where it is."""
        if move is not None and user in self.in_service:
            self.in_service.pop(user).move(move)

    @rule(user=users)
    def purge(self, user: str) -> None:
        self.in_service.pop(user, None)
        for one in self._line(user):
            one.move(Move.PURGE)

    # --- What must hold ---

    @invariant()
    def no_wait_for_a_parent_leads_back_to_itself(self) -> None:
        """A line waits for its head's parent, which waits for the head of its own line; each sorts earlier."""
        for user in USERS:
            head, seen = self._head(user), set()
            while head is not None and head.parent in self.all and self._waits_for_parent(head):
                assert head.number not in seen, "a circle of waits"
                seen.add(head.number)
                parent = self.all[head.parent]
                assert parent.order < head.order
                head = self._head(parent.user)

    def teardown(self) -> None:
        """With time everything ends, whatever waits for whatever."""
        self.now += timedelta(seconds=31)
        for _ in range(len(self.all) + 1):
            for user in USERS:
                self.look(user)
        assert all(one.status.settled for one in self.all.values())

    # --- The line, as the store keeps it ---

    def _produce(self, number: int, user: str, stated: int | None, parent: int | None, seconds: float) -> None:
        moment = None if stated is None else self.now + timedelta(milliseconds=stated)
        last = self.last.get(user)
        known = self.all.get(parent) if parent is not None else None
        order = order_time(
            stated=moment, received_at=self.now, last_attempted=last, parent=known.order if known else None
        )
        late = is_late(order_time=order, last_attempted=last)
        assert not (late and moment is None), "an unstated time is never late"
        held = held_until(stated=moment is not None, order_time=order, received_at=self.now, window=WINDOW)
        expires = self.now + timedelta(seconds=seconds)
        self.all[number] = One(number, user, self.now, order, held, expires, late, parent)

    def _decide(self, one: One) -> Decision:
        parent = self.all.get(one.parent) if one.parent is not None else None
        head = Head(
            order_time=one.order,
            held_until=one.held,
            expires_at=one.expires,
            in_service=one is self.in_service.get(one.user),
            has_parent=one.parent is not None,
            parent_status=parent.status if parent else None,
            parent_order_time=parent.order if parent else None,
        )
        return consider(head, now=self.now)

    def _do(self, head: One, decision: Decision) -> bool:
        """Whether the line has a head to look at anew."""
        match decision:
            case Serve():
                self._serve(head)
                return False
            case Wait(until):
                assert self.now < until <= head.expires, "a wait that is over, or longer than the deadline"
                return False
            case Raise(order):
                assert not head.attempted, "what was attempted was raised"
                assert order > head.order
                head.order = order
            case Expire():
                assert head.expires <= self.now
                self.in_service.pop(head.user, None)
                head.move(Move.EXPIRE)
        return True

    def _serve(self, head: One) -> None:
        assert self.in_service.setdefault(head.user, head) is head, "two at a time"
        if head.attempted:
            return
        parent = self.all.get(head.parent) if head.parent is not None else None
        assert head.parent is None or (parent is not None and parent.status.settled), "before its parent"
        last = self.last.get(head.user)
        assert head.late or last is None or head.order >= last, "a step back that is not flagged late"
        head.attempted = True
        self.last[head.user] = head.order if last is None else max(last, head.order)

    def _head(self, user: str) -> One | None:
        line = self._line(user)
        return self.in_service.get(user) or min(line, key=lambda one: one.order, default=None)

    def _line(self, user: str) -> list[One]:
        return [one for one in self.all.values() if one.user == user and not one.status.settled]

    def _known(self, which: int | None) -> int | None:
        recent = list(self.all)[-6:]
        return recent[which % len(recent)] if which is not None and recent else None

    def _waits_for_parent(self, one: One) -> bool:
        decision = self._decide(one)
        assert one.parent is not None
        parent = self.all.get(one.parent)
        return isinstance(decision, Wait) and parent is not None and not parent.status.settled


TestLines = Lines.TestCase
TestLines.settings = settings(
    max_examples=2_000 if "SIMULATION_STEPS" in os.environ else 25,
    stateful_step_count=40,
    deadline=None,
    database=None,
    print_blob=True,
)
