"""A deadline passes while the attempt's end is being written."""

from engagements.services import produce
from engagements.store import expire, settle
from tests.support.store import Connect, claim_one, engagement, overdue, pipeline, settlement, start_worker, status


def test_the_sweep_leaves_a_pipeline_that_is_being_settled_and_the_settle_wins(connect: Connect) -> None:
    first, second = connect(), connect()
    start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement
    grant = claim_one(first, "ann")
    overdue(second, one.id)

    with first.transaction():
        settle.settle(first, [settlement(grant)], worker="w1")
        assert expire.sweep(second).ids == []
    assert expire.sweep(second).ids == []

    assert status(one.id) == "delivered"


def test_the_settle_beside_a_sweep_in_flight_is_busy_and_then_lost(connect: Connect) -> None:
    """The first to commit wins; the attempt's success comes too late, and its sequence stays used."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement for _ in range(2))
    grant = claim_one(first, "ann")
    overdue(second, one.id)

    with second.transaction():
        assert expire.sweep(second).ids == [one.id]
        assert settle.settle(first, [settlement(grant)], worker="w1").busy == ["ann"]
    assert settle.settle(first, [settlement(grant)], worker="w1").lost == ["ann"]

    row = engagement(one.id)
    assert (row.status, row.sequence, row.attempts) == ("expired", 1, 1)
    assert pipeline("ann").lease_token > grant.token
    assert (claim_one(second, "ann").id, pipeline("ann").sequence) == (two.id, 2)


def test_a_head_in_service_is_left_to_its_holder_for_half_a_second(connect: Connect) -> None:
    """Its holder cuts it itself; only one that does not is settled over its head."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement
    grant = claim_one(first, "ann")

    overdue(second, one.id, seconds=0.2)
    assert expire.sweep(second).ids == []
    overdue(second, one.id, seconds=0.6)
    assert expire.sweep(second).ids == [one.id]

    assert pipeline("ann").lease_worker is None
    assert settle.postpone(first, [settlement(grant, "cut")], worker="w1").lost == ["ann"]


def test_the_holder_that_cuts_at_the_deadline_settles_it_as_expired_and_the_next_moves_up(connect: Connect) -> None:
    first, second = connect(), connect()
    start_worker(first, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement for _ in range(2))
    grant = claim_one(first, "ann")
    overdue(second, one.id, seconds=0.0)

    cut = settle.postpone(first, [settlement(grant, "cut", answer="no answer")], worker="w1")

    assert (cut.ids, cut.asleep) == ([one.id], {"ann": 0.0})
    assert status(one.id) == "expired"
    assert claim_one(first, "ann").id == two.id
