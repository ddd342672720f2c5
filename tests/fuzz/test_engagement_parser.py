"""The reader of engagements on bytes that nobody meant: a draft, or a refusal that names what is wrong; nothing else.

FUZZ_EXAMPLES is how much is tried. A failure prints the bytes.
"""

import http.client
import json
import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from engagements.api.json_body import read_json
from engagements.domain.draft import FIELDS, PAYLOAD_BYTES, Draft, read_draft
from engagements.domain.errors import Invalid
from tests.support.databases import Databases
from tests.support.web import Server, serving

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "20"))

thorough = settings(max_examples=25 * EXAMPLES, deadline=None, database=None)
over_the_wire = settings(
    max_examples=5 * EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

NUMBERS = ["0", "-0", "0.0", "5e-400", "1e308", "9" * 300, "1E2", "-17"]
BAD_NUMBERS = ["1e999", "-1E+400", "01", "1.", ".5", "9" * 400, "9" * 5000, "NaN", "-Infinity", "0x1"]
STRINGS = [r"\ud83d\ude00", r"\/", r"\u2028", "\u2028", "\x7f", "\ufeff", "", "__proto__"]
BAD_STRINGS = [r"\ud800", r"\udfff\ud800", r"\u0000", r"\x", "\t", "\x00", "\ud800"]

VALUES = {
    "user_id": ['"a"', '""', "7"],
    "id": ['"7c9e6679-7425-40de-944b-e07fc1f90ae7"', '"x"'],
    "produced_at": ['"2026-01-31T12:00:00.250Z"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:60Z"'],
    "timeout_seconds": ["30", "0.5", *NUMBERS],
    "channel": ['"log"', '"nowhere"'],
    "causal_parent": ['"7c9e6679-7425-40de-944b-e07fc1f90ae7"', "null"],
}
"""What comes close to each field, so that more than its first check is reached."""


def mostly(good: st.SearchStrategy[str], bad: list[str]) -> st.SearchStrategy[str]:
    """One bad thing in a text hides all others: so it has to be rare."""
    return st.integers(0, 29).flatmap(lambda number: good if number else st.sampled_from(bad))


texts = mostly(st.text(st.characters(exclude_characters='"\\', min_codepoint=32), max_size=8), BAD_STRINGS)
strings = (st.sampled_from(STRINGS) | texts).map(lambda text: f'"{text}"')
leaves = (
    st.sampled_from(["null", "true", "false", "{}", "[]"]) | mostly(st.sampled_from(NUMBERS), BAD_NUMBERS) | strings
)


def _objects(names: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Text of an object; nothing keeps a name from coming twice."""
    pairs = st.lists(st.tuples(names, values), max_size=3)
    return pairs.map(lambda found: "{" + ",".join(f"{name}:{value}" for name, value in found) + "}")


values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]") | _objects(strings, inner),
    max_leaves=8,
)


@st.composite
def engagement_texts(draw: st.DrawFn) -> str:
    """Text of an object of these fields, most of them nearly right."""
    parts = ['"user_id":"a"', f'"payload":{draw(_objects(strings, values))}']
    for field in draw(st.lists(st.sampled_from(FIELDS[2:]), max_size=4, unique=True)):
        value = draw(mostly(st.sampled_from(VALUES.get(field, ["null"])), ["true", "{}", "[[]]", '"\\u0000"', "-1"]))
        parts.append(f'"{field}":{value}')
    return "{" + ",".join(draw(st.permutations(parts))) + "}"


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Such a text as bytes, or a bulk of them, and some of them damaged afterwards."""
    text = draw(
        engagement_texts()
        | values
        | st.lists(engagement_texts()).map(lambda items: f'{{"engagements":[{",".join(items)}]}}')
    )
    body = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 3)) :]
    return body


def finite(value: Any) -> bool:
    """Whether no number in it is infinite or NaN."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def outcome(body: bytes) -> Draft | ParseError | Invalid:
    """What comes of it, as the API's views read it."""
    try:
        return read_draft(read_json(body))
    except (ParseError, Invalid) as refusal:
        return refusal


@thorough
@given(bodies())
@example(b"[" * 100_000)
@example(b'{"user_id":"a","payload":{"x":1,"x":2}}')
@example(b'{"user_id":"a","payload":{"\\ud800":1}}')
def test_bytes_become_a_draft_that_can_be_stored_or_a_refusal(body: bytes) -> None:
    read = outcome(body)
    event(type(read).__name__)
    if isinstance(read, ParseError):
        assert str(read.detail).isprintable()
    elif isinstance(read, Invalid):
        assert read.errors
        assert all(detail for _, detail in read.errors)
    else:
        stored = f"{read.user_id}{read.payload}{read.channel}".encode()
        assert b"\0" not in stored
        assert len(read.payload.encode()) <= PAYLOAD_BYTES
        assert finite(json.loads(read.payload))
        assert json.loads(read.payload) == json.loads(body)["payload"]


@pytest.fixture(scope="module")
def server(databases: Databases, broker_url: str) -> Iterator[Server]:
    with serving(databases.migrated(), broker_url, role="producer", LOG_LEVEL="ERROR") as started:
        yield started


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    yield connection
    connection.close()


@over_the_wire
@given(bodies(), st.sampled_from(["", "bulk/"]))
def test_the_server_answers_them_by_what_is_wrong_and_never_fails(
    server: Server, connection: http.client.HTTPConnection, body: bytes, path: str
) -> None:
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    connection.request("POST", f"/api/v1/engagements/{path}", body, headers)
    response = connection.getresponse()
    document = json.loads(response.read())
    assert response.status in (200, 201, 207, 400, 409)
    if response.status >= 400:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert document["detail"]
