"""The connection broke while a settle committed: nobody knows whether it did, so it is sent again."""

from engagements.models import Attempt
from engagements.services import produce
from engagements.store import lease, settle
from tests.support.store import Connect, claim_one, engagement, pipeline, settlement, start_worker, status


def test_a_settle_that_had_committed_changes_nothing_when_repeated(connect: Connect) -> None:
    """It comes back as lost; the successor that it had marked is attempted first, with the number that it was given."""
    conn = connect()
    start_worker(conn, "w1")
    one, two, three = (produce(user_id="ann", payload={}).engagement.id for _ in range(3))
    grant = claim_one(conn, "ann")
    settle.settle(conn, [settlement(grant)], worker="w1")

    again = settle.settle(conn, [settlement(grant)], worker="w1")
    assert (again.lost, again.grants, again.ids) == (["ann"], [], [])
    lease.release(conn, {"ann": grant.token}, worker="w1", incarnation=1)

    successor = claim_one(conn, "ann")
    assert (successor.id, successor.sequence) == (two, 2)
    assert (status(one), status(three)) == ("delivered", "pending")
    assert pipeline("ann").depth == 2
    assert Attempt.objects.filter(engagement_id=one).count() == 1


def test_a_settle_that_had_not_committed_happens_when_repeated(connect: Connect) -> None:
    conn, broken = connect(), connect()
    start_worker(conn, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    grant = claim_one(conn, "ann")

    with broken.transaction(force_rollback=True):
        settle.settle(broken, [settlement(grant)], worker="w1")
    assert status(one) == "pending"

    assert settle.settle(conn, [settlement(grant)], worker="w1").ids == [one]
    assert (engagement(one).status, engagement(one).attempts) == ("delivered", 1)


def test_a_retry_that_had_been_recorded_is_not_recorded_twice(connect: Connect) -> None:
    """The lease was given up with it; the repetition finds somebody else's, or none."""
    conn = connect()
    start_worker(conn, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    grant = claim_one(conn, "ann")
    settle.postpone(conn, [settlement(grant, "retry", answer="503")], worker="w1")
    settle.postpone(conn, [settlement(grant, "retry", answer="503")], worker="w1")

    assert Attempt.objects.filter(engagement_id=one).count() == 1
    assert claim_one(conn, "ann").attempt == 2
