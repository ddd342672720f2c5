"""A producer adds work to a pipeline at the moment when its worker finds it empty and lets it go."""

from engagements.domain.draft import read_draft
from engagements.liveness import ring
from engagements.services import produce
from engagements.store import lease, settle
from engagements.store import produce as produce_store
from tests.support.store import (
    Connect,
    claim_one,
    in_thread,
    pipeline,
    settlement,
    start_worker,
    until_lock_wait,
)


def test_a_producer_that_waited_for_the_last_settle_finds_the_pipeline_idle_and_wakes_it(connect: Connect) -> None:
    """It must see what the settle left, not what it saw before it waited."""
    worker, observer = connect(), connect()
    start_worker(worker, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(worker, "ann")

    def second() -> dict[str | None, list[str]]:
        producer = connect()
        with producer.transaction():
            return produce_store.insert(producer, [read_draft({"user_id": "ann", "payload": {}})], live).wake

    live = ring()
    with worker.transaction():
        settled = settle.settle(worker, [settlement(grant)], worker="w1")
        assert settled.done == ["ann"]
        producing = in_thread(second)
        until_lock_wait(observer)

    assert producing.result(timeout=10) == {"w1": ["ann"]}
    assert pipeline("ann").due_at is not None
    assert claim_one(worker, "ann").sequence == 2


def test_a_settle_beside_a_producer_in_flight_is_busy_and_then_finds_its_work(connect: Connect) -> None:
    """It skips the locked pipeline, and looks again with a snapshot of its own after it has the lock."""
    worker, producer = connect(), connect()
    start_worker(worker, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(worker, "ann")

    with producer.transaction():
        draft = read_draft({"user_id": "ann", "payload": {}})
        assert produce_store.insert(producer, [draft], ring()).wake == {}  # busy: no wake-up needed
        assert settle.settle(worker, [settlement(grant)], worker="w1").busy == ["ann"]
    settled = settle.settle(worker, [settlement(grant)], worker="w1")

    assert [grant.sequence for grant in settled.grants] == [2]


def test_a_producer_beside_the_mending_of_an_empty_pipeline_is_not_lost(connect: Connect) -> None:
    """A claim that finds nothing in line sets the pipeline to idle; the producer that waited counts from there."""
    worker, observer = connect(), connect()
    start_worker(worker, "w1")
    one = produce(user_id="ann", payload={}).engagement
    worker.execute("DELETE FROM engagements_engagement WHERE id = %s", [one.id])  # what must never happen

    with worker.transaction():
        assert lease.claim(worker, ["ann"], worker="w1").grants == []
        producing = in_thread(lambda: produce(user_id="ann", payload={}))
        until_lock_wait(observer)
    two = producing.result(timeout=10).engagement

    assert (pipeline("ann").depth, claim_one(worker, "ann").id) == (1, two.id)


def test_a_child_of_nobody_is_looked_at_when_something_earlier_comes(connect: Connect) -> None:
    """The pipeline sleeps until the child's deadline; the newcomer sorts before it and must not wait for that."""
    worker = connect()
    start_worker(worker, "w1")
    waiting = produce(user_id="ann", payload={}, causal_parent="0" * 32).engagement
    assert lease.claim(worker, ["ann"], worker="w1").asleep["ann"] > 20

    stated = waiting.produced_at.replace(microsecond=0).isoformat()
    earlier = produce(user_id="ann", payload={}, produced_at=stated).engagement
    assert pipeline("ann").due_at == earlier.held_until
