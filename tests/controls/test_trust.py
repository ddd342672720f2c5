"""Trust in one's own heartbeat: a worker that the others may take for dead ends what it attempts before they do."""

from unittest import mock

from tests.controls.run import Run, running, user_of
from tests.support.observer import Report
from workers.engine.trust import Trust


def _a_worker_is_cut_off_during_a_long_attempt(run: Run) -> Report:
    user = user_of("w1", ["w1", "w2"])
    [first, _] = run.world.workers
    run.produce(user, ("ok", 20.0), ("ok", 3.0))
    run.world.advance(0.1)
    first.disconnect()
    run.world.advance(9.5)
    first.reconnect()
    return run.report()


def test_a_worker_that_is_cut_off_ends_its_attempt_before_another_begins(simulation: None) -> None:
    with running("w1", "w2") as run:
        report = _a_worker_is_cut_off_during_a_long_attempt(run)
        assert {call.worker.name for call in run.world.receiver.calls} == {"w1", "w2"}
    assert report.holds, report.table()


def test_without_distrust_both_attempt_it_at_a_time(simulation: None) -> None:
    with mock.patch.object(Trust, "holds", return_value=True), running("w1", "w2") as run:
        report = _a_worker_is_cut_off_during_a_long_attempt(run)
    assert report.of("overlap"), report.table()
