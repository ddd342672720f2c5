"""The sweeps: what stands behind a hanging attempt expires at its own deadline."""

from engagements.store import expire
from tests.controls.run import Run, running
from tests.controls.sabotage import without
from tests.support.observer import Report
from tests.support.simulation.receiver import HANG


def _a_short_deadline_behind_a_hanging_attempt(run: Run) -> Report:
    run.produce("ann", ("ok", HANG), timeout_seconds=20.0)
    run.produce("ann", timeout_seconds=2.0)
    run.produce("bob", ("retry", 0.01), unordered=True, timeout_seconds=3.0)
    return run.report()


def test_a_deadline_behind_a_hanging_attempt_is_kept(simulation: None) -> None:
    with running("w1") as run:
        report = _a_short_deadline_behind_a_hanging_attempt(run)
    assert report.holds, report.table()


def test_without_sweeps_a_deadline_passes_unseen(simulation: None) -> None:
    with without(expire, "_OVERDUE", "WHERE e.status", "WHERE false AND e.status"), running("w1") as run:
        report = _a_short_deadline_behind_a_hanging_attempt(run)
    assert report.of("expired late"), report.table()
