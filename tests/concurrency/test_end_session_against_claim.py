"""An operator ends a session at the moment when its worker claims, or settles, the user's head."""

from engagements import services
from engagements.services import produce
from engagements.store import settle
from tests.support.store import (
    Connect,
    claim_one,
    in_thread,
    pipeline,
    settlement,
    start_worker,
    until_lock_wait,
)


def test_an_end_that_waited_for_a_claim_leaves_the_lease_and_the_work_to_its_worker(connect: Connect) -> None:
    """No session ends while work is pending: only what is produced when all is done goes to the ring's choice."""
    holder, observer = connect(), connect()
    start_worker(holder, "w1")
    for _ in range(2):
        produce(user_id="ann", payload={})

    with holder.transaction():
        grant = claim_one(holder, "ann")
        end = in_thread(lambda: services.end_session("ann", actor="test"))
        until_lock_wait(observer)
    end.result(timeout=10)

    row = pipeline("ann")
    assert (row.session_until, row.worker, row.lease_worker, row.lease_token) == (None, "w1", "w1", grant.token)
    [following] = settle.settle(holder, [settlement(grant)], worker="w1").grants
    assert settle.settle(holder, [settlement(following)], worker="w1").done == ["ann"]
    assert pipeline("ann").session_until is None


def test_a_settle_that_the_end_waited_for_does_not_bring_the_session_back(connect: Connect) -> None:
    holder, observer = connect(), connect()
    start_worker(holder, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(holder, "ann")

    with holder.transaction():
        settle.settle(holder, [settlement(grant)], worker="w1")
        end = in_thread(lambda: services.end_session("ann", actor="test"))
        until_lock_wait(observer)
    end.result(timeout=10)

    assert pipeline("ann").session_until is None
