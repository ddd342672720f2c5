"""Where an engagement stands in its pipeline."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from engagements.domain.ordering import TICK, above, held_until, is_late, order_time
from tests.support.properties import quick

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

moments = st.integers(-10_000_000, 5_000_000).map(lambda microseconds: NOW + timedelta(microseconds=microseconds))
perhaps = st.none() | moments
windows = st.integers(0, 10_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))


@quick
@given(moments, perhaps)
def test_a_stated_time_is_taken_as_it_is(stated: datetime, last: datetime | None) -> None:
    assert order_time(stated=stated, received_at=NOW, last_attempted=last, parent=None) == stated


@quick
@given(perhaps, perhaps, moments)
def test_a_child_sorts_after_its_parent(stated: datetime | None, last: datetime | None, parent: datetime) -> None:
    assert order_time(stated=stated, received_at=NOW, last_attempted=last, parent=parent) > parent


@quick
@given(perhaps, perhaps)
def test_without_a_stated_time_it_is_never_late(last: datetime | None, parent: datetime | None) -> None:
    time = order_time(stated=None, received_at=NOW, last_attempted=last, parent=parent)
    assert time >= NOW
    assert not is_late(order_time=time, last_attempted=last)
    assert last is None or time > last


@quick
@given(perhaps, perhaps, perhaps)
def test_it_is_never_before_the_produce_time(
    stated: datetime | None, last: datetime | None, parent: datetime | None
) -> None:
    produced_at = NOW if stated is None else stated
    assert order_time(stated=stated, received_at=NOW, last_attempted=last, parent=parent) >= produced_at


@quick
@given(moments, perhaps)
def test_raising_above_a_parent_moves_it_no_further_than_needed(time: datetime, parent: datetime | None) -> None:
    raised = above(time, parent)
    assert raised == time or (parent is not None and raised == parent + TICK)
    assert above(raised, parent) == raised


@quick
@given(st.lists(st.integers(0, 7), min_size=8, max_size=8), st.lists(moments, min_size=8, max_size=8))
def test_waits_for_parents_point_to_smaller_order_times(links: list[int], times: list[datetime]) -> None:
    """So a head that waits for a parent, which stands behind another head that waits, never comes back to itself."""
    for child, parent in enumerate(links):
        if parent < child:
            times[child] = above(times[child], times[parent])
    for child, parent in enumerate(links):
        if parent < child:
            assert times[parent] < times[child]


@quick
@given(moments, windows)
def test_a_stated_time_is_held_for_a_window_from_then_or_from_its_receipt(stated: datetime, window: timedelta) -> None:
    until = held_until(stated=True, order_time=stated, received_at=NOW, window=window)
    assert until == min(stated, NOW) + window
    assert until <= NOW + window


@quick
@given(moments, windows)
def test_an_unstated_time_is_not_held(time: datetime, window: timedelta) -> None:
    assert held_until(stated=False, order_time=time, received_at=NOW, window=window) == NOW


@quick
@given(moments, moments)
def test_late_is_what_sorts_before_what_was_attempted(time: datetime, last: datetime) -> None:
    assert is_late(order_time=time, last_attempted=last) == (time < last)


def test_equal_times_are_not_late_and_nothing_is_before_the_first_attempt() -> None:
    assert not is_late(order_time=NOW, last_attempted=NOW)
    assert not is_late(order_time=NOW, last_attempted=None)
