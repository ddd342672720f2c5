"""Pausing and resuming everything: the same for all pipelines, new ones included, and for nothing unordered."""

from datetime import timedelta
from uuid import UUID

import pytest

from engagements import services
from engagements.domain.errors import Conflict
from engagements.models import AuditEntry, Engagement, GlobalPause
from engagements.selectors import everything as selector
from engagements.selectors import pipelines as shown
from engagements.services import produce, produce_bulk
from engagements.store import everything, expire, lease, read_metrics, settle, unordered, workers
from engagements.store.connection import Connection, run
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    in_thread,
    overdue,
    pipeline,
    settlement,
    start_worker,
    status,
    until,
)
from tests.support.wakeups import announced_to

pytestmark = pytest.mark.usefixtures("worker")

HOUR = timedelta(hours=1)


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


def pause(conn: Connection, *, ago: timedelta = timedelta()) -> None:
    """Pause everything, as if that had been `ago`."""
    services.pause_everything(actor="test")
    run(conn, "UPDATE engagements_globalpause SET paused_at = paused_at - %s", [ago])


def aged(conn: Connection, by: timedelta) -> None:
    """As if everything pending had been produced so much earlier."""
    run(
        conn, "UPDATE engagements_engagement SET received_at = received_at - %s, expires_at = expires_at - %s", [by, by]
    )


def left(id: UUID, since: timedelta = timedelta(seconds=30)) -> float:
    """Seconds by which this one's deadline lies beyond its receipt and the time-out."""
    one = engagement(id)
    return (one.expires_at - one.received_at - since).total_seconds()


def test_nothing_ordered_starts_and_all_goes_on_when_resumed(conn: Connection) -> None:
    one = make()
    services.pause_everything(actor="test")
    new = make("bob")
    assert lease.claim(conn, ["ann", "bob"], worker="w1").grants == []
    assert workers.due(conn, "w1", limit=10) == []

    with announced_to("w1") as announced:
        services.resume_everything(actor="test")
        assert announced.next() == ["ann", "bob"]

    assert workers.due(conn, "w1", limit=10) == ["ann", "bob"]
    assert (claim_one(conn, "ann").id, claim_one(conn, "bob").id) == (one, new)
    assert not GlobalPause.objects.exists()


def test_unordered_ones_go_on(conn: Connection) -> None:
    free = make(unordered=True)
    services.pause_everything(actor="test")
    assert [grant.id for grant in unordered.claim(conn, limit=10)] == [free]
    stale = make(unordered=True)
    overdue(conn, stale)
    assert expire.sweep(conn).ids == [stale]


def test_what_runs_may_finish_and_its_successor_waits(conn: Connection) -> None:
    one, two = make(), make()
    grant = claim_one(conn, "ann")
    services.pause_everything(actor="test")

    settled = settle.settle(conn, [settlement(grant)], worker="w1")

    assert (settled.ids, settled.grants) == ([one], [])
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    services.resume_everything(actor="test")
    assert claim_one(conn, "ann").id == two


def test_nothing_ordered_expires_while_everything_is_paused(conn: Connection) -> None:
    """Neither by a sweep nor when its attempt is cut off at the deadline."""
    one, two = make(), make("bob")
    grant = claim_one(conn, "bob")
    services.pause_everything(actor="test")
    overdue(conn, one, two)

    settle.postpone(conn, [settlement(grant, "cut")], worker="w1")

    assert expire.sweep(conn).ids == []
    assert (status(one), status(two)) == ("pending", "pending")


def test_deadlines_move_by_the_time_they_stood_still(conn: Connection) -> None:
    """By the whole pause, or since the receipt of what came meanwhile."""
    before = make()
    pause(conn, ago=HOUR)
    aged(conn, 2 * HOUR)
    during = make()
    services.resume_everything(actor="test")
    assert left(before) == pytest.approx(3600, abs=5)
    assert left(during) == pytest.approx(0, abs=5)


def test_a_pipeline_paused_on_its_own_before_stays_so_and_loses_nothing(conn: Connection) -> None:
    one = make()
    services.pause("ann", actor="test")
    run(conn, "UPDATE engagements_pipeline SET paused_at = paused_at - interval '2 h'")
    aged(conn, 2 * HOUR)
    pause(conn, ago=HOUR)

    services.resume_everything(actor="test")
    assert pipeline("ann").paused_at is not None
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    services.resume("ann", actor="test")

    assert left(one) == pytest.approx(7200, abs=5)


def test_one_paused_on_its_own_meanwhile_stays_so_and_loses_nothing(conn: Connection) -> None:
    one = make()
    aged(conn, 2 * HOUR)
    pause(conn, ago=2 * HOUR)
    services.pause("ann", actor="test")
    run(conn, "UPDATE engagements_pipeline SET paused_at = paused_at - interval '1 h'")

    services.resume_everything(actor="test")
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    services.resume("ann", actor="test")

    assert left(one) == pytest.approx(7200, abs=5)


