"""A worker is started again under its name while the old process still works, or wakes from a freeze."""

from engagements import services
from engagements.services import produce
from engagements.store import lease, settle, workers
from tests.support.store import Connect, claim_one, pipeline, settlement, start_worker


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

    lease.release(first, {"ann": old.token}, worker="w1", incarnation=1)

    row = pipeline("ann")
    assert (row.lease_worker, row.lease_token) == ("w1", new.token)
    assert lease.claim(first, ["ann"], worker="w1").grants == []


def test_the_old_one_does_not_end_the_barrier_of_a_purge_that_the_new_one_has_to_notice(connect: Connect) -> None:
    """A barrier has nothing in service and bears the name of both: only the incarnation tells whose attempt it waits
    for."""
    first, second = connect(), connect()
    before = start_worker(first, "w1")
    produce(user_id="ann", payload={})
    old = claim_one(first, "ann")
    incarnation = start_worker(second, "w1")
    new = claim_one(second, "ann")
    services.purge("ann", actor="test")
    fresh = produce(user_id="ann", payload={}).engagement

    lease.release(first, {"ann": old.token}, worker="w1", incarnation=before)
    assert lease.claim(first, ["ann"], worker="w1").grants == []  # the new one still attempts what was purged

    lease.release(second, {"ann": new.token}, worker="w1", incarnation=incarnation)
    assert claim_one(second, "ann").id == fresh.id


def test_what_the_old_one_has_locked_is_revoked_when_that_ends(connect: Connect) -> None:
    """A batch of the old one is under way: the start does not wait for it, nor are its users left to the old lease."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    for _ in range(2):
        produce(user_id="ann", payload={})
    grant = claim_one(first, "ann")

    with first.transaction():
        settled = settle.settle(first, [settlement(grant)], worker="w1")
        left = workers.start(second, "w1").left
        assert left == {"ann": grant.token}
        assert workers.revoke(second, left, worker="w1") == ([], left)

    assert pipeline("ann").lease_worker == "w1"  # the batch has leased it anew
    assert workers.revoke(second, left, worker="w1") == (["ann"], {})
    assert pipeline("ann").lease_worker is None
    assert settle.settle(first, [settlement(settled.grants[0])], worker="w1").lost == ["ann"]


def test_a_revocation_that_comes_late_leaves_the_new_ones_own_leases_alone(connect: Connect) -> None:
    """They bear the same name. What the old one had locked was given back, and is leased by the new one since."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    for _ in range(2):
        produce(user_id="ann", payload={})
    grant = claim_one(first, "ann")
    with first.transaction():
        settle.settle(first, [settlement(grant)], worker="w1", serve_next=False)
        left = workers.start(second, "w1").left
    new = claim_one(second, "ann")

    assert workers.revoke(second, left, worker="w1") == ([], {})
    assert settle.settle(second, [settlement(new)], worker="w1").done == ["ann"]


def test_a_paused_pipelines_lease_is_revoked_too(connect: Connect) -> None:
    """Pausing lets an attempt finish; a start under the same name ends it."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(first, "ann")
    services.pause("ann", actor="test")

    start_worker(second, "w1")

    assert settle.settle(first, [settlement(grant)], worker="w1").lost == ["ann"]
