"""Bad input: a 400 (or 413) that names the field, and nothing is stored."""

import json
import uuid
from typing import Any

import pytest

from engagements.models import Engagement, Pipeline
from tests.support.api import Caller

pytestmark = pytest.mark.django_db

ID = "00000000-0000-0000-0000-00000000000a"


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


BAD: list[tuple[str, str, Any]] = [
    ("user_id", "missing", ...),
    ("user_id", "null", None),
    ("user_id", "empty", ""),
    ("user_id", "too long", "x" * 201),
    ("user_id", "a number", 7),
    ("user_id", "NUL", "a\0b"),
    ("user_id", "half a surrogate pair", "a\ud800"),
    ("payload", "missing", ...),
    ("payload", "null", None),
    ("payload", "a list", []),
    ("payload", "a string", "{}"),
    ("payload", "over 64 KiB", {"x": "y" * 65_536}),
    ("payload", "over 64 KiB in UTF-8", {"x": "é" * 32_768}),
    ("payload", "very many values", {"x": [0] * 100_000}),
    ("payload", "nested 33 deep", nested(33)),
    ("payload", "nested 33 deep by lists", {"x": json.loads("[" * 32 + "]" * 32)}),
    ("payload", "NUL in a string", {"x": "\0"}),
    ("payload", "NUL in a key", {"\0": 1}),
    ("payload", "half a surrogate pair", {"x": ["\udfff"]}),
    ("payload", "half a surrogate pair in a key", {"\ud800": 1}),
    ("payload", "an integer beyond doubles", {"x": 10**309}),
    ("id", "no UUID", "x"),
    ("id", "a number", 5),
    ("id", "braces", "{00000000-0000-0000-0000-00000000000a}"),
    ("produced_at", "without a zone", "2026-01-31T12:00:00"),
    ("produced_at", "a date", "2026-01-31"),
    ("produced_at", "no such day", "2026-02-30T12:00:00Z"),
    ("produced_at", "a number", 1_700_000_000),
    ("produced_at", "in the future", "2999-01-01T00:00:00Z"),
    ("produced_at", "before 1970", "0001-01-01T00:00:00+23:59"),
    ("produced_at", "after the last year", "9999-12-31T23:59:59-23:59"),
    ("produced_at", "NUL", "2026-01-31T12:00:00Z\0"),
    ("causal_parent", "no UUID", "parent"),
    ("unordered", "a string", "true"),
    ("unordered", "a number", 1),
    ("channel", "unknown", "nowhere"),
    ("channel", "empty", ""),
    ("channel", "too long", "c" * 101),
    ("channel", "NUL", "lo\0g"),
    ("channel", "half a surrogate pair", "\ud800"),
    ("channel", "a number", 1),
    ("timeout_seconds", "zero", 0),
    ("timeout_seconds", "negative", -1),
    ("timeout_seconds", "over an hour", 3600.001),
    ("timeout_seconds", "a string", "5"),
    ("timeout_seconds", "true", True),
    ("surprise", "an unknown field", 1),
    ("self", "an unknown field that is a Python name", 1),
    ("", "an unknown field without a name", 1),
    ("\ud800", "an unknown field with half a surrogate pair", 1),
]


def body_with(field: str, value: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"user_id": "a", "payload": {}, field: value}
    if value is ...:
        del body[field]
    return body


@pytest.mark.parametrize(("field", "what", "value"), BAD, ids=[f"{field} {what}" for field, what, _ in BAD])
def test_a_wrong_field_is_named_and_nothing_is_stored(field: str, what: str, value: Any) -> None:
    producer = Caller()
    answer = producer.post("engagements/", body_with(field, value))
    assert answer.status == 400, what
    assert field in answer.fields
    bulk = producer.post("engagements/bulk/", {"engagements": [body_with(field, value)]})
    assert bulk.status == 207
    [result] = bulk.body["results"]
    assert result["status"] == "refused"
    assert field in [error["field"] for error in result["error"]["errors"]]
    assert not Engagement.objects.exists()
    assert not Pipeline.objects.exists()


def test_all_wrong_fields_are_named_at_once() -> None:
    answer = Caller().post("engagements/", {"user_id": "", "payload": 1, "id": "x", "more": 1})
    assert set(answer.fields) == {"user_id", "payload", "id", "more"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": ID, "causal_parent": ID}, "causal_parent"),
        ({"unordered": True, "causal_parent": ID}, "causal_parent"),
    ],
    ids=["its own parent", "unordered with a parent"],
)
def test_fields_that_contradict_each_other(body: dict[str, Any], field: str) -> None:
    answer = Caller().post("engagements/", {"user_id": "a", "payload": {}, **body})
    assert answer.status == 400
    assert field in answer.fields
    assert not Engagement.objects.exists()


