"""Settings under which nothing would be delivered as promised are refused by a sentence that says what would do."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings


def complaints() -> list[str]:
    return [message.msg for message in run_checks() if str(message.id).startswith("engagements.")]


def test_the_settings_as_they_come_are_in_order() -> None:
    assert complaints() == []


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("LEASE_SECONDS", 1.0, "above 1"),
        ("REORDER_WINDOW_MS", -1, "0 or more"),
        ("SESSION_IDLE_SECONDS", -1, "0 or more"),
        ("PENDING_TIMEOUT_SECONDS", 0, "above 0 and at most 3600"),
        ("PENDING_TIMEOUT_SECONDS", 3601, "above 0 and at most 3600"),
        ("RETENTION_DAYS", -1, "0 or more"),
        ("RATE_LIMIT_REQUESTS_PER_SECOND", -1, "0 or more"),
        ("WEBHOOK_ATTEMPT_SECONDS", 0, "above 0"),
        ("LATE_POLICY", "expired", "deliver or expire"),
    ],
)
def test_one_out_of_range_is_named(settings: Settings, name: str, value: object, wanted: str) -> None:
    setattr(settings, name, value)
    assert complaints() == [f"{name} is {value!r}; it must be {wanted}."]


def test_a_lease_that_a_slow_attempt_may_outlive_is_warned_of(settings: Settings) -> None:
    settings.LEASE_SECONDS = 3.0
    assert complaints() == ["LEASE_SECONDS is 3.0; it should be 4 or more."]
