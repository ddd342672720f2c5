"""An operator skips a head at the moment when its attempt ends."""

import pytest

from engagements import services
from engagements.domain.errors import Conflict
from engagements.services import produce
from engagements.store import lease, operate, settle
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


def test_a_skip_that_waited_for_the_settle_finds_another_head(connect: Connect) -> None:
    """It names the head that it means: the successor is not skipped in its stead."""
    holder, observer = connect(), connect()
    start_worker(holder, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    grant = claim_one(holder, "ann")

    with holder.transaction():
        settle.settle(holder, [settlement(grant)], worker="w1")
        skip = in_thread(lambda: services.skip("ann", one, actor="test"))
        until_lock_wait(observer)

    with pytest.raises(Conflict, match=str(two)):
        skip.result(timeout=10)
    assert (status(one), status(two)) == ("delivered", "pending")


def test_a_settle_beside_a_skip_in_flight_is_busy_and_then_lost(connect: Connect) -> None:
    holder, operator = connect(), connect()
    start_worker(holder, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    grant = claim_one(holder, "ann")

    with operator.transaction():
        operate.skip(operator, "ann", one)
        assert settle.settle(holder, [settlement(grant)], worker="w1").busy == ["ann"]
    assert settle.settle(holder, [settlement(grant)], worker="w1").lost == ["ann"]

    assert (status(one), status(two)) == ("purged", "pending")


def test_the_successor_of_a_skipped_head_waits_until_the_holder_has_noticed(connect: Connect) -> None:
    holder, other = connect(), connect()
    start_worker(holder, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    grant = claim_one(holder, "ann")

    services.skip("ann", one, actor="test")
    assert lease.claim(other, ["ann"], worker="w1").grants == []
    lease.release(holder, {"ann": grant.token}, worker="w1", incarnation=1)

    successor = claim_one(other, "ann")
    assert (successor.id, successor.sequence, successor.attempt) == (two, 2, 1)
    assert pipeline("ann").depth == 1
