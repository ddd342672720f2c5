"""The fence: a settle counts only under the token of the lease that stands."""

from engagements.store import settle
from tests.controls.run import Run, running, user_of
from tests.controls.sabotage import without
from tests.support.observer import Report

SETTLES = ("settle-1", "settle-2", "settle-deep")


def _a_worker_comes_back_with_an_old_answer(run: Run) -> Report:
    """It lost the database after its attempt; by the time its settle arrives, another one attempts the same."""
    user = user_of("w1", ["w1", "w2"])
    [first, _] = run.world.workers
    run.produce(user, ("ok", 0.3), ("ok", 9.0))
    run.produce(user, ("ok", 1.0))
    run.world.advance(0.1)
    first.disconnect()
    run.world.advance(7.0)
    assert [call.worker.name for call in run.world.receiver.calls] == ["w1", "w2"]
    first.disconnect(SETTLES)  # the others find the database again, and with them the heartbeat
    run.world.advance(2.0)
    first.reconnect()
    return run.report()


def test_the_settle_of_a_worker_that_lost_its_lease_changes_nothing(simulation: None) -> None:
    with running("w1", "w2") as run:
        report = _a_worker_comes_back_with_an_old_answer(run)
    assert report.holds, report.table()


def test_without_the_token_two_of_a_user_are_attempted_at_a_time(simulation: None) -> None:
    """The old answer settles what the other worker attempts, and the old worker goes on with the next."""
    with (
        without(settle, "_LOCK", "p.lease_token = n.token AND "),
        without(settle, "_STILL_MINE", "p.lease_token = n.token AND "),
        running("w1", "w2") as run,
    ):
        report = _a_worker_comes_back_with_an_old_answer(run)
    assert report.of("overlap"), report.table()
