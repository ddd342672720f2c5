"""Cycles of causal parents."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from engagements.domain.causality import in_cycle
from tests.support.properties import quick

ids = st.integers(0, 8).map(lambda number: UUID(int=number))
graphs = st.dictionaries(ids, st.none() | ids)


def _walk(start: UUID, parents: dict[UUID, UUID | None]) -> bool:
    """The definition, by brute force: after as many steps as there are ids one has been everywhere."""
    current = parents.get(start)
    for _ in range(10):
        if current == start:
            return True
        if current is None:
            return False
        current = parents.get(current)
    return False


@quick
@given(ids, graphs)
def test_it_finds_exactly_the_walks_that_come_back(start: UUID, parents: dict[UUID, UUID | None]) -> None:
    assert in_cycle(start, parents) == _walk(start, parents)


def test_a_cycle_among_the_ancestors_is_not_ones_own() -> None:
    a, b, c = (UUID(int=number) for number in range(3))
    assert not in_cycle(a, {a: b, b: c, c: b})
    assert in_cycle(b, {a: b, b: c, c: b})


def test_a_long_chain_is_walked_without_recursion() -> None:
    chain: dict[UUID, UUID | None] = {UUID(int=number): UUID(int=number + 1) for number in range(5_000)}
    assert not in_cycle(UUID(int=0), chain)
    chain[UUID(int=5_000)] = UUID(int=0)
    assert in_cycle(UUID(int=0), chain)
