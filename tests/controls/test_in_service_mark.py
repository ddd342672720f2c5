"""The mark in service: what was attempted once is attempted again before anything else, under the same number."""

from engagements.store import heads
from tests.controls.run import Run, running
from tests.controls.sabotage import without
from tests.support.observer import Report


def _an_earlier_one_comes_while_a_later_one_is_retried(run: Run) -> Report:
    run.produce("ann", ("retry", 0.1), ("retry", 0.1), ("ok", 0.01), age=1.0)
    run.world.advance(0.15)
    assert len(run.world.receiver.calls) == 1
    run.produce("ann", age=2.0)
    return run.report()


def test_what_comes_late_waits_for_what_is_being_retried(simulation: None) -> None:
    with running("w1") as run:
        report = _an_earlier_one_comes_while_a_later_one_is_retried(run)
    assert report.holds, report.table()


def test_without_the_mark_the_retry_is_overtaken_and_renumbered(simulation: None) -> None:
    with (
        without(heads, "_HEADS", "u.in_service IS NOT NULL AS in_service", "false AS in_service"),
        without(heads, "_HEADS", "WHERE s.id = u.in_service AND s.settled_at IS NULL", "WHERE false"),
        without(heads, "_HEADS", "WHERE u.in_service IS NULL AND ", "WHERE "),
        running("w1") as run,
    ):
        report = _an_earlier_one_comes_while_a_later_one_is_retried(run)
    assert report.of("sequence"), report.table()
