"""Promise 2: a child is not attempted before its parent is settled."""

from tests.support.observer.history import FINAL, SECOND
from tests.support.observer.index import Index
from tests.support.observer.loss import CLOCK
from tests.support.observer.report import Report


def causal(index: Index, report: Report) -> None:
    """Settled means any final status. What was replayed waits for nobody, and a parent that was stays settled."""
    for id, told in index.history.told.items():
        requests = index.by_id.get(id)
        if told.causal_parent is None or not requests or id in index.replays or told.causal_parent in index.replays:
            continue
        report.judged["causal"] += 1
        parent = index.history.told.get(told.causal_parent)
        begun = requests[0].begun_at
        name = f"{id} of {told.user_id}"
        if parent is None:
            report.find("causal", f"{name} was attempted, and its parent {told.causal_parent} never arrived")
        elif parent.status not in FINAL or parent.settled_at is None:
            report.find("causal", f"{name} was attempted, and its parent {told.causal_parent} is {parent.status}")
        elif begun < parent.settled_at - CLOCK:
            early = (parent.settled_at - begun) / SECOND
            report.find("causal", f"{name} was attempted {early:.3f} s before its parent {told.causal_parent} settled")
