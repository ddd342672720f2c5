"""Unordered work is attempted, renewed and settled while an operator purges its queue."""

from engagements import services
from engagements.services import produce
from engagements.store import operate, unordered
from tests.support.store import Connect, engagement, in_thread, settlement, start_worker, status, until_lock_wait


def test_a_purge_fences_what_is_being_attempted(connect: Connect) -> None:
    worker = connect()
    start_worker(worker, "w1")
    one = produce(user_id="ann", payload={}, unordered=True).engagement.id
    [grant] = unordered.claim(worker, limit=10)

    assert services.purge_queue("unordered", actor="test") == 1

    assert unordered.renew(worker, {one: grant.token}) == set()
    assert unordered.settle(worker, [settlement(grant)], worker="w1").ids == []
    assert (status(one), engagement(one).attempts) == ("purged", 1)


def test_renewing_does_not_wait_for_an_open_purge(connect: Connect) -> None:
    """The heartbeat shares its connection with the renewals: a worker that waited here would be taken for dead."""
    worker, operator = connect(), connect()
    start_worker(worker, "w1")
    ids = [produce(user_id="ann", payload={}, unordered=True).engagement.id for _ in range(3)]
    grants = unordered.claim(worker, limit=2)
    held = {grant.id: grant.token for grant in grants}

    with operator.transaction():
        operator.execute("SELECT 1 FROM engagements_engagement WHERE id = %s FOR UPDATE", [grants[0].id])
        worker.execute("SET lock_timeout = '5s'")
        assert unordered.renew(worker, held) == set(held)
    with operator.transaction():
        assert set(operate.purge_unordered(operator, limit=10)) == set(ids)
        assert unordered.renew(worker, held) == set(held)
    assert unordered.renew(worker, held) == set()


def test_a_settle_does_not_wait_for_a_row_that_somebody_holds(connect: Connect) -> None:
    """It is reported busy and tried again; the others of the batch are settled."""
    worker, operator = connect(), connect()
    start_worker(worker, "w1")
    for _ in range(2):
        produce(user_id="ann", payload={}, unordered=True)
    held, free = unordered.claim(worker, limit=2)

    with operator.transaction():
        operator.execute("SELECT 1 FROM engagements_engagement WHERE id = %s FOR UPDATE", [held.id])
        worker.execute("SET lock_timeout = '5s'")
        settled = unordered.settle(worker, [settlement(held), settlement(free)], worker="w1")
        assert (settled.ids, settled.busy) == ([free.id], [held.id])
    assert unordered.settle(worker, [settlement(held)], worker="w1").ids == [held.id]


def test_a_purge_waits_for_a_settle_and_counts_only_what_it_settled_itself(connect: Connect) -> None:
    worker, observer = connect(), connect()
    start_worker(worker, "w1")
    ids = [produce(user_id="ann", payload={}, unordered=True).engagement.id for _ in range(3)]
    [grant] = unordered.claim(worker, limit=1)

    with worker.transaction():
        unordered.settle(worker, [settlement(grant)], worker="w1")
        purge = in_thread(lambda: services.purge_queue("unordered", actor="test"))
        until_lock_wait(observer)

    assert purge.result(timeout=10) == 2
    assert sorted(status(id) for id in ids) == ["delivered", "purged", "purged"]
