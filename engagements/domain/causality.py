"""Causal parents as a graph: who follows whom, and whether a new edge closes a cycle."""

from collections.abc import Mapping
from uuid import UUID


def in_cycle(start: UUID, parents: Mapping[UUID, UUID | None]) -> bool:
    """Whether walking up from `start` through `parents` (child → parent) comes back to it."""
    seen = {start}
    current = parents.get(start)
    while current is not None:
        if current == start:
            return True
        if current in seen:
            return False
        seen.add(current)
        current = parents.get(current)
    return False
