"""An operator purges a pipeline while its head is being attempted."""

from engagements import services
from engagements.services import produce
from engagements.store import lease, operate, settle
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    in_thread,
    pipeline,
    settlement,
    start_worker,
    status,
    until_lock_wait,
)


def test_a_purge_settles_the_head_under_the_attempt_and_fences_it(connect: Connect) -> None:
    """Everything pending is purged and counted when it returns; the attempt's success comes to nothing."""
    holder = connect()
    start_worker(holder, "w1")
    ids = [produce(user_id="ann", payload={}).engagement.id for _ in range(3)]
    grant = claim_one(holder, "ann")

    assert services.purge("ann", actor="test") == 3

    assert settle.settle(holder, [settlement(grant)], worker="w1").lost == ["ann"]
    assert [status(id) for id in ids] == ["purged"] * 3
    assert [engagement(id).sequence for id in ids] == [1, None, None]
    row = pipeline("ann")
    assert (row.depth, row.due_at, row.in_service) == (0, None, None)
    assert row.lease_token > grant.token


def test_nothing_is_attempted_before_the_holder_has_noticed(connect: Connect) -> None:
    """The lease stands as a barrier, for every worker, until the holder gives it up."""
    holder, other = connect(), connect()
    start_worker(holder, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(holder, "ann")
    services.purge("ann", actor="test")
    fresh = produce(user_id="ann", payload={}).engagement

    blocked = lease.claim(other, ["ann"], worker="w1")
    assert blocked.grants == []
    assert 0 < blocked.asleep["ann"] <= 10
    assert lease.renew(holder, {"ann": grant.token}).revoked == ["ann"]  # the holder notices
    assert lease.claim(other, ["ann"], worker="w1").grants == []  # and has still to end its attempt
    lease.release(holder, {"ann": grant.token}, worker="w1", incarnation=1)

    assert claim_one(other, "ann").id == fresh.id


def test_nothing_is_attempted_before_a_holder_that_never_notices_loses_its_lease(connect: Connect) -> None:
    """Renewing does not prolong a revoked lease; when it has run out, the barrier is gone."""
    holder, other = connect(), connect()
    start_worker(holder, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(holder, "ann")
    services.purge("ann", actor="test")
    produce(user_id="ann", payload={})
    until = pipeline("ann").lease_until

    lease.renew(holder, {"ann": grant.token})
    assert pipeline("ann").lease_until == until
    holder.execute("UPDATE engagements_pipeline SET lease_until = clock_timestamp()")  # ten seconds later

    assert claim_one(other, "ann").token > grant.token


def test_a_purge_waits_for_a_settle_in_flight_and_counts_what_it_left(connect: Connect) -> None:
    holder, observer = connect(), connect()
    start_worker(holder, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    grant = claim_one(holder, "ann")

    with holder.transaction():
        settled = settle.settle(holder, [settlement(grant)], worker="w1")
        purge = in_thread(lambda: services.purge("ann", actor="test"))
        until_lock_wait(observer)

    assert purge.result(timeout=10) == 1
    assert (status(one), status(two)) == ("delivered", "purged")
    assert settle.settle(holder, [settlement(settled.grants[0])], worker="w1").lost == ["ann"]


def test_a_settle_beside_a_purge_in_flight_is_busy_and_then_lost(connect: Connect) -> None:
    holder, operator = connect(), connect()
    start_worker(holder, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    grant = claim_one(holder, "ann")

    with operator.transaction():
        assert operate.purge(operator, ["ann"]) == [one]
        assert settle.settle(holder, [settlement(grant)], worker="w1").busy == ["ann"]
    assert settle.settle(holder, [settlement(grant)], worker="w1").lost == ["ann"]


def test_a_retry_that_was_purged_is_not_put_back(connect: Connect) -> None:
    holder = connect()
    start_worker(holder, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    grant = claim_one(holder, "ann")
    services.purge("ann", actor="test")

    assert settle.postpone(holder, [settlement(grant, "retry")], worker="w1").lost == ["ann"]

    assert status(one) == "purged"


def test_a_queues_purge_that_deadlocks_with_a_caller_is_tried_again(connect: Connect) -> None:
    """The caller locked its users in an order of its own; the purge is the victim, and nobody notices."""
    caller = connect()
    start_worker(caller, "w1")
    for user in ("ann", "bob"):
        produce(user_id=user, payload={})
    caller.execute("SET deadlock_timeout = '1min'")

    with caller.transaction():
        caller.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'bob' FOR NO KEY UPDATE")
        purge = in_thread(lambda: services.purge_queue("deliver.w1", actor="test"))
        until_lock_wait(connect())
        caller.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'ann' FOR NO KEY UPDATE")

    assert purge.result(timeout=20) == 2
