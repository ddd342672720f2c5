"""Reading what a producer sent: whatever it is, either a draft comes out or every wrong field is named."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagements.domain.draft import (
    FIELDS,
    PAYLOAD_BYTES,
    Draft,
    read_draft,
    text_problem,
    timeout_or_none,
    user_id_problem,
    uuid_or_none,
)
from engagements.domain.errors import FieldError, Invalid

few = settings(max_examples=50, deadline=None)
"""Unit tests stay under a second or two, on a busy machine too."""

ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

any_text = st.text(st.characters(codec=None), max_size=250)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | st.binary()
    | st.datetimes()
    | st.uuids()
    | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(any_text | st.integers(), inner) | st.tuples(inner),
    max_leaves=10,
)


def attempted(fields: Any) -> Draft | list[FieldError]:
    """What comes of it: a draft, or what is wrong."""
    try:
        return read_draft(fields)
    except Invalid as error:
        return error.errors


def draft(**fields: Any) -> Draft:
    return read_draft({"user_id": "a", "payload": {}, **fields})


def wrong(**fields: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        draft(**fields)
    return [error.field for error in caught.value.errors]


@few
@given(st.dictionaries(st.sampled_from(FIELDS) | any_text, anything))
def test_any_fields_give_a_draft_or_name_what_is_wrong(fields: dict[str, Any]) -> None:
    read = attempted(fields)
    if isinstance(read, Draft):
        read.user_id.encode()
        assert len(read.payload.encode()) <= PAYLOAD_BYTES
        assert "\0" not in read.user_id + read.payload + (read.channel or "")
        assert json.loads(read.payload) is not None
    else:
        assert read
        assert all(name in fields or name in FIELDS for name, _ in read)


@few
@given(anything)
def test_anything_at_all_is_read_or_refused(value: Any) -> None:
    assert attempted(value)


@few
@given(st.dictionaries(st.sampled_from(FIELDS), anything))
def test_reading_twice_gives_the_same_digest(fields: dict[str, Any]) -> None:
    try:
        first = read_draft(fields)
    except Invalid:
        return
    assert read_draft(dict(reversed(fields.items()))) == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00+00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.5-05:30", datetime(2026, 1, 31, 17, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.1234567891Z", datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2024-02-29T23:59:59+14:00", datetime(2024, 2, 29, 9, 59, 59, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_rfc_3339_times_are_read(text: str, expected: datetime) -> None:
    assert draft(produced_at=text).produced_at == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-02-29T12:00:00Z",
        "2026-01-31T12:00:00+25:00",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00 Z",
        " 2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        "2026-01-31T12:00:00,5Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "-2026-01-31T12:00:00Z",
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    assert wrong(produced_at=text) == ["produced_at"]


def test_python_s_own_values_are_taken() -> None:
    moment = datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=1)))
    read = draft(id=UUID(ID), produced_at=moment, causal_parent=UUID(int=1))
    assert (read.id, read.produced_at, read.causal_parent) == (
        UUID(ID),
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        UUID(int=1),
    )
    assert wrong(produced_at=datetime(2026, 1, 31)) == ["produced_at"]  # noqa: DTZ001 - a time without its zone


@pytest.mark.parametrize("text", [ID, ID.upper(), ID.replace("-", "")])
def test_uuids_are_read_in_any_spelling(text: str) -> None:
    assert uuid_or_none(text) == UUID(ID)


@pytest.mark.parametrize("text", ["", ID[:-1], f"{ID}0", f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n", "g" * 32, None, 5])
def test_what_is_no_uuid_is_none(text: object) -> None:
    assert uuid_or_none(text) is None


SAME = [
    ({"n": 1}, {"n": 1.0}),
    ({"n": 100}, {"n": 1e2}),
    ({"n": 0}, {"n": -0.0}),
    ({"a": 1, "b": [1, {"c": None}]}, {"b": [1.0, {"c": None}], "a": 1}),
    ({"n": 10**22}, {"n": 1e22}),
]
OTHER = [
    ({"n": 1}, {"n": True}),
    ({"n": 0}, {"n": False}),
    ({"n": 1}, {"n": "1"}),
    ({"n": None}, {}),
    ({"l": [1, 2]}, {"l": [2, 1]}),
    ({"l": []}, {"l": {}}),
    ({"n": 2**63}, {"n": 2**63 + 1}),
    ({"n": 0.1}, {"n": 0.10000000000000002}),
    ({"é": 1}, {"e\u0301": 1}),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_equal_json_has_an_equal_digest(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert draft(payload=one).digest == draft(payload=two).digest


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_other_json_has_another_digest(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert draft(payload=one).digest != draft(payload=two).digest


@pytest.mark.parametrize(
    ("field", "default"),
    [("unordered", False), ("channel", "log"), ("timeout_seconds", 30), ("produced_at", "2026-01-31T12:00:00Z")],
)
def test_a_field_that_is_sent_is_other_content_than_one_left_out(field: str, default: object) -> None:
    assert draft(**{field: default}).digest != draft().digest
    assert draft(**{field: None}).digest == draft().digest


def test_fields_cannot_run_into_each_other() -> None:
    assert draft(user_id='a", null', payload={}).digest != draft(user_id="a", channel=None).digest
    assert draft(channel="a").digest != draft(channel='a", "b').digest


@few
@given(any_text)
def test_a_user_id_is_fit_exactly_when_it_can_be_stored(text: str) -> None:
    def storable() -> bool:
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
        return "\0" not in text

    assert (user_id_problem(text) is None) == (1 <= len(text) <= 200 and storable())
    assert (text_problem(text) is None) == storable()


@pytest.mark.parametrize("value", [0.001, 1, 30, 3600, 3600.0])
def test_time_outs_within_an_hour_are_read(value: float) -> None:
    errors: list[FieldError] = []
    assert timeout_or_none(value, errors) == value
    assert not errors


@pytest.mark.parametrize(
    "value", [0, -0.0, -1, 3600.0001, 10**400, float("inf"), float("-inf"), float("nan"), True, False, "30", [], {}]
)
def test_other_time_outs_are_refused(value: object) -> None:
    errors: list[FieldError] = []
    assert timeout_or_none(value, errors) is None
    assert [error.field for error in errors] == ["timeout_seconds"]


def test_an_unordered_one_has_no_parent_and_none_is_its_own() -> None:
    assert wrong(unordered=True, causal_parent=ID) == ["causal_parent"]
    assert wrong(id=ID, causal_parent=ID.upper()) == ["causal_parent"]
    assert wrong(id=ID, causal_parent=UUID(ID)) == ["causal_parent"]
