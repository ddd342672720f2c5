"""A worker was taken for dead and its users are moved, while it settles what it delivered."""

from engagements.services import produce
from engagements.store import lease, settle, workers
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    kill_worker,
    pipeline,
    settlement,
    start_worker,
    status,
)


def test_a_settle_beside_a_takeover_in_flight_is_busy_and_then_lost(connect: Connect) -> None:
    """It must not succeed by a glance at the row as it was before the takeover."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement
    grant = claim_one(first, "ann")
    kill_worker(second, "w1")
    start_worker(second, "w2")

    with second.transaction():
        assert workers.move_orphans(second, ["w2"]) == {"w2": ["ann"]}
        meanwhile = settle.settle(first, [settlement(grant)], worker="w1")
        assert (meanwhile.busy, meanwhile.lost, meanwhile.ids) == (["ann"], [], [])
    afterwards = settle.settle(first, [settlement(grant)], worker="w1")

    assert (afterwards.busy, afterwards.lost, afterwards.ids) == ([], ["ann"], [])
    assert status(one.id) == "pending"
    again = claim_one(second, "ann", worker="w2")
    assert (again.id, again.sequence, again.attempt) == (one.id, grant.sequence, 2)
    assert again.token > grant.token


def test_a_takeover_beside_a_settle_in_flight_leaves_that_user_for_the_next_round(connect: Connect) -> None:
    """The settle commits, its successor is marked, and the next round moves the user with that mark."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement for _ in range(2))
    grant = claim_one(first, "ann")
    kill_worker(second, "w1")
    start_worker(second, "w2")

    with first.transaction():
        settled = settle.settle(first, [settlement(grant)], worker="w1")
        assert workers.move_orphans(second, ["w2"]) == {}
    assert workers.move_orphans(second, ["w2"]) == {"w2": ["ann"]}

    assert status(one.id) == "delivered"
    assert settle.settle(first, [settlement(settled.grants[0])], worker="w1").lost == ["ann"]
    again = claim_one(second, "ann", worker="w2")
    assert (again.id, again.sequence) == (two.id, 2)


def test_what_a_lost_worker_releases_is_not_its_successors_lease(connect: Connect) -> None:
    """A worker that finds itself fenced gives up what is left of its lease; there is nothing left of it."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    produce(user_id="ann", payload={})
    grant = claim_one(first, "ann")
    kill_worker(second, "w1")
    start_worker(second, "w2")
    workers.move_orphans(second, ["w2"])
    claim_one(second, "ann", worker="w2")

    assert settle.settle(first, [settlement(grant)], worker="w1").lost == ["ann"]
    lease.release(first, {"ann": grant.token}, worker="w1", incarnation=1)

    assert pipeline("ann").lease_worker == "w2"
    assert lease.renew(first, {"ann": grant.token}).revoked == ["ann"]


def test_many_users_of_a_dead_worker_move_although_somebody_holds_one(connect: Connect) -> None:
    """One locked pipeline costs nobody else a round: a thousand are not all that there are."""
    first, second, third = connect(), connect(), connect()
    start_worker(first, "w1")
    start_worker(second, "w2")
    first.execute(
        """
        INSERT INTO engagements_pipeline (user_id, worker, lease_token, attempt, sequence, depth, due_at)
        SELECT 'u' || n, 'w1', 0, 0, 0, 1, clock_timestamp() FROM generate_series(1, 2500) n
        """
    )
    kill_worker(first, "w1")

    with third.transaction():
        third.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'u7' FOR NO KEY UPDATE")
        moved = workers.move_orphans(second, ["w2"])

    assert len(moved["w2"]) == 2499
    assert pipeline("u7").worker == "w1"
    assert workers.move_orphans(second, ["w2"]) == {"w2": ["u7"]}


def test_a_worker_that_starts_meanwhile_keeps_its_users(connect: Connect) -> None:
    """The list of the living was read before it started: what it was given since is not moved away from it."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    live = workers.alive(first)
    start_worker(second, "w2")
    users = [f"u{number}" for number in range(50)]
    for user in users:
        produce(user_id=user, payload={})
    whose = {user: pipeline(user).worker for user in users}
    assert set(whose.values()) == {"w1", "w2"}

    assert workers.move_orphans(first, live) == {}

    assert {user: pipeline(user).worker for user in users} == whose


def test_a_delivery_that_a_takeover_raced_leaves_one_final_status(connect: Connect) -> None:
    """Both hold a grant of the same engagement; the one with the greater token settles it."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement
    old = claim_one(first, "ann")
    kill_worker(second, "w1")
    start_worker(second, "w2")
    workers.move_orphans(second, ["w2"])
    new = claim_one(second, "ann", worker="w2")

    assert settle.settle(first, [settlement(old, "failed", answer="no")], worker="w1").lost == ["ann"]
    assert settle.settle(second, [settlement(new)], worker="w2").done == ["ann"]

    row = engagement(one.id)
    assert (row.status, row.sequence, row.attempts, row.last_error) == ("delivered", 1, 2, "")
