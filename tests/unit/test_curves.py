"""Curves of the console: scales that hold what they show, gaps where nothing is known."""

from hypothesis import given
from hypothesis import strategies as st

from engagements.admin.curves import Scale, area, line, linear, logarithmic

rates = st.lists(st.none() | st.floats(0.001, 1e6), min_size=1, max_size=30)


@given(rates)
def test_every_value_is_within_a_scale_that_begins_at_zero(values: list[float | None]) -> None:
    scale = linear(values)
    assert scale.y(0) == 100
    assert all(-0.2 <= scale.y(value) <= 100 for value in values if value is not None)
    assert scale.ticks[1] * 2 == scale.ticks[0]


@given(rates)
def test_every_value_is_within_a_scale_of_powers_of_ten(values: list[float | None]) -> None:
    scale = logarithmic(values)
    assert all(-0.2 <= scale.y(value) <= 100.2 for value in values if value is not None)
    assert scale.y(scale.ticks[0]) == 0
    assert scale.y(scale.ticks[-1]) == 100


@given(rates)
def test_a_scale_is_no_larger_than_it_must_be(values: list[float | None]) -> None:
    known = [value for value in values if value is not None]
    if known:
        assert linear(values).ticks[0] <= 2.002 * max(known)


def test_what_is_unknown_is_a_gap_and_a_value_alone_is_a_dot() -> None:
    scale = Scale((10.0, 5.0, 0.0))
    assert line([None, 0, 10, None, 5], scale) == "M25 100 L50 0 M100 50 L100 50"
    assert area([0, 10, None], scale) == "M0 100 L50 0 L50 100 L0 100 Z"
    assert line([None, None], scale) == ""


def test_an_empty_scale_still_has_its_ticks() -> None:
    assert linear([None, 0]).ticks == (1.0, 0.5, 0.0)
    assert len(logarithmic([None]).ticks) == 4
