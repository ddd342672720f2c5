"""Actions on many: what was shown is done, batch by batch, once, whoever is at it, and can be stopped."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from engagements import operations, services
from engagements.domain.errors import Conflict, NotFound
from engagements.models import AuditEntry, Engagement, Operation
from engagements.operations import Action, Grown
from engagements.selectors import pipelines as shown
from engagements.services import produce, produce_bulk
from engagements.store import lease, operate, retention, settle, unordered
from engagements.store.connection import Connection, run
from tests.support.engines import StartEngine
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    in_thread,
    line,
    overdue,
    pipeline,
    settlement,
    start_worker,
    status,
    until,
)
from tests.support.wakeups import announced_to

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three."""
    monkeypatch.setattr(operations, "BATCH", 3)
    monkeypatch.setattr(operations, "REPLAYS", 3)
    monkeypatch.setattr(operate, "PURGE_USERS", 3)


@pytest.fixture
def left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A confirmation does one batch, as if that took a second."""
    monkeypatch.setattr(operations, "REQUEST_SECONDS", 0.0)


def fill(*users: str, each: int = 1) -> list[UUID]:
    made = produce_bulk([{"user_id": user, "payload": {"n": n}} for user in users for n in range(each)])
    return [item.id for item in made if item.id]


def named(number: int) -> list[str]:
    return [f"u{n:02}" for n in range(number)]


def fail(conn: Connection, user: str) -> UUID:
    """Make one and fail it."""
    one = produce(user_id=user, payload={}).engagement.id
    settle.settle(conn, [settlement(claim_one(conn, user), "failed", answer="410")], worker="w1", serve_next=False)
    return one


def prepared(action: str, keys: list[str], *, selected: bool = False) -> Operation:
    return operations.prepare(action, keys, scope="some of them", actor="eve", selected=selected)


def confirmed(operation: Operation, *, number: int | None = None) -> Operation:
    number = operation.shown if number is None else number
    return operations.confirm(operation.token, shown=number, actor="eve", reason="spam")


def finish(operation: Operation) -> Operation:
    while operations.go_on(seconds=10):
        pass
    return operations.one(operation.token)


def audited() -> list[tuple[str, str, int]]:
    entries = AuditEntry.objects.order_by("id")
    return [(entry.action, entry.target, entry.count) for entry in entries]


def pending() -> int:
    return Engagement.objects.filter(status="pending").count()


# --- What is done ---


def test_nothing_is_done_before_it_is_confirmed() -> None:
    fill("ann", each=2)
    operation = prepared(Action.PURGE, ["ann"])
    assert operation.shown == 2
    assert not operations.go_on(seconds=1)
    assert (pending(), audited()) == (2, [])


def test_all_are_purged_in_batches_and_the_audit_tells_of_the_first_and_of_the_rest(small: None) -> None:
    users = named(7)
    fill(*users, each=2)
    fill("zoe")
    done = confirmed(prepared(Action.PURGE, users))
    assert (done.done, done.taken, done.total) == (14, 7, 7)
    assert done.finished_at is not None
    assert pending() == 1
    assert audited() == [("purge many", "some of them", count) for count in (6, 8)]
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.reason, entry.operation) == ("eve", "spam", done.token)
    assert all(pipeline(user).due_at is None for user in users)


def test_of_those_selected_one_by_one_the_audit_names_each() -> None:
    fill("ann", each=2)
    fill("bob")
    confirmed(prepared(Action.PURGE, ["ann", "bob", "nobody"], selected=True))
    assert sorted(audited()) == [("purge", "ann", 2), ("purge", "bob", 1)]


def test_that_there_was_nothing_to_do_is_on_record() -> None:
    fill("ann")
    operation = prepared(Action.PURGE, ["ann"], selected=True)
    services.purge("ann", actor="bob")
    assert confirmed(operation).finished_at is not None
    assert audited()[-1] == ("purge many", "some of them", 0)


def test_a_deep_pipeline_is_a_batch_of_its_own(monkeypatch: pytest.MonkeyPatch, left_alone: None) -> None:
    monkeypatch.setattr("engagements.store.operate_many.LIGHT", 5)
    fill("ann", each=2)
    fill("bob", each=9)
    fill("cy", each=2)
    operation = confirmed(prepared(Action.PURGE, ["ann", "bob", "cy"]))
    numbers = [operation.done]
    while operations.step(operation.token):
        numbers.append(operations.one(operation.token).done)
    assert numbers[:3] == [2, 11, 13]


def test_a_queue_is_purged_user_by_user_and_others_keep_theirs(conn: Connection, small: None) -> None:
    start_worker(conn, "w2")
    fill(*named(12))
    run(conn, "UPDATE engagements_pipeline SET worker = CASE WHEN user_id < 'u08' THEN 'w1' ELSE 'w2' END")
    operation = operations.prepare_queue("deliver.w1", actor="eve")
    assert (operation.shown, operation.total) == (8, 8)
    done = confirmed(operation)
    assert (done.done, done.taken) == (8, 8)
    assert pending() == 4
    assert audited() == [("purge queue", "deliver.w1", count) for count in (3, 5)]


def test_the_unordered_ones_are_purged_up_to_the_confirmation(
    monkeypatch: pytest.MonkeyPatch, left_alone: None
) -> None:
    monkeypatch.setattr(operations, "BULK_LIMIT", 3)
    monkeypatch.setattr(services, "BULK_LIMIT", 3)
    free = [produce(user_id="ann", payload={}, unordered=True).engagement.id for _ in range(7)]
    kept = fill("ann")
    operation = operations.prepare_queue("unordered", actor="eve")
    assert operation.shown == 7
    confirmed(operation)
    later = [produce(user_id="ann", payload={}, unordered=True).engagement.id for _ in range(20)]
    done = finish(operation)
    assert (done.done, done.finished_at is None) == (7, False)
    assert {status(id) for id in free} == {"purged"}
    assert {status(id) for id in [*kept, *later]} == {"pending"}
    assert operations.handled(done) == 7


@pytest.mark.parametrize("name", ["deliver.nobody", "other", ""])
def test_an_unknown_queue_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        operations.prepare_queue(name, actor="eve")


def test_what_comes_after_the_confirmation_is_not_purged_and_moves_up(
    conn: Connection, small: None, left_alone: None
) -> None:
    users = named(5)
    fill(*users)
    operation = confirmed(prepared(Action.PURGE, users))
    assert operation.done == 3
    new = fill("u04", each=2)
    with announced_to("w1") as announced:
        done = finish(operation)
        assert announced.next() == ["u04"]
    assert done.done == 5
    assert line("u04") == new
    assert pipeline("u04").depth == 2
    assert claim_one(conn, "u04").id == new[0]


def test_an_attempt_at_what_came_later_goes_on_undisturbed(conn: Connection, small: None, left_alone: None) -> None:
    users = named(5)
    [*_, old] = fill(*users)
    operation = confirmed(prepared(Action.PURGE, users))
    new = produce(user_id="u04", payload={}).engagement.id
    run(conn, "UPDATE engagements_engagement SET order_time = produced_at WHERE id = %s", [new])
    run(conn, "UPDATE engagements_engagement SET order_time = order_time + interval '1 min' WHERE id = %s", [old])
    grant = claim_one(conn, "u04")
    assert grant.id == new
    finish(operation)
    assert status(old) == "purged"
    assert settle.settle(conn, [settlement(grant)], worker="w1").ids == [new]
    assert (pipeline("u04").depth, pipeline("u04").due_at) == (0, None)


def test_an_attempt_at_what_is_purged_is_fenced(conn: Connection) -> None:
    fill("ann", each=2)
    grant = claim_one(conn, "ann")
    confirmed(prepared(Action.PURGE, ["ann"]))
    assert settle.settle(conn, [settlement(grant)], worker="w1").ids == []
    assert engagement(grant.id).sequence == grant.sequence


def test_children_elsewhere_are_woken(conn: Connection) -> None:
    [parent] = fill("ann")
    child = produce(user_id="bob", payload={}, causal_parent=parent).engagement.id
    assert lease.claim(conn, ["bob"], worker="w1").grants == []
    with announced_to("w1") as announced:
        confirmed(prepared(Action.PURGE, ["ann"]))
        assert announced.next() == ["bob"]
    assert claim_one(conn, "bob").id == child


def test_purged_parents_and_children_in_a_circle_are_all_purged(conn: Connection) -> None:
    """Two that wait for each other, as concurrent requests can make them."""
    ids = fill("ann", "bob")
    for child, parent in (ids, ids[::-1]):
        run(conn, "UPDATE engagements_engagement SET causal_parent = %s WHERE id = %s", [parent, child])
    assert confirmed(prepared(Action.PURGE, ["ann", "bob"])).done == 2
    assert {status(id) for id in ids} == {"purged"}


def test_many_are_paused_and_resumed_and_their_deadlines_move(conn: Connection, small: None) -> None:
    users = named(5)
    ids = fill(*users)
    services.pause("u01", actor="bob")
    assert confirmed(prepared(Action.PAUSE, users)).done == 4
    assert lease.claim(conn, users, worker="w1").grants == []
    run(conn, "UPDATE engagements_pipeline SET paused_at = paused_at - interval '100 s'")
    run(conn, "UPDATE engagements_engagement SET received_at = received_at - interval '200 s'")
    before = {id: engagement(id).expires_at for id in ids}
    with announced_to("w1") as announced:
        assert confirmed(prepared(Action.RESUME, users)).done == 5
        assert announced.next() == users[:3]
    assert all(100 <= (engagement(id).expires_at - before[id]).total_seconds() < 110 for id in ids)
    assert not any(state.paused for state in shown.pipelines(users).values())


# --- Replaying ---


def test_many_are_replayed_each_users_in_their_order_behind_what_waits(conn: Connection, small: None) -> None:
    failed = [fail(conn, user) for _ in range(3) for user in ("ann", "bob")]
    waits = fill("ann")
    done = confirmed(prepared(Action.REPLAY, [str(id) for id in failed]))
    assert (done.done, done.refused) == (6, 0)
    assert line("ann") == [*waits, *failed[::2]]
    assert line("bob") == failed[1::2]
    assert (pipeline("ann").depth, pipeline("bob").depth) == (4, 3)
    times = [engagement(id).order_time for id in line("ann")]
    assert times == sorted(set(times))
    assert [engagement(id).replays for id in failed] == [1] * 6


def test_what_cannot_be_replayed_is_refused_with_its_reason(conn: Connection) -> None:
    broken, unknown = fail(conn, "ann"), uuid4()
    [waits] = fill("ann")
    done = confirmed(prepared(Action.REPLAY, [str(id) for id in (broken, waits, unknown)], selected=True))
    assert (done.done, done.refused, pipeline("ann").depth) == (1, 2, 2)
    assert {key: why.partition(";")[0] for key, why in done.refusals} == {
        str(waits): "it is pending",
        str(unknown): "it is no longer known",
    }
    assert audited() == [("replay", str(broken), 1)]


def test_a_replayed_one_that_fails_again_meanwhile_is_not_replayed_twice(
    conn: Connection, small: None, left_alone: None
) -> None:
    failed = [fail(conn, user) for user in named(5)]
    operation = confirmed(prepared(Action.REPLAY, [str(id) for id in failed]))
    settle.settle(conn, [settlement(claim_one(conn, "u00"), "failed")], worker="w1", serve_next=False)
    assert finish(operation).done == 5
    assert engagement(failed[0]).replays == 1


def test_unordered_ones_are_replayed_through_their_own_queue(conn: Connection) -> None:
    free = [produce(user_id="ann", payload={}, unordered=True).engagement.id for _ in range(2)]
    overdue(conn, *free)
    run(conn, "UPDATE engagements_engagement SET status = 'expired', settled_at = clock_timestamp()")
    assert confirmed(prepared(Action.REPLAY, [str(id) for id in free])).done == 2
    assert {grant.id for grant in unordered.claim(conn, limit=10)} == set(free)
    assert not Engagement.objects.filter(user_id="ann", unordered=False).exists()


# --- Once ---


def test_a_double_click_is_one_operation() -> None:
    fill("ann", each=3)
    operation = prepared(Action.PURGE, ["ann"])
    assert confirmed(operation).done == 3
    fill("ann", each=2)
    assert confirmed(operation).done == 3
    assert (pending(), len(audited())) == (2, 1)


def test_one_that_grew_by_more_than_a_tenth_is_refused_and_its_new_number_shown() -> None:
    fill("ann", each=20)
    operation = prepared(Action.PURGE, ["ann"])
    fill("ann", each=3)
    with pytest.raises(Grown, match="23 by now, and 20 were shown"):
        confirmed(operation)
    assert (pending(), audited()) == (23, [])
    operation = operations.one(operation.token)
    assert (operation.shown, operation.started_at) == (23, None)
    assert confirmed(operation).done == 23


def test_one_that_grew_by_a_tenth_goes_on() -> None:
    fill("ann", each=22)
    assert confirmed(prepared(Action.PURGE, ["ann"]), number=20).done == 22


def test_a_queue_that_grew_is_refused(conn: Connection) -> None:
    fill("ann", each=10)
    run(conn, "UPDATE engagements_pipeline SET worker = 'w1'")
    operation = operations.prepare_queue("deliver.w1", actor="eve")
    produce(user_id="ann", payload={}, unordered=True)
    free = operations.prepare_queue("unordered", actor="eve")
    fill("ann", each=2)
    produce(user_id="ann", payload={}, unordered=True)
    for one in (operation, free):
        with pytest.raises(Grown):
            confirmed(one)
    assert pending() == 14


def test_only_who_was_shown_it_can_confirm_it() -> None:
    fill("ann")
    operation = prepared(Action.PURGE, ["ann"])
    for token, actor in ((operation.token, "bob"), (uuid4(), "eve")):
        with pytest.raises(NotFound):
            operations.confirm(token, shown=1, actor=actor, reason="r")
    assert pending() == 1


# --- Going on ---


def test_after_a_crash_whoever_looks_goes_on_exactly_there(small: None, left_alone: None) -> None:
    users = named(10)
    fill(*users)
    operation = prepared(Action.PURGE, users)
    assert confirmed(operation).done == 3
    with pytest.raises(RuntimeError, match="killed"), Crash():
        operations.step(operation.token)
    assert (operations.one(operation.token).done, pending()) == (3, 7)
    done = finish(operation)
    assert (done.done, done.taken, pending()) == (10, 10, 0)
    assert sum(count for _, _, count in audited()) == 10


class Crash:
    """The process dies when a batch is about to commit."""

    def __enter__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(operations, "_record", self._die)
        self._patch.setattr(operations.logger, "exception", self._die)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    @staticmethod
    def _die(*_: object) -> None:
        raise RuntimeError("killed")


def test_an_engine_finishes_what_its_caller_did_not(
    small: None, left_alone: None, start_engine: StartEngine, conn: Connection
) -> None:
    """Without a broker and without beat."""
    users = named(10)
    fill(*users)
    for user in users:
        services.pause(user, actor="test")
    operation = confirmed(prepared(Action.PURGE, users))
    start_engine()
    until(lambda: operations.one(operation.token).finished_at, "the end of the operation")
    assert pending() == 0


def test_one_that_is_stopped_does_no_more_and_says_who_stopped_it(small: None, left_alone: None) -> None:
    users = named(10)
    fill(*users)
    operation = confirmed(prepared(Action.PURGE, users))
    operations.stop(operation.token, actor="bob")
    operations.stop(operation.token, actor="carl")
    done = finish(operation)
    assert (done.done, done.stopped_by, pending()) == (3, "bob", 7)
    assert audited() == [("purge many", "some of them", 3), ("stop", "some of them", 0)]


def test_the_audit_of_one_that_is_stopped_tells_of_all_that_was_done(small: None, left_alone: None) -> None:
    users = named(10)
    fill(*users)
    operation = confirmed(prepared(Action.PURGE, users))
    operations.step(operation.token)
    operations.step(operation.token)
    operations.stop(operation.token, actor="bob")
    assert [count for _, _, count in audited()] == [3, 6, 0]


def test_one_that_has_ended_or_has_not_begun_cannot_be_stopped() -> None:
    fill("ann")
    operation = prepared(Action.PURGE, ["ann"])
    with pytest.raises(NotFound):
        operations.stop(operation.token, actor="bob")
    confirmed(operation)
    with pytest.raises(Conflict):
        operations.stop(operation.token, actor="bob")


def test_an_error_that_no_other_try_mends_ends_it_and_is_told() -> None:
    operation = prepared(Action.REPLAY, ["no id of an engagement"])
    done = confirmed(operation)
    assert "badly formed" in done.problem
    assert done.finished_at is not None


def test_two_operations_go_on_side_by_side(small: None, left_alone: None) -> None:
    fill(*named(10))
    first, second = (prepared(Action.PURGE, named(10)[half::2]) for half in (0, 1))
    confirmed(first)
    confirmed(second)
    finish(first)
    assert (operations.one(first.token).done, operations.one(second.token).done) == (5, 5)
    assert operations.running() == []


# --- Who is busy ---


def test_a_locked_pipeline_is_left_for_the_end_and_keeps_nobody_else_waiting(connect: Connect, small: None) -> None:
    users = named(7)
    fill(*users, each=2)
    operation = prepared(Action.PURGE, users)
    caller = connect()
    with caller.transaction():
        caller.execute("SELECT FROM engagements_pipeline WHERE user_id = 'u01' FOR UPDATE")
        going = confirmed(operation)
        assert (going.done, going.busy, going.finished_at) == (12, ["u01"], None)
        assert operations.handled(going) == 6
        assert line("u01")
    done = finish(operation)
    assert (done.done, done.busy) == (14, [])
    assert done.finished_at is not None


def test_replays_of_a_locked_pipeline_stay_in_order(connect: Connect, conn: Connection, small: None) -> None:
    failed = [fail(conn, user) for _ in range(4) for user in ("ann", "bob")]
    operation = prepared(Action.REPLAY, [str(id) for id in failed])
    caller = connect()
    with caller.transaction():
        caller.execute("SELECT FROM engagements_pipeline WHERE user_id = 'ann' FOR UPDATE")
        assert confirmed(operation).done == 4
    assert finish(operation).done == 8
    assert (line("ann"), line("bob")) == (failed[::2], failed[1::2])


def test_one_that_is_always_locked_is_waited_for_in_line(connect: Connect) -> None:
    """It is never free when it is looked at, and comes to its turn all the same."""
    fill("ann")
    operation = prepared(Action.PURGE, ["ann"])
    caller = connect()
    with caller.transaction():
        caller.execute("SELECT FROM engagements_pipeline WHERE user_id = 'ann' FOR UPDATE")
        going = in_thread(lambda: confirmed(operation))
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        until(lambda: connect().execute(waits).fetchall(), "the operation to stand in line")
    assert going.result(timeout=20).done == 1


def test_the_queue_purge_of_the_api_keeps_nobody_waiting_either(connect: Connect, conn: Connection) -> None:
    fill("ann", "bob")
    run(conn, "UPDATE engagements_pipeline SET worker = 'w1'")
    caller, observer = connect(), connect()
    with caller.transaction():
        caller.execute("SELECT FROM engagements_pipeline WHERE user_id = 'ann' FOR UPDATE")
        purge = in_thread(lambda: services.purge_queue("deliver.w1", actor="eve"))
        until(lambda: not line("bob"), "the purge of bob")
        observer.execute("SELECT FROM engagements_pipeline WHERE user_id = 'bob' FOR UPDATE NOWAIT")
    assert purge.result(timeout=20) == 2


# --- Memory ---


def test_those_that_ended_or_were_never_confirmed_are_forgotten_in_time(conn: Connection) -> None:
    day = timedelta(days=1)
    fill("ann", "bob", "cy")
    ended, never, going = (prepared(Action.PURGE, [user]) for user in ("ann", "bob", "cy"))
    confirmed(ended)
    Operation.objects.filter(token=going.token).update(started_at=going.made_at)
    assert retention.delete_operations(conn, keep=7 * day, unconfirmed=day) == 0
    run(conn, "UPDATE engagements_operation SET made_at = made_at - interval '2 d'")
    assert retention.delete_operations(conn, keep=7 * day, unconfirmed=day) == 1
    run(conn, "UPDATE engagements_operation SET made_at = made_at - interval '6 d'")
    assert retention.delete_operations(conn, keep=7 * day, unconfirmed=day) == 1
    assert [operation.token for operation in operations.running()] == [going.token]
    assert not Operation.objects.filter(token=never.token).exists()


def test_more_than_one_operation_takes_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "KEYS", 2)
    fill("ann", "bob", "cy")
    operation = prepared(Action.PURGE, ["ann", "bob", "cy"])
    assert (operation.more, operation.shown) == (True, 2)
    confirmed(operation)
    assert pending() == 1
