"""Everything that may happen to the system, as rules that Hypothesis draws; the judge says what may come of it."""

import random
from typing import Any
from uuid import UUID

from hypothesis import assume, currently_in_test_context, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engagements import services
from engagements.domain.errors import Conflict
from engagements.models import Engagement
from engagements.services import BulkItem
from tests.support.simulation.judge import Judge
from tests.support.simulation.receiver import HANG
from tests.support.simulation.worker import SimulatedWorker
from tests.support.simulation.world import World

USERS = ("ann", "bob", "cem")
WORKERS = ("w1", "w2", "w3")
SETTLES = ("settle-1", "settle-2", "settle-deep")
"""The connections that come back last: what is to be settled by them is old by then."""

users = st.sampled_from(USERS)
workers = st.sampled_from(WORKERS)
answers = st.lists(
    st.tuples(
        st.sampled_from(["ok", "ok", "ok", "retry", "fail", "raise"]), st.sampled_from([0.0, 0.01, 0.2, 1.5, HANG])
    ),
    min_size=1,
    max_size=3,
)
timeouts = st.sampled_from([12.0, 12.0, 6.0, 1.0, 0.3])
ages = st.none() | st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0, 2.0, -0.5, -4.0])
"""How long ago it says it was produced; below 0: a producer's clock that runs ahead."""


