"""Deleting old history."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from engagements import services
from engagements.models import Attempt, Engagement, Worker
from engagements.services import produce
from engagements.store import retention, settle
from engagements.store.connection import Connection
from tests.support.store import claim_one, pipeline, settlement, start_worker
from workers.tasks import delete_old

pytestmark = pytest.mark.usefixtures("worker")

WEEK = timedelta(days=7)


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


def delivered(conn: Connection, user: str = "ann") -> UUID:
    one = make(user)
    settle.settle(conn, [settlement(claim_one(conn, user))], worker="w1")
    return one


def age(conn: Connection, days: float) -> None:
    """As if everything that is there had happened so long ago."""
    conn.execute(
        "UPDATE engagements_engagement SET received_at = received_at - %(by)s, settled_at = settled_at - %(by)s",
        {"by": timedelta(days=days)},
    )


def left() -> set[UUID]:
    return set(Engagement.objects.values_list("id", flat=True))


def test_what_settled_before_the_retention_goes_with_its_attempts_and_the_pipeline_stays(conn: Connection) -> None:
    old = delivered(conn)
    age(conn, 8)
    young = delivered(conn)
    assert retention.delete_old(conn, keep=WEEK, batches=9) == 1
    assert left() == {young}
    assert set(Attempt.objects.values_list("engagement_id", flat=True)) == {young}
    assert old != young
    assert pipeline("ann").sequence == 2


def test_it_is_the_settling_that_counts(conn: Connection) -> None:
    one = make()
    age(conn, 8)
    settle.settle(conn, [settlement(claim_one(conn, "ann"))], worker="w1")
    assert retention.delete_old(conn, keep=WEEK, batches=9) == 0
    assert left() == {one}


def test_the_pending_and_the_parents_of_the_pending_are_spared(conn: Connection) -> None:
    """A child must still see that its parent has settled."""
    parent, stale = delivered(conn, "bob"), delivered(conn, "cy")
    child = make("ann", causal_parent=parent)
    make("dan", causal_parent=stale)
    services.purge("dan", actor="test")
    age(conn, 8)
    retention.delete_old(conn, keep=WEEK, batches=9)
    assert left() == {parent, child}
    assert claim_one(conn, "ann").id == child


def test_a_replayed_one_is_young_again(conn: Connection) -> None:
    one = make()
    settle.settle(conn, [settlement(claim_one(conn, "ann"), "failed", answer="no")], worker="w1")
    age(conn, 8)
    services.replay(one, actor="test")
    retention.delete_old(conn, keep=WEEK, batches=9)
    assert left() == {one}


def test_ids_are_remembered_for_the_retention_and_then_free(conn: Connection) -> None:
    id = uuid4()
    produce(user_id="ann", payload={}, id=id)
    services.purge("ann", actor="test")
    assert not produce(user_id="ann", payload={}, id=id).created
    age(conn, 8)
    retention.delete_old(conn, keep=WEEK, batches=9)
    assert produce(user_id="ann", payload={}, id=id).created


def _old(conn: Connection, number: int, *, pending: bool) -> None:
    """So many old ones, by one statement."""
    conn.execute(
        """
        INSERT INTO engagements_engagement (id, user_id, payload, produced_at, received_at, expires_at, settled_at,
            order_time, held_until, arrival, status, unordered, channel, late, lease_token, attempts, replays,
            last_error, content_digest)
        SELECT gen_random_uuid(), 'old', '{}', t, t, t, CASE WHEN NOT %(pending)s THEN t END, t, t,
            nextval('engagements_arrival'), CASE WHEN %(pending)s THEN 'pending' ELSE 'delivered' END, false, 'log',
            false, 0, 0, 0, '', ''
        FROM generate_series(1, %(number)s), (SELECT now() - interval '30 days' AS t)
        """,
        {"number": number, "pending": pending},
    )


def test_a_run_is_bounded_and_the_next_goes_on(conn: Connection) -> None:
    _old(conn, 2500, pending=False)
    assert retention.delete_old(conn, keep=WEEK, batches=2) == 2000
    assert retention.delete_old(conn, keep=WEEK, batches=2) == 500
    assert retention.delete_old(conn, keep=WEEK, batches=2) == 0


def test_old_ones_that_must_stay_do_not_keep_the_others(conn: Connection) -> None:
    """A pipeline may be paused for weeks, with more in it than a run looks at."""
    _old(conn, 2500, pending=True)
    _old(conn, 10, pending=False)
    assert retention.delete_old(conn, keep=WEEK, batches=2) == 10
    assert len(left()) == 2500


def test_beats_task_keeps_what_the_setting_says(conn: Connection) -> None:
    delivered(conn)
    age(conn, 6.9)
    young = delivered(conn)
    age(conn, 0.2)
    delete_old()
    assert left() == {young}


def test_workers_silent_for_longer_than_the_retention_are_forgotten(conn: Connection) -> None:
    start_worker(conn, "old")
    start_worker(conn, "new")
    Worker.objects.filter(name="old").update(heartbeat_at=timezone.now() - WEEK - timedelta(minutes=1))
    assert retention.delete_workers(conn, keep=WEEK) == 1
    assert {worker.name for worker in Worker.objects.all()} == {"new", "w1"}
