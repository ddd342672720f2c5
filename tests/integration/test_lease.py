"""Claiming: whose head, in which order, and what a claim answers about those that cannot be had."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from engagements import services
from engagements.models import Engagement
from engagements.services import produce, produce_bulk
from engagements.store import lease, settle
from engagements.store.connection import Connection
from tests.support.store import (
    claim_one,
    engagement,
    line,
    overdue,
    pipeline,
    settlement,
    start_worker,
    status,
)

pytestmark = pytest.mark.usefixtures("worker")

TICK = timedelta(microseconds=1)


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


# --- What a claim gives ---


def test_a_grant_says_all_that_an_attempt_needs(conn: Connection) -> None:
    parent = make("bob", unordered=True)
    services.purge_queue("unordered", actor="test")
    row = produce(user_id="ann", payload={"a": [1.5, "ü"]}, causal_parent=parent, timeout_seconds=20).engagement

    grant = claim_one(conn, "ann")

    assert grant[:2] == ("ann", pipeline("ann").lease_token)
    assert (grant.id, grant.payload, grant.channel) == (row.id, '{"a": [1.5, "ü"]}', "log")
    assert (grant.produced_at, grant.causal_parent, grant.late) == (row.produced_at, parent, False)
    assert (grant.sequence, grant.attempt) == (1, 1)
    assert 10 < grant.expires_in <= 20


def test_the_mark_is_committed_with_the_claim(conn: Connection) -> None:
    """Before the first byte is sent: number, attempt and what is in service."""
    one = make()
    grant = claim_one(conn, "ann")
    row = pipeline("ann")
    assert (row.in_service, row.sequence, row.attempt, row.lease_worker) == (one, 1, 1, "w1")
    assert (row.lease_token, row.last_order_time) == (grant.token, engagement(one).order_time)


def test_the_lease_lasts_as_the_setting_says(conn: Connection, settings: Settings) -> None:
    settings.LEASE_SECONDS = 42.0
    make()
    claim_one(conn, "ann")
    [seconds] = conn.execute(
        "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM engagements_pipeline"
    ).fetchone() or [0]
    assert 40 < seconds <= 42


def test_every_claim_has_a_greater_token_and_a_retry_keeps_its_sequence(conn: Connection) -> None:
    one, two = make(), make()
    tokens = []
    for attempt in (1, 2, 3):
        grant = claim_one(conn, "ann")
        assert (grant.id, grant.sequence, grant.attempt) == (one, 1, attempt)
        tokens.append(grant.token)
        settle.postpone(conn, [settlement(grant, "retry")], worker="w1")
    assert tokens == sorted(set(tokens))
    settle.settle(conn, [settlement(claim_one(conn, "ann"))], worker="w1", serve_next=False)
    grant = claim_one(conn, "ann")
    assert (grant.id, grant.sequence, grant.attempt) == (two, 2, 1)


def test_a_lease_that_ran_out_is_taken_over_with_what_was_in_service(conn: Connection) -> None:
    """Also when something that sorts before it came meanwhile: it has been attempted, perhaps."""
    one = make()
    old = claim_one(conn, "ann")
    make(produced_at=ago(3600))
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    conn.execute("UPDATE engagements_pipeline SET lease_until = clock_timestamp()")
    new = claim_one(conn, "ann")
    assert (new.id, new.sequence, new.attempt) == (one, old.sequence, 2)
    assert new.token > old.token


def test_many_are_claimed_at_once_and_the_others_are_explained(conn: Connection, settings: Settings) -> None:
    settings.REORDER_WINDOW_MS = 10_000  # longer than this test, however slow the machine
    make("free")
    make("leased")
    claim_one(conn, "leased")
    make("retrying")
    settle.postpone(conn, [settlement(claim_one(conn, "retrying"), "retry", delay=5)], worker="w1")
    make("held", produced_at=ago(-4))
    make("child", causal_parent=uuid4())
    make("paused")
    services.pause("paused", actor="test")
    make("idle")
    services.purge("idle", actor="test")

    everybody = ["free", "leased", "retrying", "held", "child", "paused", "idle", "unknown"]
    claim = lease.claim(conn, everybody, worker="w1")

    assert [grant.user_id for grant in claim.grants] == ["free"]
    assert set(claim.asleep) == {"leased", "retrying", "held", "child"}
    assert 5 < claim.asleep["leased"] <= 10
    assert 2 < claim.asleep["retrying"] <= 5
    assert 5 < claim.asleep["held"] <= 10
    assert 20 < claim.asleep["child"] <= 30
    assert claim.busy == []


# --- Causal parents ---


def test_a_child_is_not_served_before_its_parent_has_settled(conn: Connection) -> None:
    parent = make("bob")
    child = make("ann", causal_parent=parent)
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    settle.settle(conn, [settlement(claim_one(conn, "bob"), "failed", answer="no")], worker="w1")
    services.wake_children([parent])
    assert claim_one(conn, "ann").id == child


def test_a_waiting_head_holds_what_stands_behind_it(conn: Connection) -> None:
    make("ann", causal_parent=uuid4())
    make("ann")
    assert lease.claim(conn, ["ann"], worker="w1").grants == []


def test_a_parent_that_arrives_after_its_child_in_one_pipeline_goes_first(conn: Connection) -> None:
    """The child is raised above it, and what stood between them moves up."""
    parent = uuid4()
    child, between = make(causal_parent=parent), make()
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    make(id=parent)

    served = []
    while pipeline("ann").depth:
        grant = claim_one(conn, "ann")
        served.append(grant.id)
        settle.settle(conn, [settlement(grant)], worker="w1", serve_next=False)

    assert served == [between, parent, child]
    assert engagement(child).order_time == engagement(parent).order_time + TICK


def test_waits_that_cross_end_when_the_parent_arrives(conn: Connection) -> None:
    """ann: a child of what bob gets last, then x. bob: a child of x, then the parent. Neither waits for the other."""
    parent = uuid4()
    child, x = make("ann", causal_parent=parent), make("ann")
    crossing = make("bob", causal_parent=x)
    assert lease.claim(conn, ["ann", "bob"], worker="w1").grants == []
    make("bob", id=parent)

    served = []
    for _ in range(20):
        for grant in lease.claim(conn, ["ann", "bob"], worker="w1").grants:
            served.append(grant.id)
            settled = settle.settle(conn, [settlement(grant)], worker="w1", serve_next=False)
            services.wake_children(settled.ids)

    assert served == [x, crossing, parent, child]


def test_raising_one_lets_its_own_children_be_looked_at(conn: Connection) -> None:
    """A grandchild whose pipeline has looked already sorts after it now, too."""
    parent, child = uuid4(), uuid4()
    make("ann", id=child, causal_parent=parent)
    grandchild, x = make("bob", causal_parent=child), make("bob")
    assert lease.claim(conn, ["ann", "bob"], worker="w1").grants == []
    make("cy", id=parent)

    claim = lease.claim(conn, ["ann"], worker="w1")
    assert claim.raised == [child]
    services.wake_children(claim.raised)

    assert claim_one(conn, "bob").id == x
    assert line("bob") == [x, grandchild]


def test_one_that_was_attempted_is_not_stopped_by_a_parent_that_comes_later(conn: Connection) -> None:
    """A replay waits for nobody, and stays so through its retries."""
    parent = uuid4()
    child = make(causal_parent=parent)
    overdue(conn, child)
    conn.execute("UPDATE engagements_pipeline SET due_at = clock_timestamp()")
    assert lease.claim(conn, ["ann"], worker="w1").expired == [child]
    services.replay(child, actor="test")
    make("bob", id=parent)
    assert claim_one(conn, "ann").id == child


def test_a_replayed_parent_counts_as_settled(conn: Connection) -> None:
    parent = make("bob")
    settle.settle(conn, [settlement(claim_one(conn, "bob"), "failed", answer="no")], worker="w1")
    child = make("ann", causal_parent=parent)
    services.replay(parent, actor="test")
    assert status(parent) == "pending"
    assert claim_one(conn, "ann").id == child


def test_a_cycle_that_slipped_in_runs_to_its_members_deadlines(conn: Connection) -> None:
    """Two requests at the same time can close one. It must not keep the claims busy, nor raise without end."""
    a, b = make("ann", causal_parent=uuid4()), make("bob", causal_parent=uuid4())
    conn.execute("UPDATE engagements_engagement SET causal_parent = %s WHERE id = %s", [b, a])
    conn.execute("UPDATE engagements_engagement SET causal_parent = %s WHERE id = %s", [a, b])
    for _ in range(4):
        claim = lease.claim(conn, ["ann", "bob"], worker="w1")
        services.wake_children(claim.raised)
    claim = lease.claim(conn, ["ann", "bob"], worker="w1")
    assert claim.raised == []
    assert claim.grants == []
    assert {user: seconds > 20 for user, seconds in claim.asleep.items()} == {"ann": True, "bob": True}


def test_a_cycle_within_one_pipeline_sleeps_until_its_deadline_too(conn: Connection) -> None:
    a, b = make(causal_parent=uuid4()), make(causal_parent=uuid4())
    conn.execute("UPDATE engagements_engagement SET causal_parent = %s WHERE id = %s", [b, a])
    conn.execute("UPDATE engagements_engagement SET causal_parent = %s WHERE id = %s", [a, b])
    claim = lease.claim(conn, ["ann"], worker="w1")
    assert claim.grants == []
    assert claim.asleep["ann"] > 20


# --- The deadline ---


def test_an_overdue_head_is_expired_on_the_way_and_the_next_is_served(conn: Connection) -> None:
    gone, next_one = [make() for _ in range(3)], make()
    overdue(conn, *gone)
    claim = lease.claim(conn, ["ann"], worker="w1")
    assert set(claim.expired) == set(gone)
    assert [grant.id for grant in claim.grants] == [next_one]
    assert [engagement(id).sequence for id in gone] == [None] * 3
    assert pipeline("ann").depth == 1


def test_the_last_one_expired_leaves_the_pipeline_idle(conn: Connection) -> None:
    one = make()
    overdue(conn, one)
    claim = lease.claim(conn, ["ann"], worker="w1")
    assert (claim.expired, claim.grants, claim.asleep) == ([one], [], {})
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)


def test_one_in_service_expires_before_anything_that_sorts_before_it_is_attempted(conn: Connection) -> None:
    """However much of that came late, and however much of that is overdue as well."""
    one = make()
    settle.postpone(conn, [settlement(claim_one(conn, "ann"), "retry")], worker="w1")
    late = produce_bulk([{"user_id": "ann", "payload": {}, "produced_at": ago(3600)} for _ in range(300)])
    overdue(conn, one, *[item.id for item in late[:50] if item.id])

    claim = lease.claim(conn, ["ann"], worker="w1")

    assert one in claim.expired
    assert (engagement(one).status, engagement(one).sequence) == ("expired", 1)
    [grant] = claim.grants
    assert (grant.id, grant.sequence, grant.late) == (late[50].id, 2, True)
    assert Engagement.objects.filter(status="pending").count() == pipeline("ann").depth == 250


# --- Renewing and releasing ---


def test_renewing_prolongs_what_is_held_and_names_what_is_not(conn: Connection) -> None:
    for user in ("kept", "gone"):
        make(user)
    held = {user: claim_one(conn, user).token for user in ("kept", "gone")}
    conn.execute("UPDATE engagements_pipeline SET lease_until = clock_timestamp() + interval '1 second'")
    services.purge("gone", actor="test")

    assert lease.renew(conn, held).revoked == ["gone"]

    [seconds] = conn.execute(
        "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM engagements_pipeline WHERE user_id = 'kept'"
    ).fetchone() or [0]
    assert 8 < seconds <= 10


def test_a_released_head_is_the_next_one_attempted(conn: Connection) -> None:
    one, _ = make(), make()
    grant = claim_one(conn, "ann")
    lease.release(conn, {"ann": grant.token}, worker="w1", incarnation=1)
    again = claim_one(conn, "ann")
    assert (again.id, again.sequence, again.attempt) == (one, grant.sequence, 2)


def test_releasing_nothing_is_nothing(conn: Connection) -> None:
    lease.release(conn, {}, worker="w1", incarnation=1)
    lease.release(conn, {"unknown": 7}, worker="w1", incarnation=1)


def test_a_claim_whose_answer_was_lost_is_undone(conn: Connection) -> None:
    """What it marked is attempted first, as after any takeover; others' leases stay."""
    one = make()
    make("bob")
    lease.claim(conn, ["ann", "bob"], worker="w1")
    conn.execute("UPDATE engagements_pipeline SET lease_worker = 'w2' WHERE user_id = 'bob'")
    lease.disclaim(conn, ["ann", "bob", "unknown"], worker="w1", incarnation=1)
    grant = claim_one(conn, "ann")
    assert (grant.id, grant.sequence, grant.attempt) == (one, 1, 2)
    assert pipeline("bob").lease_worker == "w2"


def test_a_claim_is_not_undone_under_a_newer_process_of_the_same_name(conn: Connection) -> None:
    make()
    start_worker(conn, "w1")
    claim_one(conn, "ann")
    lease.disclaim(conn, ["ann"], worker="w1", incarnation=1)
    assert pipeline("ann").lease_worker == "w1"


def test_a_pipeline_counted_as_pending_that_has_nothing_in_line_is_mended(conn: Connection) -> None:
    one = make()
    conn.execute("DELETE FROM engagements_engagement WHERE id = %s", [one])
    claim = lease.claim(conn, ["ann"], worker="w1")
    assert (claim.grants, claim.asleep, claim.busy) == ([], {}, [])
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)