def test_the_post_that_closes_a_cycle_is_refused() -> None:
    producer = Caller()
    first, second, third = (str(uuid.uuid4()) for _ in range(3))
    for id, parent in ((first, second), (second, third)):
        body = {"user_id": "a", "payload": {}, "id": id, "causal_parent": parent}
        assert producer.post("engagements/", body).status == 201
    answer = producer.post("engagements/", {"user_id": "b", "payload": {}, "id": third, "causal_parent": first})
    assert answer.status == 400
    assert answer.fields == ["causal_parent"]
    assert not Engagement.objects.filter(id=third).exists()


RAW: list[tuple[str, bytes, str | None]] = [
    ("nothing", b"", None),
    ("no JSON", b"{", None),
    ("two values", b"{} {}", None),
    ("a byte order mark", b"\xef\xbb\xbf{}", None),
    ("invalid UTF-8", b'{"user_id": "\xff", "payload": {}}', None),
    ("UTF-16", '{"user_id": "a", "payload": {}}'.encode("utf-16"), None),
    ("NaN", b'{"user_id": "a", "payload": {"x": NaN}}', None),
    ("Infinity", b'{"user_id": "a", "payload": {}, "timeout_seconds": Infinity}', None),
    ("a name twice", b'{"user_id": "a", "user_id": "b", "payload": {}}', None),
    ("a name twice by an escape", b'{"user_id": "a", "payload": {"x": 1, "\\u0078": 2}}', None),
    ("a name twice deep inside", b'{"user_id": "a", "payload": {"x": [{"": 1, "": 1}]}}', None),
    ("half a surrogate pair twice", b'{"user_id": "a", "payload": {"\\ud800": 1, "\\ud800": 1}}', None),
    ("a list", b"[]", ""),
    ("null", b"null", ""),
    ("a string", b'"x"', ""),
    ("a float that overflows", b'{"user_id": "a", "payload": {"x": 1e999}}', "payload"),
    ("a time-out that overflows", b'{"user_id": "a", "payload": {}, "timeout_seconds": 1e999}', "timeout_seconds"),
    ("5,000 digits", b'{"user_id": "a", "payload": {"x": %s}}' % (b"9" * 5000), "payload"),
    ("a negative of 5,000 digits", b'{"user_id": "a", "payload": {"x": -%s}}' % (b"9" * 5000), "payload"),
    ("5,000 digits of time-out", b'{"user_id": "a", "payload": {}, "timeout_seconds": %s}' % (b"9" * 5000), None),
    ("100,000 open lists", b"[" * 100_000, None),
    ("100,000 nested lists", b"[" * 100_000 + b"]" * 100_000, None),
    ("100,000 nested objects", b'{"payload":' * 100_000 + b"1" + b"}" * 100_000, None),
    ("a nested user id", b'{"user_id": %s, "payload": {}}' % (b"[" * 500 + b"]" * 500), "user_id"),
]


@pytest.mark.parametrize("path", ["engagements/", "engagements/bulk/"])
@pytest.mark.parametrize(("what", "body", "field"), RAW, ids=[what for what, _, _ in RAW])
def test_a_body_that_cannot_be_read(path: str, what: str, body: bytes, field: str | None) -> None:
    answer = Caller().post(path, body)
    assert answer.status == 400, what
    if field is not None and path == "engagements/":
        assert field in answer.fields
    assert not Engagement.objects.exists()


@pytest.mark.parametrize("path", ["engagements/", "engagements/bulk/"])
def test_a_body_over_8_mib_is_answered_413(path: str) -> None:
    answer = Caller().post(path, b" " * (8 * 1024 * 1024 + 1))
    assert answer.status == 413


def test_a_body_of_8_mib_is_read() -> None:
    body = json.dumps({"user_id": "a", "payload": {}}).encode().ljust(8 * 1024 * 1024)
    assert Caller().post("engagements/", body).status == 201


def test_the_largest_of_everything_is_accepted() -> None:
    payload = {"x": "y" * (65_536 - len('{"x":""}'))}
    body = {"user_id": "é" * 200, "payload": payload, "timeout_seconds": 3600, "id": ID.replace("-", "")}
    assert Caller().post("engagements/", body).status == 201
    assert Caller("operator").post("engagements/", {"user_id": "a", "payload": nested(32)}).status == 201
    numbers = [10**308, -(10**308), 1.7976931348623157e308, 5e-324, 2**63, 2**64 + 1, -0.0]
    stored = Caller("operator").post("engagements/", {"user_id": "a", "payload": {"x": numbers}})
    assert stored.status == 201
    shown = Caller("operator").get(f"engagements/{stored.body['id']}/").body["payload"]["x"]
    assert shown[4:] == numbers[4:]
    # PostgreSQL writes a large double out in full: the same number to whoever reads doubles.
    assert list(map(float, shown)) == list(map(float, numbers))
