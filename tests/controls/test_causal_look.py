"""Looking at the parent: before a child is marked, and again when the parent has settled."""

from engagements.store import children, heads, workers
from tests.controls.run import Run, running
from tests.controls.sabotage import without
from tests.support.observer import Report


def _a_child_of_a_parent_that_takes_long(run: Run) -> Report:
    parent = run.produce("ann", ("ok", 2.0))
    run.produce("bob", causal_parent=parent)
    return run.report()


def test_a_child_waits_for_its_parent_and_then_goes(simulation: None) -> None:
    with running("w1") as run:
        report = _a_child_of_a_parent_that_takes_long(run)
    assert report.holds, report.table()


def test_without_the_look_at_its_parent_a_child_goes_before_it(simulation: None) -> None:
    look = "e.causal_parent IS NOT NULL AND e.replays = 0 AND COALESCE(parent.replays, 0) = 0 AS has_parent"
    with without(heads, "_HEADS", look, "false AS has_parent"), running("w1") as run:
        report = _a_child_of_a_parent_that_takes_long(run)
    assert report.of("causal"), report.table()


def test_a_child_that_nobody_wakes_is_remembered(simulation: None) -> None:
    """As after a crash between the parent's settle and the waking."""
    with without(children, "_USERS", "WHERE ", "WHERE false AND "), running("w1") as run:
        report = _a_child_of_a_parent_that_takes_long(run)
    assert report.holds, report.table()


def test_without_waking_and_remembering_a_child_is_left_lying(simulation: None) -> None:
    with (
        without(children, "_USERS", "WHERE ", "WHERE false AND "),
        without(workers, "_FORGOTTEN", "WHERE p.worker = %s", "WHERE p.worker = %s AND false"),
        running("w1") as run,
    ):
        report = _a_child_of_a_parent_that_takes_long(run)
    assert report.of("lost"), report.table()
