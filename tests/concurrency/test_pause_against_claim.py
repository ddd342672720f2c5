"""An operator pauses a pipeline at the moment when its head is claimed."""

from engagements import services
from engagements.services import produce
from engagements.store import lease, settle
from tests.support.store import (
    Connect,
    claim_one,
    in_thread,
    pipeline,
    settlement,
    start_worker,
    status,
    until_lock_wait,
)


def test_a_pause_waits_for_a_claim_in_flight_and_lets_its_attempt_finish(connect: Connect) -> None:
    """What was marked before the pause runs; its successor does not start."""
    holder, observer = connect(), connect()
    start_worker(holder, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))

    with holder.transaction():
        grant = claim_one(holder, "ann")
        pause = in_thread(lambda: services.pause("ann", actor="test"))
        until_lock_wait(observer)
    pause.result(timeout=10)

    settled = settle.settle(holder, [settlement(grant)], worker="w1")
    assert (settled.ids, settled.grants) == ([one], [])
    assert status(two) == "pending"
    assert pipeline("ann").in_service is None
    assert lease.claim(holder, ["ann"], worker="w1").grants == []


def test_a_claim_beside_a_pause_in_flight_takes_nothing(connect: Connect) -> None:
    """It skips the locked pipeline; afterwards it sees the pause."""
    holder, operator = connect(), connect()
    start_worker(holder, "w1")
    produce(user_id="ann", payload={})

    with operator.transaction():
        operator.execute("UPDATE engagements_pipeline SET paused_at = clock_timestamp() WHERE user_id = 'ann'")
        beside = lease.claim(holder, ["ann"], worker="w1")
        assert (beside.grants, beside.busy) == ([], ["ann"])
    after = lease.claim(holder, ["ann"], worker="w1")

    assert (after.grants, after.busy, after.asleep) == ([], [], {})


def test_a_retry_does_not_start_while_paused(connect: Connect) -> None:
    """And goes on first, with its sequence, when resumed."""
    holder = connect()
    start_worker(holder, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    grant = claim_one(holder, "ann")
    services.pause("ann", actor="test")

    settle.postpone(holder, [settlement(grant, "retry")], worker="w1")
    assert lease.claim(holder, ["ann"], worker="w1").grants == []
    services.resume("ann", actor="test")

    again = claim_one(holder, "ann")
    assert (again.id, again.sequence, again.attempt) == (one, 1, 2)
