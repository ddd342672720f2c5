"""All checks over one history."""

from tests.support.observer.causality import causal
from tests.support.observer.deadlines import deadlines
from tests.support.observer.history import History
from tests.support.observer.index import Index
from tests.support.observer.loss import after_settled, content, lost, unproduced
from tests.support.observer.numbers import accepted, sequence
from tests.support.observer.order import overlap, paused, reordered, stepped_back
from tests.support.observer.report import Report

_ALL = (
    lost, unproduced, content, after_settled, reordered, stepped_back, causal, sequence, accepted, overlap, deadlines,
    paused,
)  # fmt: skip


def observe(history: History) -> Report:
    """Judge a run by everything that is promised."""
    index, report = Index(history), Report()
    for check in _ALL:
        check(index, report)
    return report
