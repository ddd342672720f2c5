"""Percentiles from merged histograms: near the truth, whatever the latencies are."""

import math

from hypothesis import given
from hypothesis import strategies as st

from engagements.domain.latency import BUCKETS, FIRST_SECONDS, PER_DOUBLING, merged, percentile, upper_bound

BOUND = 0.091
"""How far off a percentile may be, as a share of it: what the module promises."""

latencies = st.lists(st.floats(FIRST_SECONDS * 1.001, 90_000.0), min_size=1, max_size=200)


def histogram_of(seconds: list[float]) -> list[int]:
    counts = [0] * BUCKETS
    for one in seconds:
        counts[next(n for n in range(BUCKETS) if one <= upper_bound(n))] += 1
    return counts


@given(latencies, latencies, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_of_merged_histograms_is_within_its_error_bound(a: list[float], b: list[float], p: float) -> None:
    together = sorted(a + b)
    exact = together[math.ceil(p * len(together)) - 1]
    found = percentile(merged([histogram_of(a), histogram_of(b)]), p)
    assert found is not None
    assert abs(found - exact) <= BOUND * exact


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None
    assert percentile([0, 0], 0.5) is None


def test_what_lies_beyond_the_bounds_is_told_as_the_bound() -> None:
    assert percentile([1], 0.99) == FIRST_SECONDS
    assert percentile([0] * (BUCKETS - 1) + [1], 0.5) == upper_bound(BUCKETS - 2) > 24 * 3600


def test_bounds_double_every_few_buckets() -> None:
    assert upper_bound(0) == FIRST_SECONDS
    assert upper_bound(PER_DOUBLING) == 2 * FIRST_SECONDS
    assert upper_bound(BUCKETS - 1) == math.inf


def test_histograms_of_different_lengths_merge() -> None:
    assert merged([[1], [], [0, 2, 3]]) == [1, 2, 3]
