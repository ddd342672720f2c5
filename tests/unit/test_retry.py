"""When a failed attempt is repeated."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagements.domain.draft import TIMEOUT_SECONDS
from engagements.domain.retry import BASE_SECONDS, LONGEST_SECONDS, backoff_seconds
from tests.support.properties import quick

attempts = st.integers(1, 10_000)
jitters = st.floats(0, 1, exclude_max=True)
wishes = st.none() | st.floats(allow_nan=True, allow_infinity=True)


@quick
@given(attempts, jitters, wishes)
def test_a_pause_is_a_number_of_seconds_that_postgresql_can_add(
    attempt: int, jitter: float, wish: float | None
) -> None:
    """Whatever a receiver wishes for: infinity, a negative number, or nothing that is a number."""
    pause = backoff_seconds(attempt, jitter=jitter, retry_after=wish)
    assert math.isfinite(pause)
    assert 0 < pause <= TIMEOUT_SECONDS


@quick
@given(attempts, jitters)
def test_without_a_wish_it_stays_between_half_and_all_of_a_doubling_pause(attempt: int, jitter: float) -> None:
    full = min(LONGEST_SECONDS, BASE_SECONDS * 2 ** min(attempt - 1, 60))
    assert full / 2 <= backoff_seconds(attempt, jitter=jitter) <= full


@quick
@given(attempts, jitters, st.floats(0, TIMEOUT_SECONDS))
def test_what_the_receiver_asks_for_is_the_least_pause(attempt: int, jitter: float, wish: float) -> None:
    pause = backoff_seconds(attempt, jitter=jitter, retry_after=wish)
    assert pause == max(wish, backoff_seconds(attempt, jitter=jitter))


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.05), (2, 0.1), (3, 0.2), (6, 1.6), (7, 2.5), (99, 2.5)])
def test_it_doubles_up_to_a_cap(attempt: int, seconds: float) -> None:
    assert backoff_seconds(attempt, jitter=0) == pytest.approx(seconds)
