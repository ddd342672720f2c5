"""The barrier: after a purge the old lease stands until its holder has let go of what it attempts."""

from engagements import services
from engagements.store import operate
from tests.controls.run import Run, running, user_of
from tests.controls.sabotage import without
from tests.support.observer import Operation, Report


def _a_purged_user_goes_on_with_another_worker(run: Run) -> Report:
    """w2 joins, the session is ended and the pipeline purged: what is produced next goes to w2 while w1 attempts."""
    user = user_of("w2", ["w1", "w2"])
    run.produce(user, ("ok", 20.0))
    run.world.advance(0.1)
    run.world.start("w2")
    run.world.advance(1.5)
    run.world.call(services.end_session, user, actor="test")
    run.operate(Operation("purge", run.moment(), run.moment(), user_id=user))
    assert run.world.call(services.purge, user, actor="test") == 1
    run.produce(user, ("ok", 3.0))
    report = run.report()
    assert [call.worker.name for call in run.world.receiver.calls] == ["w1", "w2"]
    return report


def test_the_next_one_waits_until_the_purged_attempt_has_ended(simulation: None) -> None:
    with running("w1") as run:
        report = _a_purged_user_goes_on_with_another_worker(run)
    assert report.holds, report.table()


def test_without_the_barrier_both_are_attempted_at_a_time(simulation: None) -> None:
    with (
        without(
            operate,
            "_THIN",
            "g.stays OR p.lease_until > clock_timestamp() THEN p.lease_worker",
            "g.stays THEN p.lease_worker",
        ),
        without(
            operate,
            "_THIN",
            "g.stays OR p.lease_until > clock_timestamp() THEN p.lease_until",
            "g.stays THEN p.lease_until",
        ),
        running("w1") as run,
    ):
        report = _a_purged_user_goes_on_with_another_worker(run)
    assert report.of("overlap"), report.table()
