"""The poll: what no wake-up announced is found nevertheless."""

from engagements.store import workers
from tests.controls.run import Run, running
from tests.controls.sabotage import without
from tests.support.observer import Report


def _the_broker_loses_every_wake_up(run: Run) -> Report:
    run.world.broker.loses = 1.0
    run.produce("ann")
    run.produce("bob")
    return run.report()


def test_what_the_broker_loses_is_delivered(simulation: None) -> None:
    with running("w1") as run:
        report = _the_broker_loses_every_wake_up(run)
    assert report.holds, report.table()


def test_without_the_poll_a_lost_wake_up_is_lost_work(simulation: None) -> None:
    with without(workers, "_DUE", "WHERE worker = %s", "WHERE worker = %s AND false"), running("w1") as run:
        report = _the_broker_loses_every_wake_up(run)
    assert len(report.of("lost")) == 2, report.table()


def _a_worker_dies_with_its_users(run: Run) -> Report:
    run.produce("ann", ("ok", 1.0))
    run.world.advance(0.3)
    [worker] = run.world.workers
    worker.kill()
    run.world.start("w2")
    return run.report()


def test_the_users_of_a_dead_worker_are_taken_over(simulation: None) -> None:
    with running("w1") as run:
        report = _a_worker_dies_with_its_users(run)
    assert report.holds, report.table()


def test_without_the_take_over_a_dead_workers_users_are_left_lying(simulation: None) -> None:
    with without(workers, "_ORPHANS", "WHERE {whose}", "WHERE {whose} AND false"), running("w1") as run:
        report = _a_worker_dies_with_its_users(run)
    assert report.of("lost"), report.table()
