"""What the promises allow, written from docs and not from the store: told what is asked for, it judges what happens.

Violations are collected, not raised: an exception inside a channel would count as a failed attempt.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from tests.support.simulation.receiver import Call
from tests.support.simulation.world import SESSION_SECONDS, World

ON_THE_WAY = 0.1
"""Seconds between a mark or a command in PostgreSQL and what a worker does about it: two ways of a statement."""

OVERSHOOT = 1.0
"""How much later than its deadline an engagement may expire."""

TICK = 0.000_001

FINAL = ("delivered", "expired", "failed", "purged")

Row = tuple[str, datetime, int | None]
"""Status, time of settling (none while pending) and sequence of what is stored."""


@dataclass
class Asked:
    """One life of one engagement. order: what it is sorted by, before it is raised above its parent."""

    id: UUID
    user: str
    number: int
    parent: UUID | None
    unordered: bool
    received: float
    deadline: float
    order: float
    late: bool
    status: str = "pending"
    sequence: int | None = None
    settled: float | None = None
    attempts: list[Call] = field(default_factory=list)
    replayed: bool = False


@dataclass
class Stream:
    """One user. stands: since when its deadlines stand still; went_on: when they last did no more."""

    paused: bool = False
    stands: float | None = None
    went_on: float = -1.0
    calls: list[Call] = field(default_factory=list)
    session_ended: float = -1.0


class Judge:
    """Tell it what is asked for; look() at what became of it; `violations` is empty while the promises hold."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: dict[UUID, Asked] = {}
        self.streams: dict[str, Stream] = {}
        self.violations: list[str] = []
        self.everything_paused = False
        self._number = 0
        world.receiver.watchers.append(self)

    # --- What is asked for ---

    def stream(self, user: str) -> Stream:
        return self.streams.setdefault(user, Stream())

    def produced(
        self,
        *,
        id: UUID,
        user: str,
        parent: UUID | None,
        unordered: bool,
        timeout: float,
        order: float,
        late: bool,
        stated: float | None,
    ) -> None:
        """An engagement was accepted; order and late as the answer says."""
        now = self.world.clock.seconds
        self._number += 1
        asked = Asked(id, user, self._number, parent, unordered, now, now + timeout, order, late)
        if not unordered:
            self.stream(user)
            self._stand_or_go_on()
            self._check_times(asked, stated)
        self.asked[id] = asked

    def replayed(self, id: UUID, *, timeout: float, order: float) -> None:
        now = self.world.clock.seconds
        before = self.asked[id]
        self._number += 1
        if not before.unordered:
            # Behind what is in line as it sorts now: one whose parent came late is raised when its own turn comes.
            for other in self._line(before.user):
                if other.order >= order:
                    self._say(f"{id} was replayed to {order:.6f}, before {other.id}")
        self.asked[id] = Asked(
            id,
            before.user,
            self._number,
            before.parent,
            before.unordered,
            now,
            now + timeout,
            order,
            late=False,
            replayed=True,
        )

    def paused(self, user: str) -> None:
        self.stream(user).paused = True
        self._stand_or_go_on()

    def resumed(self, user: str) -> None:
        self.stream(user).paused = False
        self._stand_or_go_on()

    def everything_was_paused(self) -> None:
        self.everything_paused = True
        self._stand_or_go_on()

    def everything_was_resumed(self) -> None:
        self.everything_paused = False
        self._stand_or_go_on()

    def _stand_or_go_on(self) -> None:
        """Deadlines stand still while the user or everything is paused; they move by that time when neither is."""
        now = self.world.clock.seconds
        for user, stream in self.streams.items():
            stands = stream.paused or self.everything_paused
            if stands and stream.stands is None:
                stream.stands = now
            elif not stands and stream.stands is not None:
                for asked in self._line(user):
                    asked.deadline += now - max(stream.stands, asked.received)
                stream.stands = None
                stream.went_on = now

    def session_ended(self, user: str) -> None:
        self.stream(user).session_ended = self.world.clock.seconds

    def gone(self, worker: object) -> None:
        """This process was killed or frozen: what it has begun cannot be held against it."""
        for stream in self.streams.values():
            for call in stream.calls:
                if call.worker is worker and call.ended is None:
                    call.excused = True

    def _stands_since(self, user: str) -> float | None:
        """Since when nothing of this user may start."""
        return self.stream(user).stands

    def _check_times(self, asked: Asked, stated: float | None) -> None:
        line = [other for other in self.asked.values() if other.user == asked.user and not other.unordered]
        attempted = [self._order(other) for other in line if other.attempts and not self._unclear(other)]
        parent = self.asked.get(asked.parent) if asked.parent else None
        least = stated if stated is not None else asked.received - 0.001
        if parent is not None:
            least = max(least, parent.order)
        if asked.order < least - TICK:
            self._say(f"{asked.id} sorts at {asked.order:.6f}, before {least:.6f}")
        if stated is not None and parent is None and abs(asked.order - stated) > TICK:
            self._say(f"{asked.id} sorts at {asked.order:.6f} and was produced at {stated:.6f}")
        if stated is None and asked.late:
            self._say(f"{asked.id} states no time and is late")
        if asked.late and not any(self._order(other) > asked.order for other in line):
            self._say(f"{asked.id} is flagged late and nothing sorts after it")
        if not asked.late and attempted and max(attempted) > asked.order + TICK:
            self._say(f"{asked.id} came after a later one had been attempted and is not flagged late")

    # --- What happens ---

    def attempt_begins(self, call: Call) -> None:
        asked = self.asked.get(call.id)
        if asked is None:
            self._say(f"{call.id} was attempted and nobody asked for it")
            return
        now = self.world.clock.seconds
        if asked.attempts and asked.attempts[-1].delivery.attempt >= call.delivery.attempt:
            self._say(f"{call.id}: attempt {call.delivery.attempt} after {asked.attempts[-1].delivery.attempt}")
        if now > asked.deadline + ON_THE_WAY and self._stands_since(call.user) is None:
            self._say(f"{call.id} was attempted {now - asked.deadline:.3f} s after its deadline")
        if asked.unordered:
            self._unordered_begins(asked, call)
        else:
            self._ordered_begins(asked, call, now)
        asked.attempts.append(call)

    def _unordered_begins(self, asked: Asked, call: Call) -> None:
        if call.delivery.sequence is not None or call.delivery.fencing_token is not None:
            self._say(f"{call.id} is unordered and carries a sequence or a token")
        for other in asked.attempts:
            if other.ended is None and not other.excused and not other.worker.replaced:
                self._say(f"{call.id} is attempted twice at a time")

    def _ordered_begins(self, asked: Asked, call: Call, now: float) -> None:
        stream = self.stream(call.user)
        delivery = call.delivery
        assert delivery.sequence is not None
        assert delivery.fencing_token is not None
        self._one_at_a_time(stream, call)
        stands = self._stands_since(call.user)
        if stands is not None and now > stands + ON_THE_WAY:
            self._say(f"{call.id} was begun {now - stands:.3f} s after {call.user} was paused")
        status = self._statuses()
        if asked.status != "pending":
            self._say(f"{call.id} was attempted after it was {asked.status}")
        if asked.attempts:
            first = asked.attempts[0].delivery
            if delivery.sequence != first.sequence:
                self._say(f"{call.id} changed its sequence from {first.sequence} to {delivery.sequence}")
        else:
            self._first_attempt(asked, call, now, status)
        self._sticks(stream, call)
        stream.calls.append(call)

    def _one_at_a_time(self, stream: Stream, call: Call) -> None:
        sequence, token = call.delivery.sequence or 0, call.delivery.fencing_token or 0
        for other in stream.calls:
            if other.ended is None and not other.excused and not other.worker.replaced:
                self._say(f"{call.id} is attempted by {call.worker.name} beside {other.id} by {other.worker.name}")
        if stream.calls:
            last = stream.calls[-1].delivery
            if token < (last.fencing_token or 0) or (last.id == call.id and token == last.fencing_token):
                self._say(f"{call.id}: token {token} came after {last.fencing_token}")
            if sequence < (last.sequence or 0):
                self._say(f"{call.id}: sequence {sequence} came after {last.sequence}")
            if last.id != call.id and sequence == last.sequence:
                self._say(f"{call.id}: sequence {sequence} was {last.id}'s")

    def _first_attempt(self, asked: Asked, call: Call, now: float, status: dict[UUID, Row]) -> None:
        own = self._order(asked)
        for other in self._line(call.user):
            if other.id == asked.id or status[other.id][0] in FINAL:
                continue
            if other.attempts:
                self._say(f"{call.id} was begun while {other.id}, which had been attempted, is not settled")
            elif (
                not other.late
                and now - other.received > ON_THE_WAY
                and (self._order(other), other.number) < (own, asked.number)
                and not self._unclear(other)
                and not self._unclear(asked)
            ):
                self._say(f"{call.id} of {own:.6f} was begun before {other.id} of {self._order(other):.6f}")
        parent = self.asked.get(asked.parent) if asked.parent else None
        if asked.parent and not asked.replayed:
            if parent is None:
                self._say(f"{call.id} was begun before its parent {asked.parent} came")
            elif not parent.replayed and status[parent.id][0] == "pending":
                self._say(f"{call.id} was begun before its parent {asked.parent} was settled")

    def _sticks(self, stream: Stream, call: Call) -> None:
        """The same worker as before, unless that was not fit, or the session had ended."""
        if not stream.calls:
            return
        last = stream.calls[-1]
        since = last.ended if last.ended is not None else last.began
        if call.worker.name == last.worker.name or not last.worker.fit or last.worker.fit_since > last.began:
            return
        if stream.session_ended >= last.began or self._idle(call, since):
            return
        self._say(f"{call.user} moved from {last.worker.name} to {call.worker.name} within a session")

    def _idle(self, call: Call, since: float) -> bool:
        """Whether this user's session may have ended between then and the call's own receipt."""
        quiet = [asked.received for asked in self.asked.values() if asked.user == call.user and not asked.unordered]
        moments = sorted([since, *[moment for moment in quiet if moment >= since], self.world.clock.seconds])
        return any(later - earlier >= SESSION_SECONDS - 0.5 for earlier, later in pairwise(moments))

    # --- What became of it ---

    def _statuses(self) -> dict[UUID, Row]:
        rows = self.world.rows("SELECT id, status, settled_at, sequence FROM engagements_engagement")
        return {row[0]: row[1:] for row in rows}

    def look(self) -> None:
        """Compare what is stored with what may be."""
        clock, now = self.world.clock, self.world.clock.seconds
        status = self._statuses()
        able_since = min((worker.fit_since for worker in self.world.workers if worker.fit), default=now)
        for asked in self.asked.values():
            if asked.id not in status:
                self._say(f"{asked.id} is lost")
                continue
            now_is, settled_at, sequence = status[asked.id]
            if asked.status in FINAL and now_is != asked.status:
                self._say(f"{asked.id} was {asked.status} and is {now_is}")
            if asked.status == "pending" and now_is in FINAL:
                asked.settled = clock.seconds_of(settled_at)
                self._settles(asked, now_is, able_since)
                if asked.attempts and not asked.unordered and sequence != asked.attempts[0].delivery.sequence:
                    self._say(f"{asked.id} has sequence {sequence}, sent {asked.attempts[0].delivery.sequence}")
            runs = asked.unordered or self._stands_since(asked.user) is None
            if now_is == "pending" and runs and now > self._due(asked, able_since) + ON_THE_WAY:
                self._say(f"{asked.id} is pending {now - asked.deadline:.3f} s after its deadline")
            asked.status = now_is
        self._attempts_end_in_time()
        self._rows_agree()

    def _settles(self, asked: Asked, status: str, able_since: float) -> None:
        assert asked.settled is not None
        accepted = [call for call in asked.attempts if call.accepted]
        if status == "delivered" and not accepted:
            self._say(f"{asked.id} is delivered and the receiver has not accepted it")
        if len(accepted) > 1:
            self._say(f"{asked.id} was accepted {len(accepted)} times")
        if status == "expired":
            if asked.settled < asked.deadline - 0.001:
                self._say(f"{asked.id} expired {asked.deadline - asked.settled:.3f} s early")
            if asked.settled > self._due(asked, able_since) + ON_THE_WAY:
                self._say(f"{asked.id} expired {asked.settled - asked.deadline:.3f} s late")

    def _due(self, asked: Asked, able_since: float) -> float:
        """When it must have expired. What was overdue already when it was paused can do so only when it goes on."""
        went_on = -1.0 if asked.unordered else self.stream(asked.user).went_on
        return max(asked.deadline, able_since, went_on) + OVERSHOOT

    def _attempts_end_in_time(self) -> None:
        now = self.world.clock.seconds
        for asked in self.asked.values():
            for call in asked.attempts:
                if call.ended is None and not call.excused and call.worker.fit and now > asked.deadline + ON_THE_WAY:
                    self._say(f"{asked.id} is still attempted {now - asked.deadline:.3f} s after its deadline")

    def _rows_agree(self) -> None:
        """What the pipelines' rows say is true of their engagements."""
        for user, depth, due_at, in_service in self.world.rows(
            "SELECT user_id, depth, due_at, in_service FROM engagements_pipeline"
        ):
            pending = [asked for asked in self._line(user) if asked.status == "pending"]
            if depth != len(pending) or (due_at is None) != (depth == 0):
                self._say(f"{user} has {len(pending)} pending; its row says {depth}, due {due_at}")
            if in_service is not None and in_service not in {asked.id for asked in pending}:
                self._say(f"{user} has {in_service} in service, which is not pending")

    # --- Reading the model ---

    def pending(self) -> list[UUID]:
        return [asked.id for asked in self.asked.values() if asked.status == "pending"]

    def _line(self, user: str) -> list[Asked]:
        return [
            asked
            for asked in self.asked.values()
            if asked.user == user and not asked.unordered and asked.status == "pending"
        ]

    def _order(self, asked: Asked) -> float:
        """Its order time, raised above its parent's, however far up; one that was replayed waits for no parent."""
        order = asked.order
        for steps, ancestor in enumerate(self._ancestors(asked), 1):
            order = max(order, ancestor.order + steps * TICK)
        return order

    def _unclear(self, asked: Asked) -> bool:
        """Whether an ancestor may have been raised or not: it was replayed, or settled before its turn came."""
        return any(
            ancestor.replayed or (ancestor.status in FINAL and not ancestor.attempts)
            for ancestor in self._ancestors(asked)
        )

    def _ancestors(self, asked: Asked) -> Iterator[Asked]:
        """Those that are known, from the parent up; of concern only to one that was not replayed."""
        seen = {asked.id}
        while not asked.replayed and asked.parent in self.asked and asked.parent not in seen:
            seen.add(asked.parent)
            asked = self.asked[asked.parent]
            yield asked

    def _say(self, what: str) -> None:
        self.violations.append(f"at {self.world.clock.seconds:.6f}: {what}")
