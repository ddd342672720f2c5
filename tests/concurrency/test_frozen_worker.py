"""A worker is frozen in the middle of a transaction, its locks held."""

from engagements.services import produce
from engagements.store import lease, workers
from tests.support.store import Connect, claim_one, kill_worker, start_worker, until


def test_a_frozen_workers_locks_end_by_themselves(connect: Connect) -> None:
    """PostgreSQL ends a transaction that stands still: its users can be produced for, and go on elsewhere."""
    frozen, other = connect(), connect()
    start_worker(frozen, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    frozen.execute("BEGIN")
    assert len(lease.claim(frozen, ["ann"], worker="w1").grants) == 1
    kill_worker(other, "w1")
    start_worker(other, "w2")

    two = produce(user_id="ann", payload={}).engagement.id  # waits until then
    until(lambda: workers.move_orphans(other, ["w2"]), "the user's move to another worker")

    grant = claim_one(other, "ann", worker="w2")
    assert (grant.id, grant.sequence, grant.attempt) == (one, 1, 1)  # the claim was never committed
    assert two != one