class Machine(RuleBasedStateMachine):
    """Rules act at a moment; time passes only in rules that say so."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[UUID] = []
        self.expected: list[UUID] = []
        """Parents that were named and have not come."""

    @initialize(seed=st.integers(0, 2**32), number=st.integers(1, 3))
    def begin(self, seed: int, number: int) -> None:
        self.world = World(random.Random(seed))
        self.judge = Judge(self.world)
        self.ids = random.Random(seed + 1)
        self.context = self.world.running()
        self.context.__enter__()
        for name in WORKERS[:number]:
            self.world.start(name)
        self.world.advance(0.2)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if not self.judge.violations:
                self._everything_ends()
        finally:
            self.context.__exit__(None, None, None)

    @invariant()
    def the_promises_hold(self) -> None:
        if hasattr(self, "world"):
            self.judge.look()
            assert not self.judge.violations, "\n".join(self.judge.violations)
            assert not self.world.broken, f"engines ended by themselves: {self.world.broken}"

    # --- Time ---

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.08, 0.2, 0.6]))
    def a_moment_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.2]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(seconds=st.sampled_from([2.0, 4.0, 6.5, 12.0]))
    def seconds_pass(self, seconds: float) -> None:
        self.world.advance(seconds)

    # --- Producers ---

    @rule(
        user=users,
        age=ages,
        answers=answers,
        timeout=timeouts,
        unordered=st.sampled_from([False, False, False, True]),
        parent=st.none() | st.integers(0, 6),
    )
    def produce(
        self, user: str, age: float | None, answers: list[Any], timeout: float, unordered: bool, parent: int | None
    ) -> None:
        fields = self._fields(user, age, answers, timeout, unordered, None if unordered else self._parent(parent))
        self._produce([fields])

    @rule(
        items=st.lists(st.tuples(users, ages, answers, timeouts, st.none() | st.integers(0, 6)), min_size=2, max_size=6)
    )
    def produce_bulk(self, items: list[Any]) -> None:
        self._produce(
            [
                self._fields(user, age, answers, timeout, False, self._parent(parent))
                for user, age, answers, timeout, parent in items
            ]
        )

    @rule(user=users, child=users, answers=answers)
    def produce_a_child_before_its_parent(self, user: str, child: str, answers: list[Any]) -> None:
        parent = UUID(int=self.ids.getrandbits(128))
        self._produce([self._fields(child, None, answers, 12.0, False, parent)])
        self.expected.append(parent)

    @precondition(lambda self: self.expected)
    @rule(user=users, age=ages, answers=answers, parent=st.none() | st.integers(0, 6))
    def the_parent_comes(self, user: str, age: float | None, answers: list[Any], parent: int | None) -> None:
        fields = self._fields(user, age, answers, 12.0, False, self._parent(parent))
        fields["id"] = self.expected.pop(0)
        assume(fields.get("causal_parent") != fields["id"])
        self._produce([fields])

    @precondition(lambda self: self.known)
    @rule(which=st.integers(0, 50), settled=st.booleans())
    def replay(self, which: int, settled: bool) -> None:
        failed = [id for id in self.known if self.judge.asked[id].status in ("failed", "expired")]
        choice = failed if settled and failed else self.known
        id = choice[which % len(choice)]
        self.judge.look()
        before = self.world.rows("SELECT status FROM engagements_engagement WHERE id = %s", [id])[0][0]
        try:
            engagement = self.world.call(services.replay, id, actor="test")
        except Conflict:
            assert before not in ("failed", "expired")
        else:
            assert before in ("failed", "expired")
            clock = self.world.clock
            timeout = (engagement.expires_at - engagement.received_at).total_seconds()
            self.judge.replayed(id, timeout=timeout, order=clock.seconds_of(engagement.order_time))

    # --- Operators ---

    @rule(user=users, what=st.sampled_from(["pause", "resume", "resume", "purge", "skip", "end session"]))
    def an_operator_does(self, user: str, what: str) -> None:
        match what:
            case "pause":
                self.world.call(services.pause, user, actor="test")
                self.judge.paused(user)
            case "resume":
                self._resume(user)
            case "purge":
                self._purge(user)
            case "skip":
                self._skip(user)
            case _:
                self._if_known(services.end_session, user)
                self.judge.session_ended(user)

    @rule(pause=st.sampled_from([True, False, False]))
    def everything_is(self, pause: bool) -> None:
        """Paused or resumed."""
        self.judge.look()
        if pause:
            self.world.call(services.pause_everything, actor="test")
            self.judge.everything_was_paused()
        else:
            self.world.call(services.resume_everything, actor="test")
            self.judge.everything_was_resumed()

    def _resume(self, user: str) -> None:
        self._if_known(services.resume, user)
        self.judge.look()
        self.judge.resumed(user)

    def _purge(self, user: str) -> None:
        pending = self._pending(user)
        purged = self._if_known(services.purge, user)
        assert (purged or 0) == len(pending)
        assert self._pending(user) == []

    def _skip(self, user: str) -> None:
        pending = self._pending(user)
        if pending:
            for id in pending:  # only one of them is the head
                try:
                    self.world.call(services.skip, user, id, actor="test")
                except Conflict:
                    continue
                assert len(self._pending(user)) == len(pending) - 1
                return
            raise AssertionError("none of what is pending is the head")

    # --- Workers ---

    @rule(name=workers)
    def a_worker_starts(self, name: str) -> None:
        """Also in the place of one of that name, which is superseded."""
        self.world.start(name)

    @rule(
        name=workers,
        what=st.sampled_from(
            ["stop", "kill", "freeze", "thaw", "cut off", "reconnect", "half reconnect", "lose answer", "lose request"]
        ),
    )
    def a_worker_suffers(self, name: str, what: str) -> None:
        """Signals, no database for a while, or one statement lost, before or after its commit."""
        for worker in self._processes(name):
            match what:
                case "stop" if worker.runs:
                    worker.stop()
                case "kill":
                    self.judge.gone(worker)
                    worker.kill()
                case "freeze":
                    self.judge.gone(worker)
                    worker.freeze()
                case "thaw" if worker.frozen:
                    worker.thaw()
                case "cut off":
                    worker.disconnect()
                case "reconnect" if worker.cut_off:
                    worker.reconnect()
                case "half reconnect" if worker.cut_off:
                    worker.disconnect(SETTLES)
                case "lose answer" | "lose request":
                    worker.lose_answer, worker.lose_request = what == "lose answer", what == "lose request"
                    worker.fit_since = self.world.clock.seconds

    # --- The broker ---

    @rule(
        loses=st.sampled_from([0.0, 0.5, 1.0]), doubles=st.sampled_from([0.0, 0.5]), delays=st.sampled_from([0.0, 0.5])
    )
    def the_broker_changes(self, loses: float, doubles: float, delays: float) -> None:
        broker = self.world.broker
        broker.loses, broker.doubles, broker.delays = loses, doubles, delays

    # --- How it ends ---

    def _everything_ends(self) -> None:
        """All is well again: what could be delivered is, all settles, and the promises held to the end."""
        world = self.world
        for user in USERS:
            self._resume(user)
        self.everything_is(pause=False)
        for worker in world.workers:
            if worker.alive:
                self.judge.gone(worker)
                worker.kill()
        world.start("w9")
        world.advance(0.5)
        due = [asked.id for asked in self.judge.asked.values() if asked.status == "pending"]
        for _ in range(50):
            self.the_promises_hold()
            if not self.judge.pending():
                break
            world.advance(1.0)
        self.the_promises_hold()
        if currently_in_test_context():
            note(f"{len(due)} were pending when all was well again")
        assert not self.judge.pending(), "not everything has settled"

    # --- Words ---

    def _processes(self, name: str) -> list[SimulatedWorker]:
        return [worker for worker in self.world.workers if worker.alive and worker.name == name]

    def _pending(self, user: str) -> list[UUID]:
        sql = """
        SELECT id FROM engagements_engagement WHERE user_id = %s AND status = 'pending' AND NOT unordered
        """
        return [id for (id,) in self.world.rows(sql, [user])]

    def _if_known(self, service: Any, user: str) -> Any:
        if self.world.rows("SELECT FROM engagements_pipeline WHERE user_id = %s", [user]):
            return self.world.call(service, user, actor="test")
        return None

    def _parent(self, which: int | None) -> UUID | None:
        """One of the last that were produced."""
        recent = self.known[-7:]
        return recent[which % len(recent)] if which is not None and recent else None

    def _fields(
        self, user: str, age: float | None, answers: list[Any], timeout: float, unordered: bool, parent: UUID | None
    ) -> dict[str, Any]:
        return {
            "id": UUID(int=self.ids.getrandbits(128)),
            "user_id": user,
            "payload": {"answers": answers},
            "timeout_seconds": timeout,
            **({} if age is None else {"produced_at": self.world.clock.at(self.world.clock.seconds - age)}),
            **({"unordered": True} if unordered else {}),
            **({} if parent is None else {"causal_parent": parent}),
            "channel": "log",
        }

    def _produce(self, items: list[dict[str, Any]]) -> None:
        cyclic = self._cyclic(items)
        results: list[BulkItem] = self.world.call(services.produce_bulk, items)
        refused = [result.index for result in results if result.status == "refused"]
        assert refused == cyclic, [result.error for result in results]
        stored = {row.id: row for row in Engagement.objects.filter(id__in=[item["id"] for item in items])}
        for place, item in enumerate(items):
            if place in refused:
                continue
            row = stored[item["id"]]
            self.known.append(row.id)
            self.judge.produced(
                id=row.id,
                user=row.user_id,
                parent=row.causal_parent,
                unordered=row.unordered,
                timeout=item["timeout_seconds"],
                order=self.world.clock.seconds_of(row.order_time),
                late=row.late,
                stated=self.world.clock.seconds_of(row.produced_at) if "produced_at" in item else None,
            )

    def _cyclic(self, items: list[dict[str, Any]]) -> list[int]:
        """Places of those that would close a cycle among what was accepted before."""
        parents = {id: asked.parent for id, asked in self.judge.asked.items()}
        cyclic = []
        for place, item in enumerate(items):
            id, up = item["id"], item.get("causal_parent")
            while up is not None and up != id:
                up = parents.get(up)
            if up == id:
                cyclic.append(place)
            else:
                parents[id] = item.get("causal_parent")
        return cyclic