def test_one_resumed_on_its_own_meanwhile_stands_still_with_everything_and_loses_nothing(conn: Connection) -> None:
    one = make()
    services.pause("ann", actor="test")
    run(conn, "UPDATE engagements_pipeline SET paused_at = paused_at - interval '2 h'")
    aged(conn, 2 * HOUR)
    pause(conn, ago=HOUR)

    services.resume("ann", actor="test")
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    services.resume_everything(actor="test")

    assert left(one) == pytest.approx(7200, abs=5)
    assert claim_one(conn, "ann").id == one


def test_pausing_twice_is_pausing_once_and_so_is_resuming() -> None:
    services.pause_everything(actor="test", reason="storm")
    since = selector.paused_at()
    services.pause_everything(actor="test")
    assert selector.paused_at() == since
    services.resume_everything(actor="test")
    services.resume_everything(actor="test")
    assert selector.paused_at() is None
    recorded = AuditEntry.objects.order_by("id").values_list("action", "reason")
    assert list(recorded) == [("pause everything", "storm"), ("pause everything", ""), ("resume everything", "")]


def test_a_resume_that_was_cut_short_is_finished_by_the_next_to_look(conn: Connection) -> None:
    """Half of the users go on, the others stand still, and whoever looks goes on where it was left."""
    users = [f"u{number:04}" for number in range(everything.USERS + 1)]
    produce_bulk([{"user_id": user, "payload": {}} for user in users])
    services.pause_everything(actor="test")
    assert everything.begin_resume(conn)
    assert everything.resume_some(conn).more

    first, last = users[0], users[-1]
    claimed = lease.claim(conn, [first, last], worker="w1").grants
    assert [grant.user_id for grant in claimed] == [first]
    assert [shown.pipeline(user).paused for user in (first, last)] == [False, True]
    with pytest.raises(Conflict, match="being resumed"):
        services.pause_everything(actor="test")

    services.resume_more()
    assert claim_one(conn, last).user_id == last
    assert selector.state() is None


def test_a_locked_pipeline_is_left_behind_paused_and_keeps_nobody_else_waiting(
    connect: Connect, conn: Connection
) -> None:
    caller = connect()
    ann, bob = make("ann"), make("bob")
    pause(conn, ago=HOUR)
    aged(conn, HOUR)
    with caller.transaction():
        caller.execute("SELECT FROM engagements_pipeline WHERE user_id = 'ann' FOR UPDATE")
        services.resume_everything(actor="test")
        assert claim_one(conn, "bob").id == bob
        state = selector.state()
        assert state is not None
        assert state.resuming
    assert lease.claim(conn, ["ann"], worker="w1").grants == []

    services.resume_more()

    assert selector.state() is None
    assert left(ann) == pytest.approx(3600, abs=5)


def test_two_that_resume_at_once_move_each_deadline_once(connect: Connect, conn: Connection) -> None:
    one = make()
    pause(conn, ago=HOUR)
    aged(conn, 2 * HOUR)
    everything.begin_resume(conn)
    first, second = connect(), connect()
    with first.transaction():
        everything.resume_some(first)
        beside = in_thread(lambda: everything.resume_some(second))
        assert beside.result(timeout=10).wake == {}
    assert everything.resume_some(second).wake == {}
    assert left(one) == pytest.approx(3600, abs=5)


def test_a_worker_finishes_a_resume_that_its_caller_did_not(
    conn: Connection, open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    """Without a broker and without beat."""
    desk = open_desk()
    one = make(channel="desk")
    services.pause_everything(actor="test")
    start_engine()
    everything.begin_resume(conn)
    until(lambda: status(one) == "delivered", "the delivery")
    assert desk.ids == [one]
    assert selector.state() is None


def test_everybody_who_looks_is_told(conn: Connection) -> None:
    make()
    services.pause_everything(actor="test")
    state = shown.pipeline("ann")
    assert state.paused
    assert state.waiting is not None
    assert state.waiting.startswith("everything is paused since 20")
    for paused, users in ((True, ["ann"]), (False, [])):
        page = shown.page({"paused": paused}, start=None, backwards=False, size=10)
        assert [pipeline.user_id for pipeline in page.pipelines] == users
    assert read_metrics.due_unleased(conn) == (0, 0.0)


def test_a_purge_and_a_skip_still_work() -> None:
    one = make()
    make()
    services.pause_everything(actor="test")
    services.skip("ann", one, actor="test")
    assert services.purge("ann", actor="test") == 1
    assert not Engagement.objects.filter(status="pending").exists()
