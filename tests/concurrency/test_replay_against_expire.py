"""An operator replays an engagement while a sweep is at its pipeline."""

from engagements import services
from engagements.liveness import ring
from engagements.services import produce
from engagements.store import expire, operate, settle
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
    until_lock_wait,
)


def test_a_replay_waits_for_the_sweep_that_expires_it(connect: Connect) -> None:
    """It is pending when the operator looks; by the time the replay has the lock it has expired and may be replayed."""
    sweeper, observer = connect(), connect()
    start_worker(sweeper, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    overdue(sweeper, one)

    with sweeper.transaction():
        assert expire.sweep(sweeper).ids == [one]
        replay = in_thread(lambda: services.replay(one, actor="test"))
        until_lock_wait(observer)

    assert replay.result(timeout=10).status == "pending"
    row = engagement(one)
    assert (row.status, row.replays, row.last_error) == ("pending", 1, "")
    assert (pipeline("ann").depth, claim_one(sweeper, "ann").id) == (1, one)


def test_a_sweep_beside_a_replay_in_flight_leaves_the_pipeline_and_then_the_new_life(connect: Connect) -> None:
    """What else is overdue there goes with the next sweep; the replayed one has a deadline of its own."""
    operator, sweeper = connect(), connect()
    start_worker(operator, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    settle.settle(operator, [settlement(claim_one(operator, "ann"), "failed", answer="no")], worker="w1")
    overdue(sweeper, one, two)

    live = ring()
    with operator.transaction():
        operate.replay(operator, one, live)
        assert expire.sweep(sweeper).ids == []
    assert expire.sweep(sweeper).ids == [two]

    assert (status(one), status(two)) == ("pending", "expired")
    assert pipeline("ann").depth == 1
