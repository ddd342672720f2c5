"""A worker is started again under its name while the old process still works, or wakes from a freeze."""

from engagements import services
from engagements.services import produce
from engagements.store import lease, settle, workers
from tests.support.store import Connect, claim_one, in_thread, pipeline, settlement, start_worker, until


def test_a_start_under_the_same_name_revokes_the_old_ones_leases(connect: Connect) -> None:
    """The old process finds its settle refused and its heartbeat not wanted."""
    first, second = connect(), connect()
    old = start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement
    grant = claim_one(first, "ann")

    new = start_worker(second, "w1")

    assert new == old + 1
    assert not workers.beat(first, "w1", old)
    assert workers.beat(second, "w1", new)
    assert settle.settle(first, [settlement(grant)], worker="w1").lost == ["ann"]
    assert claim_one(second, "ann").id == one.id


def test_the_old_one_does_not_release_what_the_new_one_holds(connect: Connect) -> None:
    """Both have the same name: only the token tells whose lease it is."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    produce(user_id="ann", payload={})
    old = claim_one(first, "ann")
    start_worker(second, "w1")
    new = claim_one(second, "ann")

    lease.release(first, {"ann": old.token}, worker="w1")

    row = pipeline("ann")
    assert (row.lease_worker, row.lease_token) == ("w1", new.token)
    assert lease.claim(first, ["ann"], worker="w1").grants == []


def test_the_start_waits_a_moment_for_pipelines_that_the_old_one_has_locked(connect: Connect) -> None:
    """A batch of the old one is under way: its users are not left leased to a process that is being replaced."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    for _ in range(2):
        produce(user_id="ann", payload={})
    grant = claim_one(first, "ann")

    with first.transaction():
        settled = settle.settle(first, [settlement(grant)], worker="w1")
        starting = in_thread(lambda: workers.start(second, "w1"))
        until(lambda: not workers.beat(connect(), "w1", 1), "the new incarnation's registration")
    starting.result(timeout=10)

    assert pipeline("ann").lease_worker is None
    assert settle.settle(first, [settlement(settled.grants[0])], worker="w1").lost == ["ann"]


def test_a_paused_pipelines_lease_is_revoked_too(connect: Connect) -> None:
    """Pausing lets an attempt finish; a start under the same name ends it."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(first, "ann")
    services.pause("ann", actor="test")

    start_worker(second, "w1")

    assert settle.settle(first, [settlement(grant)], worker="w1").lost == ["ann"]
