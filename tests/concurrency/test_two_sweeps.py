"""Two beats, or a beat and an engine, sweep at the same time."""

from engagements.services import produce
from engagements.store import expire
from tests.support.store import Connect, overdue, pipeline, start_worker, status


def test_two_sweeps_settle_each_engagement_once(connect: Connect) -> None:
    """The second skips what the first has locked, and finds nothing left afterwards; depths stay right."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    ids = [produce(user_id=user, payload={}).engagement.id for user in ("ann", "bob", "ann")]
    loose = produce(user_id="ann", payload={}, unordered=True).engagement.id
    overdue(first, *ids, loose)

    with first.transaction():
        assert set(expire.sweep(first).ids) == {*ids, loose}
        assert expire.sweep(second).ids == []
    assert expire.sweep(second).ids == []

    assert {status(id) for id in [*ids, loose]} == {"expired"}
    assert [(pipeline(user).depth, pipeline(user).due_at) for user in ("ann", "bob")] == [(0, None), (0, None)]


def test_a_user_that_somebody_holds_does_not_keep_others_from_expiring(connect: Connect) -> None:
    """However much of that user is overdue: more than one sweep's worth, and overdue for longer than all else."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    hot = [produce(user_id="hot", payload={}).engagement.id for _ in range(8)]
    other = produce(user_id="other", payload={}).engagement.id
    overdue(first, *hot, seconds=100)
    overdue(first, other, seconds=1)

    with first.transaction():
        first.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'hot' FOR NO KEY UPDATE")
        expired = expire.sweep(second, limit=5)
        assert expired.ids == []
        assert expire.sweep(second, limit=5, after=expired.after).ids == [other]

    expired = expire.sweep(second, limit=5)
    expired = expire.sweep(second, limit=5, after=expired.after)
    assert expired.after is None
    assert {status(id) for id in hot} == {"expired"}


def test_a_sweep_leaves_what_is_paused_under_the_lock(connect: Connect) -> None:
    """The pause commits after the sweep has chosen and before it locks: READ COMMITTED looks at the row again."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    overdue(first, one)

    with first.transaction():
        first.execute("UPDATE engagements_pipeline SET paused_at = clock_timestamp() WHERE user_id = 'ann'")
        assert expire.sweep(second).ids == []
    assert expire.sweep(second).ids == []

    assert status(one) == "pending"
