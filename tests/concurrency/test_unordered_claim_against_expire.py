"""An unordered engagement is claimed, or settled, at the moment of its deadline."""

from engagements.services import produce
from engagements.store import expire, unordered
from tests.support.store import Connect, engagement, overdue, settlement, start_worker, status


def test_a_sweep_beside_a_claim_in_flight_leaves_the_row_to_it(connect: Connect) -> None:
    """And for half a second after the deadline: the holder cuts it itself."""
    worker, sweeper = connect(), connect()
    start_worker(worker, "w1")
    one = produce(user_id="ann", payload={}, unordered=True).engagement.id

    with worker.transaction():
        [grant] = unordered.claim(worker, limit=10)
        overdue(worker, one, seconds=0.1)  # its time passes while the claim is on its way
        assert expire.sweep(sweeper).ids == []
    overdue(worker, one, seconds=0.1)
    assert expire.sweep(sweeper).ids == []

    cut = unordered.settle(worker, [settlement(grant, "cut", answer="no answer")], worker="w1")
    assert (cut.ids, status(one)) == ([one], "expired")


def test_a_claim_beside_a_sweep_in_flight_takes_nothing(connect: Connect) -> None:
    """It skips the locked row, which is settled when it looks again."""
    worker, sweeper = connect(), connect()
    start_worker(worker, "w1")
    one = produce(user_id="ann", payload={}, unordered=True).engagement.id
    overdue(worker, one)

    with sweeper.transaction():
        assert expire.sweep(sweeper).ids == [one]
        assert unordered.claim(worker, limit=10) == []
    assert unordered.claim(worker, limit=10) == []
    assert (status(one), engagement(one).attempts) == ("expired", 0)


def test_a_settle_beside_a_sweep_in_flight_comes_to_nothing(connect: Connect) -> None:
    """The first to commit wins, and the sweep takes the row from a holder that is half a second over."""
    worker, sweeper = connect(), connect()
    start_worker(worker, "w1")
    one = produce(user_id="ann", payload={}, unordered=True).engagement.id
    [grant] = unordered.claim(worker, limit=10)
    overdue(worker, one)

    with sweeper.transaction():
        assert expire.sweep(sweeper).ids == [one]
        assert unordered.settle(worker, [settlement(grant)], worker="w1").busy == [one]
    settled = unordered.settle(worker, [settlement(grant)], worker="w1")

    assert (settled.ids, settled.busy, status(one)) == ([], [], "expired")


def test_a_sweep_beside_a_settle_in_flight_leaves_it_delivered(connect: Connect) -> None:
    worker, sweeper = connect(), connect()
    start_worker(worker, "w1")
    one = produce(user_id="ann", payload={}, unordered=True).engagement.id
    [grant] = unordered.claim(worker, limit=10)
    overdue(worker, one)

    with worker.transaction():
        assert unordered.settle(worker, [settlement(grant)], worker="w1").ids == [one]
        assert expire.sweep(sweeper).ids == []
    assert expire.sweep(sweeper).ids == []
    assert status(one) == "delivered"
