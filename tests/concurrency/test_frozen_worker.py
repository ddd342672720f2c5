"""A worker is frozen in the middle of a transaction, its locks held."""

from time import monotonic

from engagements.services import produce
from engagements.store import lease, settle, workers
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import Connect, claim_one, kill_worker, settlement, start_worker, status, until


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


ITS_LOCKS_SECONDS = 7.0
"""5 s until PostgreSQL ends the transaction, and a moment to notice. The lease would last 10 s."""

OTHERS_SECONDS = 3.0
"""For those of the same worker that nobody has locked."""


def test_started_again_under_its_name_it_serves_its_users_when_their_locks_end(
    connect: Connect, open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    """The new process waits for nobody at its start, and for whom the old one has locked until PostgreSQL lets go."""
    frozen = connect()
    open_desk()
    start_worker(frozen, "w1")
    ids = {user: produce(user_id=user, payload={}, channel="desk").engagement.id for user in ("ann", "bob")}
    grants = {user: claim_one(frozen, user) for user in ids}
    frozen.execute("BEGIN")
    settle.settle(frozen, [settlement(grants["ann"])], worker="w1")

    began = monotonic()
    start_engine("w1")
    until(lambda: status(ids["bob"]) == "delivered", "the user whom nobody has locked")
    assert monotonic() < began + OTHERS_SECONDS
    until(lambda: status(ids["ann"]) == "delivered", "the user whom the frozen one has locked")
    assert monotonic() < began + ITS_LOCKS_SECONDS
