"""What the webhook channel makes of an answer's parts, and how it writes a body."""

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.channels.base import Delivered, Delivery, Failed, Retry
from workers.channels.webhook.body import body_of, rfc3339
from workers.channels.webhook.verdict import EXCERPT_CHARACTERS, printable, retry_after_seconds, verdict

NOW = datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("5", 5.0),
        (" 120 ", 120.0),
        ("999999999999999999", 86_400.0),
        ("9" * 5000, None),
        ("-1", None),
        ("1.5", None),
        ("\u0665", None),
        ("soon", None),
        ("", None),
        ("Sat, 01 Mar 2025 12:00:30 GMT", 30.0),
        ("Saturday, 01-Mar-25 12:00:30 GMT", 30.0),
        ("Sat Mar  1 12:00:30 2025", 30.0),
        ("Sat, 01 Mar 2025 13:00:30 +0100", 30.0),
        ("Sat, 01 Mar 2025 11:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400.0),
        ("Sat, 99 Mar 2025 12:00:30 GMT", None),
        ("Sat, 01 Mar 99999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form_of_http(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_can_break_the_channel(value: str) -> None:
    seconds = retry_after_seconds(value, now=NOW)
    assert seconds is None or 0 <= seconds <= 86_400


@given(st.integers(100, 999))
def test_every_status_has_one_outcome(status: int) -> None:
    outcome = verdict(status, excerpt="text", retry_after=3.0, location="")
    if 200 <= status < 300:
        assert outcome == Delivered(f"HTTP {status}: text")
    elif status in (408, 425, 429) or 500 <= status < 600:
        assert outcome == Retry(f"HTTP {status}: text", 3.0)
    else:
        assert isinstance(outcome, Failed)
        assert f"HTTP {status}" in outcome.error


@given(st.text())
def test_what_is_recorded_fits_and_can_be_stored(text: str) -> None:
    line = printable(text)
    assert len(line) <= EXCERPT_CHARACTERS
    assert line.isprintable()


@given(
    user_id=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50),
    payload=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=10), max_size=4),
    produced_at=st.datetimes(
        min_value=datetime(1970, 1, 2),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=11.5))]),
        max_value=datetime(9990, 1, 1),  # noqa: DTZ001
    ),
    sequence=st.none() | st.integers(1, 2**63 - 1),
)
def test_every_body_is_json_with_the_payload_as_it_was(
    user_id: str, payload: dict[str, object], produced_at: datetime, sequence: int | None
) -> None:
    one = Delivery(uuid.uuid4(), user_id, sequence, 1, produced_at, None, False, False, 1, json.dumps(payload))
    data = json.loads(body_of(one))["data"]
    assert data["user_id"] == user_id
    assert data["payload"] == payload
    assert data["sequence"] == sequence
    assert datetime.fromisoformat(data["produced_at"]) == produced_at


def test_produce_times_sort_as_texts() -> None:
    times = [
        NOW,
        NOW + timedelta(microseconds=1),
        NOW + timedelta(milliseconds=1),
        NOW + timedelta(seconds=1),
    ]
    texts = [rfc3339(time) for time in times]
    assert texts == sorted(texts)
    assert texts[0] == "2025-03-01T12:00:00.000000Z"
