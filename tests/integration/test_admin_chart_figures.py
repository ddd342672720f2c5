"""The figures beside the curves: as many digits as are known, and readable at a glance."""

import pytest

from engagements.admin.charts import latency, rate
from engagements.admin.display import EMPTY


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, EMPTY),
        (0, "0"),
        (0.0003, "< 0.01"),
        (0.1, "0.1"),
        (2.294, "2.29"),
        (12.34, "12.3"),
        (99.96, "100"),
        (1234.5, "1\u202f234"),
    ],
)
def test_a_rate(value: float | None, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, EMPTY),
        (0.001, "1 ms"),
        (0.0042, "4.2 ms"),
        (0.0384, "38 ms"),
        (0.234, "230 ms"),
        (0.999, "1 s"),
        (1.234, "1.2 s"),
        (41.2, "41 s"),
        (250.0, "4 min 10 s"),
    ],
)
def test_a_latency(seconds: float | None, text: str) -> None:
    assert latency(seconds) == text
