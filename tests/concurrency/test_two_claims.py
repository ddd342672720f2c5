"""Two workers, or two processes of one name, claim the same users."""

from engagements.services import produce
from engagements.store import lease
from tests.support.store import Connect, pipeline, start_worker


def test_a_claim_beside_a_claim_in_flight_finds_the_user_busy_and_then_leased(connect: Connect) -> None:
    first, second = connect(), connect()
    start_worker(first, "w1")
    produce(user_id="ann", payload={})

    with first.transaction():
        assert len(lease.claim(first, ["ann"], worker="w1").grants) == 1
        assert lease.claim(second, ["ann"], worker="w1").busy == ["ann"]
    after = lease.claim(second, ["ann"], worker="w1")

    assert (after.grants, after.busy) == ([], [])
    assert 0 < after.asleep["ann"] <= 10


def test_many_users_claimed_from_both_sides_in_opposite_orders_go_to_one_each(connect: Connect) -> None:
    first, second = connect(), connect()
    start_worker(first, "w1")
    users = [f"u{number:03}" for number in range(100)]
    for user in users:
        produce(user_id=user, payload={})

    with first.transaction():
        front = lease.claim(first, users[:60], worker="w1").grants
        back = lease.claim(second, users[::-1], worker="w1").grants

    assert sorted(grant.user_id for grant in [*front, *back]) == users


def test_a_worker_takes_only_users_that_are_its_own(connect: Connect) -> None:
    """Whoever got the wake-up."""
    conn = connect()
    start_worker(conn, "w1")
    produce(user_id="ann", payload={})
    start_worker(conn, "w2")

    claim = lease.claim(conn, ["ann", "nobody"], worker="w2")

    assert (claim.grants, claim.asleep, claim.busy) == ([], {}, [])
    assert pipeline("ann").lease_worker is None
