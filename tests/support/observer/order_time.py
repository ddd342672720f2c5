"""Between which bounds the order time of each engagement lies, by the rules alone.

It is `max(produced_at, parent's order time + 1 µs)`, and for an unstated produce time the receipt, or just above what
had been attempted. Whether a parent that came later, or was raised later, still raised its child cannot be seen from
outside; where that matters the two bounds differ, and only what no value between them can explain is a finding.
"""

import math
from typing import NamedTuple

from tests.support.observer.history import SECOND, History
from tests.support.observer.index import Index

AHEAD = 6 * SECOND
"""How far a producer may be ahead at most (5 s are accepted), with room for clocks."""


class Bounds(NamedTuple):
    low: float
    high: float


def order_times(index: Index) -> dict[str, Bounds]:
    """Engagement → bounds of its order time, of all that the API tells, in its first life."""
    history = index.history
    ahead = _ahead(history)
    bounds: dict[str, Bounds] = {}
    for id in history.told:
        chain: list[str] = []
        current: str | None = id
        while current is not None and current in history.told and current not in bounds and current not in chain:
            chain.append(current)
            current = history.told[current].causal_parent
        for one in reversed(chain):
            bounds[one] = _bounds(index, one, bounds, ahead)
    return bounds


def _bounds(index: Index, id: str, bounds: dict[str, Bounds], ahead: int) -> Bounds:
    told = index.history.told[id]
    produced = index.history.by_id.get(id)
    stated = produced is None or produced.stated is not None
    low: float = told.produced_at
    high: float = told.produced_at if stated else told.produced_at + ahead
    if told.causal_parent is None or told.unordered:
        return Bounds(low, high)
    parent = bounds.get(told.causal_parent)
    if parent is None:
        return Bounds(low, math.inf)
    if told.causal_parent in index.replays:
        return Bounds(low, math.inf)
    attempted = bool(index.by_id.get(id))
    parent_first = index.history.told[told.causal_parent].received_at < told.received_at
    if attempted or parent_first:
        low = max(low, parent.low + 1)
    return Bounds(low, max(high, parent.high + 1))


def _ahead(history: History) -> int:
    """How far an unstated one may have been put above its receipt: what was attempted may lie ahead of the clock."""
    for produced in history.produced:
        told = history.told.get(produced.id)
        if told is not None and produced.stated is not None and produced.stated > told.received_at:
            return AHEAD
    return 0
