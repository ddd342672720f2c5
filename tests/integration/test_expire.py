"""The sweep: what has been pending for longer than its time-out."""

from uuid import UUID, uuid4

import pytest

from engagements import services
from engagements.services import produce
from engagements.store import beat, expire, lease, settle, unordered
from engagements.store.connection import Connection, run
from tests.support.store import claim_one, engagement, line, overdue, pipeline, settlement, start_worker, status
from workers.tasks import sweep

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


def test_what_is_overdue_is_expired_and_what_is_not_stays(conn: Connection) -> None:
    old, young = make(), make()
    overdue(conn, old)
    expired = expire.sweep(conn)
    assert (expired.ids, expired.users, expired.after) == ([old], ["ann"], None)
    row = engagement(old)
    assert (row.status, row.sequence, row.attempts) == ("expired", None, 0)
    assert row.settled_at is not None
    assert (line("ann"), pipeline("ann").depth) == ([young], 1)


def test_a_pipeline_whose_last_expired_is_idle(conn: Connection) -> None:
    overdue(conn, make(), make())
    assert expire.sweep(conn).users == []
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)


def test_what_expires_in_the_middle_leaves_the_head_and_its_attempt_alone(conn: Connection) -> None:
    one, two, three = make(), make(), make()
    grant = claim_one(conn, "ann")
    overdue(conn, two)
    expired = expire.sweep(conn)
    assert (expired.ids, expired.users) == ([two], [])
    assert (pipeline("ann").in_service, pipeline("ann").lease_token) == (one, grant.token)
    [successor] = settle.settle(conn, [settlement(grant)], worker="w1").grants
    assert (successor.id, successor.sequence) == (three, 2)


def test_a_head_that_is_due_for_a_retry_expires_without_grace(conn: Connection) -> None:
    """Nobody holds it: there is nobody to leave it to."""
    one = make()
    settle.postpone(conn, [settlement(claim_one(conn, "ann"), "retry", delay=5)], worker="w1")
    overdue(conn, one, seconds=0)
    assert expire.sweep(conn).ids == [one]
    assert (engagement(one).sequence, engagement(one).attempts) == (1, 1)


def test_the_sweep_ends_the_lease_of_a_head_that_hangs_and_raises_the_token(conn: Connection) -> None:
    one, two = make(), make()
    grant = claim_one(conn, "ann")
    overdue(conn, one, seconds=0.51)
    expired = expire.sweep(conn)
    assert (expired.ids, expired.users) == ([one], ["ann"])
    assert (engagement(one).sequence, engagement(one).attempts) == (1, 1)
    row = pipeline("ann")
    assert (row.in_service, row.lease_worker, row.lease_token) == (None, None, grant.token + 1)
    assert claim_one(conn, "ann").id == two


def test_a_child_that_waited_in_vain_makes_way(conn: Connection) -> None:
    child, behind = make(causal_parent=uuid4()), make()
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    overdue(conn, child)
    assert expire.sweep(conn).users == ["ann"]
    assert claim_one(conn, "ann").id == behind


def test_paused_pipelines_are_left_as_they_are(conn: Connection) -> None:
    one = make()
    services.pause("ann", actor="test")
    overdue(conn, one)
    assert expire.sweep(conn).ids == []
    assert status(one) == "pending"


def test_unordered_ones_expire_paused_or_not_and_touch_no_pipeline(conn: Connection) -> None:
    make()
    loose = make(unordered=True)
    services.pause("ann", actor="test")
    overdue(conn, loose)
    assert expire.sweep(conn).ids == [loose]
    assert pipeline("ann").depth == 1


def test_an_unordered_one_that_is_attempted_is_left_to_its_holder_for_half_a_second(conn: Connection) -> None:
    one = make(unordered=True)
    [grant] = unordered.claim(conn, limit=1)
    overdue(conn, one, seconds=0.2)
    assert expire.sweep(conn).ids == []
    overdue(conn, one, seconds=0.6)
    assert expire.sweep(conn).ids == [one]
    assert unordered.settle(conn, [settlement(grant)], worker="w1").ids == []
    assert status(one) == "expired"


def test_an_unordered_one_that_waits_for_a_retry_expires_at_once(conn: Connection) -> None:
    """Even if its receiver asked for a pause beyond the deadline."""
    one = make(unordered=True, timeout_seconds=20)
    [grant] = unordered.claim(conn, limit=1)
    unordered.settle(conn, [settlement(grant, "retry", delay=3600)], worker="w1")
    assert engagement(one).held_until == engagement(one).expires_at


def test_it_works_through_any_amount_in_steps(conn: Connection) -> None:
    ids = [make(f"u{n % 5}") for n in range(23)]
    overdue(conn, *ids)
    after, steps, gone = None, 0, set()
    while True:
        expired = expire.sweep(conn, limit=10, after=after)
        gone |= set(expired.ids)
        steps += 1
        after = expired.after
        if after is None:
            break
    assert (gone, steps) == (set(ids), 3)


def test_beats_task_sweeps_and_wakes_the_children(conn: Connection) -> None:
    parent = make("bob")
    child = make("ann", causal_parent=parent)
    lease.claim(conn, ["ann"], worker="w1")
    overdue(conn, parent)
    sweep()
    assert status(parent) == "expired"
    assert claim_one(conn, "ann").id == child


def test_beat_is_known_to_live_while_its_messages_are_done(conn: Connection) -> None:
    assert beat.silent_seconds(conn) is None
    sweep()
    assert 0 <= (beat.silent_seconds(conn) or 0) < 5
    run(conn, "UPDATE engagements_beattick SET at = at - interval '1 min'")
    assert (beat.silent_seconds(conn) or 0) > 59
    sweep()
    assert (beat.silent_seconds(conn) or 0) < 5


def test_what_expired_unattempted_says_what_it_waited_for(conn: Connection) -> None:
    parent, first = uuid4(), make()
    child = make(causal_parent=parent)
    free = make(unordered=True)
    overdue(conn, first, child, free)
    expire.sweep(conn)
    assert engagement(first).last_error == "expired before its turn came"
    assert engagement(child).last_error == f"expired while it waited for its parent {parent}"
    assert engagement(free).last_error == "expired before a worker was free"


def test_a_sweep_of_the_recent_leaves_what_has_been_overdue_for_long(conn: Connection) -> None:
    """Such as all that a paused pipeline holds: walking past it four times a second would be dear."""
    old, young = make("ann"), make("bob")
    overdue(conn, old, seconds=100)
    overdue(conn, young, seconds=1)
    assert expire.sweep(conn, recent=True).ids == [young]
    assert expire.sweep(conn).ids == [old]
