"""The receiver's check of the sequence: what is repeated after a crash is accepted once."""

from tests.controls.run import Run, running, user_of
from tests.support.observer import Report


def _a_worker_dies_between_an_answer_and_its_settle(run: Run) -> Report:
    user = user_of("w1", ["w1", "w2"])
    [first, _] = run.world.workers
    run.produce(user, ("ok", 0.3))
    run.world.advance(0.1)
    first.disconnect({"settle-1", "settle-2", "settle-deep"})
    run.world.advance(0.5)
    first.kill()
    report = run.report()
    assert [call.worker.name for call in run.world.receiver.calls] == ["w1", "w2"]
    return report


def test_a_receiver_that_checks_the_sequence_accepts_a_repeated_one_once(simulation: None) -> None:
    with running("w1", "w2") as run:
        report = _a_worker_dies_between_an_answer_and_its_settle(run)
    assert report.holds, report.table()


def test_a_receiver_that_does_not_check_accepts_it_twice(simulation: None) -> None:
    with running("w1", "w2", checks_sequence=False) as run:
        report = _a_worker_dies_between_an_answer_and_its_settle(run)
    assert report.of("duplicate"), report.table()
