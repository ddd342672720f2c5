"""Latency histograms: buckets that grow by a fixed factor, so that percentiles of any span come from merged counts.

A histogram is a list of counts, by bucket, of any length up to BUCKETS: what is not there is zero. Bucket 0 holds what
took up to FIRST_SECONDS, bucket n what took up to upper_bound(n), the last one whatever took longer.
"""

from collections.abc import Sequence
from itertools import accumulate

FIRST_SECONDS = 0.001
"""Less cannot be told apart: a commit takes about as long."""

PER_DOUBLING = 4
"""Buckets in which the latency doubles. A percentile is told as its bucket's middle: at most 9.1 % off."""

BUCKETS = 108
"""The bounds reach to 26 h, for an engagement may stand still in a paused pipeline; an array of some 400 bytes."""


def upper_bound(bucket: int) -> float:
    """The longest latency in the bucket (s)."""
    return FIRST_SECONDS * float(2.0 ** (bucket / PER_DOUBLING)) if bucket < BUCKETS - 1 else float("inf")


def percentile(histogram: Sequence[int], share: float) -> float | None:
    """The latency (s) that this share of all (0 < share ≤ 1) kept to; None when there is nothing.

    At most 9.1 % off; what took up to FIRST_SECONDS counts as that, what took longer than the last bound as the bound.
    """
    total = sum(histogram)
    if not total:
        return None
    bucket = next(n for n, counted in enumerate(accumulate(histogram)) if counted >= share * total)
    if bucket == 0:
        return FIRST_SECONDS
    return FIRST_SECONDS * float(2.0 ** (min(bucket - 0.5, BUCKETS - 2) / PER_DOUBLING))


def merged(histograms: Sequence[Sequence[int]]) -> list[int]:
    """One histogram of what all of these hold."""
    result = [0] * max(map(len, histograms), default=0)
    for histogram in histograms:
        for bucket, count in enumerate(histogram):
            result[bucket] += count
    return result
