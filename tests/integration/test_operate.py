"""Pausing, resuming, purging, skipping, replaying, ending a session, setting a time-out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from engagements import services
from engagements.domain.errors import Conflict, Invalid, NotFound
from engagements.models import AuditEntry, Engagement, Pipeline
from engagements.services import produce, produce_bulk
from engagements.store import expire, lease, settle
from engagements.store.connection import Connection
from tests.support.store import claim_one, engagement, line, overdue, pipeline, settlement, start_worker, status
from tests.support.wakeups import announced_to

pytestmark = pytest.mark.usefixtures("worker")

TICK = timedelta(microseconds=1)


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


def fail(conn: Connection, user: str = "ann") -> UUID:
    """Make one and fail it; its id."""
    one = make(user)
    settle.settle(conn, [settlement(claim_one(conn, user), "failed", answer="410")], worker="w1", serve_next=False)
    assert status(one) == "failed"
    return one


# --- Pause and resume ---


def test_nothing_starts_while_paused_and_all_goes_on_when_resumed(conn: Connection) -> None:
    one = make()
    services.pause("ann", actor="test")
    two = make()
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    with announced_to("w1") as announced:
        services.resume("ann", actor="test")
        assert announced.next() == ["ann"]
    assert claim_one(conn, "ann").id == one
    assert line("ann") == [one, two]


def test_a_pause_makes_an_unknown_pipeline_and_the_others_do_not() -> None:
    services.pause("new", actor="test")
    assert pipeline("new").paused_at is not None
    services.set_timeout("other", 3, actor="test")
    assert pipeline("other").timeout_seconds == 3
    for unknown in ("nobody", "a\0b", "x" * 201):
        for operation in (services.resume, services.purge, services.end_session):
            with pytest.raises(NotFound):
                operation(unknown, actor="test")
        with pytest.raises(NotFound):
            services.skip(unknown, uuid4(), actor="test")
    assert set(Pipeline.objects.values_list("user_id", flat=True)) == {"new", "other"}


def test_a_user_that_cannot_be_is_refused() -> None:
    for unknown in ("", "a\0b", "x" * 201):
        with pytest.raises(Invalid):
            services.pause(unknown, actor="test")
        with pytest.raises(Invalid):
            services.set_timeout(unknown, 3, actor="test")
    for seconds in (0, -1, 3601, True, "3", float("nan")):
        with pytest.raises(Invalid):
            services.set_timeout("ann", seconds, actor="test")


def test_pausing_twice_is_pausing_once() -> None:
    services.pause("ann", actor="test")
    since = pipeline("ann").paused_at
    services.pause("ann", actor="test")
    assert pipeline("ann").paused_at == since
    services.resume("ann", actor="test")
    services.resume("ann", actor="test")
    assert pipeline("ann").paused_at is None


def test_resuming_moves_each_deadline_by_the_time_that_it_stood_still(conn: Connection) -> None:
    """One that came during the pause stood still only since then."""
    before, during = make(), make()
    services.pause("ann", actor="test")
    conn.execute("UPDATE engagements_pipeline SET paused_at = clock_timestamp() - interval '100 s'")
    conn.execute(
        "UPDATE engagements_engagement SET received_at = received_at - interval '200 s' WHERE id = %s", [before]
    )
    conn.execute(
        "UPDATE engagements_engagement SET received_at = clock_timestamp() - interval '40 s' WHERE id = %s", [during]
    )
    old = {id: engagement(id).expires_at for id in (before, during)}
    free = produce(user_id="ann", payload={}, unordered=True).engagement

    services.resume("ann", actor="test")

    moved = {id: (engagement(id).expires_at - old[id]).total_seconds() for id in (before, during)}
    assert 100 <= moved[before] < 110
    assert 40 <= moved[during] < 50
    assert engagement(free.id).expires_at == free.expires_at


def test_a_resumed_retry_keeps_the_pause_that_its_receiver_asked_for(conn: Connection) -> None:
    """Resuming says that deliveries may go on, not that the receiver is ready."""
    make()
    settle.postpone(conn, [settlement(claim_one(conn, "ann"), "retry", delay=20)], worker="w1")
    due = pipeline("ann").due_at
    services.pause("ann", actor="test")
    services.resume("ann", actor="test")
    assert pipeline("ann").due_at == due
    assert lease.claim(conn, ["ann"], worker="w1").grants == []


def test_a_resumed_pipeline_whose_head_waits_for_its_parent_still_does(conn: Connection) -> None:
    make(causal_parent=uuid4())
    services.pause("ann", actor="test")
    services.resume("ann", actor="test")
    claim = lease.claim(conn, ["ann"], worker="w1")
    assert claim.grants == []
    assert claim.asleep["ann"] > 20


def test_a_pause_leaves_children_elsewhere_and_unordered_ones_alone(conn: Connection) -> None:
    parent = make("ann")
    child = make("bob", causal_parent=parent)
    services.pause("ann", actor="test")
    services.purge("ann", actor="test")  # also what is paused
    assert status(parent) == "purged"
    assert claim_one(conn, "bob").id == child
    assert pipeline("ann").paused_at is not None


# --- Purge ---


def test_a_purge_settles_all_that_is_pending_and_counts_it(conn: Connection) -> None:
    kept = [make("bob"), make("ann", unordered=True)]
    ids = [make("ann") for _ in range(5)]
    assert services.purge("ann", actor="eve", reason="spam") == 5
    assert services.purge("ann", actor="eve") == 0
    assert {status(id) for id in ids} == {"purged"}
    assert {status(id) for id in kept} == {"pending"}
    entry = AuditEntry.objects.last()
    assert entry is not None
    assert (entry.actor, entry.action, entry.target, entry.count, entry.reason) == ("eve", "purge", "ann", 5, "spam")


def test_a_purge_keeps_the_pipelines_numbers(conn: Connection) -> None:
    make()
    claim_one(conn, "ann")
    services.purge("ann", actor="test")
    conn.execute("UPDATE engagements_pipeline SET lease_until = clock_timestamp()")
    make()
    assert claim_one(conn, "ann").sequence == 2


def test_a_purge_of_a_queue_takes_all_users_of_its_worker(conn: Connection) -> None:
    start_worker(conn, "w2")
    produce_bulk([{"user_id": f"u{n}", "payload": {}} for n in range(1000)])
    produce_bulk([{"user_id": f"u{n}", "payload": {}} for n in range(1000)])
    services.pause("u7", actor="test")
    mine = Pipeline.objects.filter(worker="w1").count()

    assert services.purge_queue("deliver.w1", actor="test") == 2 * mine

    assert 0 < mine < 1000
    assert not Pipeline.objects.filter(worker="w1", depth__gt=0).exists()
    assert Engagement.objects.filter(status="pending").count() == 2 * (1000 - mine)


def test_a_purge_of_the_unordered_queue_takes_no_ordered_one(conn: Connection) -> None:
    kept = make()
    produce_bulk([{"user_id": "ann", "payload": {}, "unordered": True}] * 1000)
    produce_bulk([{"user_id": "ann", "payload": {}, "unordered": True}] * 500)
    assert services.purge_queue("unordered", actor="test") == 1500
    assert list(Engagement.objects.filter(status="pending").values_list("id", flat=True)) == [kept]


@pytest.mark.parametrize("name", ["deliver.nobody", "deliver.", "w1", "", "operations"])
def test_an_unknown_queue_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        services.purge_queue(name, actor="test")


def test_what_waits_for_a_purged_parent_goes_on(conn: Connection) -> None:
    parent = make("bob")
    child = make("ann", causal_parent=parent)
    lease.claim(conn, ["ann"], worker="w1")
    with announced_to("w1") as announced:
        services.purge("bob", actor="test")
        assert announced.next() == ["ann"]
    assert claim_one(conn, "ann").id == child


# --- Skip ---


def test_a_skip_settles_the_head_that_it_names_and_no_other(conn: Connection) -> None:
    one, two = make(), make()
    for other in (two, uuid4()):
        with pytest.raises(Conflict, match=str(one)):
            services.skip("ann", other, actor="test")
    with announced_to("w1") as announced:
        services.skip("ann", one, actor="test")
        assert announced.next() == ["ann"]
    assert (status(one), engagement(one).sequence) == ("purged", None)
    assert (line("ann"), pipeline("ann").depth) == ([two], 1)
    services.skip("ann", two, actor="test")
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)
    with pytest.raises(Conflict, match="nothing is pending"):
        services.skip("ann", two, actor="test")


def test_the_head_is_what_was_attempted_not_what_came_late(conn: Connection) -> None:
    one = make()
    settle.postpone(conn, [settlement(claim_one(conn, "ann"), "retry", delay=5)], worker="w1")
    late = make(produced_at=ago(3600))
    with pytest.raises(Conflict, match=str(one)):
        services.skip("ann", late, actor="test")
    services.skip("ann", one, actor="test")
    assert (engagement(one).sequence, engagement(one).attempts) == (1, 1)
    grant = claim_one(conn, "ann")
    assert (grant.id, grant.sequence) == (late, 2)


def test_a_skipped_parent_lets_its_children_go(conn: Connection) -> None:
    parent = make("bob")
    child = make("ann", causal_parent=parent)
    lease.claim(conn, ["ann"], worker="w1")
    services.skip("bob", parent, actor="test")
    assert claim_one(conn, "ann").id == child


# --- Replay ---


def test_a_replayed_one_goes_to_the_end_with_a_new_life(conn: Connection) -> None:
    one = fail(conn)
    old = engagement(one)
    others = [make(), make(produced_at=ago(-4))]
    conn.execute("UPDATE engagements_engagement SET received_at = received_at - interval '1 hour' WHERE id = %s", [one])

    row = services.replay(one, actor="eve", reason="mended")

    assert line("ann") == [*others, one]
    assert (row.status, row.sequence, row.attempts, row.late, row.settled_at) == ("pending", None, 0, False, None)
    assert (row.produced_at, row.last_error) == (old.produced_at, "")
    assert row.received_at > old.received_at
    assert row.expires_at - row.received_at == timedelta(seconds=30)
    assert row.order_time == engagement(others[1]).order_time + TICK
    assert pipeline("ann").depth == 3
    assert AuditEntry.objects.filter(actor="eve", action="replay", reason="mended").exists()


def test_a_replayed_one_has_a_new_number(conn: Connection) -> None:
    one = fail(conn)
    services.replay(one, actor="test")
    grant = claim_one(conn, "ann")
    assert (grant.id, grant.sequence, grant.attempt, grant.late) == (one, 2, 1, False)
    assert grant.expires_in > 20


def test_a_replay_on_an_idle_pipeline_wakes_it(conn: Connection) -> None:
    one = fail(conn)
    with announced_to("w1") as announced:
        services.replay(one, actor="test")
        assert announced.next() == ["ann"]


def test_a_replay_is_never_before_what_was_attempted(conn: Connection) -> None:
    """Even when that ran ahead of the clock."""
    one = fail(conn)
    ahead = make(produced_at=ago(-4))
    conn.execute("UPDATE engagements_engagement SET held_until = received_at")
    claim_one(conn, "ann")
    services.replay(one, actor="test")
    assert engagement(one).order_time == engagement(ahead).order_time + TICK
    assert line("ann") == [ahead, one]


def test_a_replayed_child_waits_for_nobody(conn: Connection) -> None:
    child = make(causal_parent=uuid4())
    overdue(conn, child)
    assert lease.claim(conn, ["ann"], worker="w1").expired == [child]
    services.replay(child, actor="test")
    assert claim_one(conn, "ann").id == child


def test_a_replay_takes_the_time_out_of_now(conn: Connection) -> None:
    one = fail(conn)
    services.set_timeout("ann", 5, actor="test")
    row = services.replay(one, actor="test")
    assert row.expires_at - row.received_at == timedelta(seconds=5)


def test_an_unordered_one_is_replayed_through_its_own_queue(conn: Connection) -> None:
    one = make(unordered=True)
    overdue(conn, one)
    expire.sweep(conn)
    row = services.replay(one, actor="test")
    assert (row.status, row.unordered, row.sequence) == ("pending", True, None)
    assert not Pipeline.objects.exists()


@pytest.mark.parametrize("final", ["pending", "delivered", "purged"])
def test_only_failed_and_expired_ones_are_replayed(conn: Connection, final: str) -> None:
    one = make()
    if final == "delivered":
        settle.settle(conn, [settlement(claim_one(conn, "ann"))], worker="w1")
    elif final == "purged":
        services.purge("ann", actor="test")
    before = pipeline("ann").depth
    with pytest.raises(Conflict, match=final):
        services.replay(one, actor="test")
    assert (status(one), pipeline("ann").depth) == (final, before)


def test_a_refused_replay_inside_the_callers_transaction_leaves_the_rest_of_it_whole() -> None:
    one = make()
    with transaction.atomic():
        with pytest.raises(Conflict):
            services.replay(one, actor="test")
        make()
    assert pipeline("ann").depth == 2


def test_an_unknown_one_is_not_found() -> None:
    with pytest.raises(NotFound):
        services.replay(uuid4(), actor="test")


# --- Sessions ---


def test_an_ended_session_shows_and_keeps_its_worker_while_work_is_pending() -> None:
    make()
    services.end_session("ann", actor="test")
    assert (pipeline("ann").session_until, pipeline("ann").worker) == (None, "w1")
