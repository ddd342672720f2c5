"""An operator replays an engagement while its pipeline, or its former life, is being settled."""

import pytest

from engagements import services
from engagements.domain.errors import Conflict
from engagements.services import produce
from engagements.store import expire, settle
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    in_thread,
    overdue,
    pipeline,
    settlement,
    start_worker,
    status,
    until_lock_wait,
)


def test_a_replay_that_waited_for_the_last_settle_stands_at_the_end_and_is_due(connect: Connect) -> None:
    """The pipeline was about to fall asleep; the replay counts from what the settle left."""
    holder, observer = connect(), connect()
    start_worker(holder, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    [next_grant] = settle.settle(
        holder, [settlement(claim_one(holder, "ann"), "failed", answer="no")], worker="w1"
    ).grants

    with holder.transaction():
        assert settle.settle(holder, [settlement(next_grant)], worker="w1").done == ["ann"]
        replay = in_thread(lambda: services.replay(one, actor="test"))
        until_lock_wait(observer)
    replay.result(timeout=10)

    assert (status(one), status(two)) == ("pending", "delivered")
    assert (pipeline("ann").depth, pipeline("ann").due_at is not None) == (1, True)
    again = claim_one(holder, "ann")
    assert (again.id, again.sequence, again.attempt) == (one, 3, 1)


def test_the_answer_of_the_former_life_does_not_settle_the_new_one(connect: Connect) -> None:
    """It expired under its attempt and was replayed; the old attempt's success is a stranger's."""
    holder, other = connect(), connect()
    start_worker(holder, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    old = claim_one(holder, "ann")
    overdue(other, one)
    assert expire.sweep(other).ids == [one]
    services.replay(one, actor="test")

    assert settle.settle(holder, [settlement(old)], worker="w1").lost == ["ann"]
    new = claim_one(other, "ann")
    assert settle.settle(holder, [settlement(old)], worker="w1").lost == ["ann"]
    assert settle.postpone(holder, [settlement(old, "cut")], worker="w1").lost == ["ann"]

    assert (status(one), new.id, new.sequence) == ("pending", one, 2)
    assert settle.settle(other, [settlement(new)], worker="w1").done == ["ann"]
    assert (engagement(one).status, engagement(one).sequence) == ("delivered", 2)


def test_two_replays_at_once_are_one(connect: Connect) -> None:
    """The second waits for the pipeline and then finds it pending."""
    first, observer = connect(), connect()
    start_worker(first, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    settle.settle(first, [settlement(claim_one(first, "ann"), "failed", answer="no")], worker="w1")

    with first.transaction():
        first.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'ann' FOR NO KEY UPDATE")
        replays = [in_thread(lambda: services.replay(one, actor="test")) for _ in range(2)]
        until_lock_wait(observer)
    outcomes = [replay.exception(timeout=10) for replay in replays]

    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict]
    assert (pipeline("ann").depth, engagement(one).replays) == (1, 1)
    with pytest.raises(Conflict, match="pending"):
        services.replay(one, actor="test")
