"""Every list can be had as a CSV file: all that matches, streamed, harmless in a spreadsheet, and without a secret."""

import csv
import io
import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from engagements import channels, services
from engagements.admin import csv_text, engagement_list, export
from engagements.admin.csv_text import cell
from engagements.models import Attempt, Channel, Engagement
from engagements.services import produce, produce_bulk
from engagements.store import workers
from engagements.store.connection import current
from tests.support.console import LISTS, address, attempt, counted_statements, failed, operator, take, viewer

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return operator()


def table(console: Client, model: str, **query: str) -> list[dict[str, str]]:
    """The rows of the file, by column."""
    response: Any = console.get(address(model, "export/"), query)
    assert response.status_code == 200
    assert response.streaming
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith("attachment;")
    text = b"".join(response.streaming_content).decode()
    assert text.startswith(csv_text.BYTE_ORDER_MARK)
    return list(csv.DictReader(io.StringIO(text.removeprefix(csv_text.BYTE_ORDER_MARK), newline="")))


def test_every_engagement_is_in_the_file_with_all_that_a_reader_of_the_api_gets(console: Client) -> None:
    parent = produce(user_id="bob", payload={}).engagement
    payload = {"text": 'Grüße, "Ada"\r\nbye', "n": 1.5}
    child = produce(user_id="alice", payload=payload, causal_parent=parent.id, timeout_seconds=12.5).engagement
    row, _ = table(console, "engagement")
    assert row["id"] == str(child.id)
    assert json.loads(row["payload"]) == payload
    assert (row["user_id"], row["status"], row["channel"]) == ("alice", "pending", "log")
    assert (row["causal_parent"], row["timeout_seconds"], row["late"]) == (str(parent.id), "12.5", "false")
    assert (row["settled_at"], row["sequence"]) == ("", "")
    assert row["received_at"] == f"{child.received_at:%Y-%m-%dT%H:%M:%S.%f}Z"


def test_what_is_in_service_has_its_sequence(console: Client) -> None:
    produce(user_id="alice", payload={})
    take("alice")
    assert table(console, "engagement")[0]["sequence"] == "1"


@pytest.mark.parametrize(
    ("query", "users"),
    [
        ({}, ["dora", "carl", "bob", "ann", "an"]),
        ({"status": "failed"}, ["bob"]),
        ({"channel": "crm"}, ["carl"]),
        ({"unordered": "1"}, ["dora"]),
        ({"status": "pending", "channel": "log"}, ["dora", "ann", "an"]),
        ({"q": "ann"}, ["ann"]),
        ({"q": "a"}, ["an", "ann"]),
        ({"o": "6"}, ["an", "ann", "bob", "carl", "dora"]),
        ({"status": "nonsense"}, ["dora", "carl", "bob", "ann", "an"]),
        ({"p": "7", "frozen": "1"}, ["dora", "carl", "bob", "ann", "an"]),
    ],
)
def test_the_filters_search_and_order_of_the_list_are_those_of_the_file(
    console: Client, query: dict[str, str], users: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK", 2)
    channels.create("crm", "webhook", "https://crm.example/hook", actor="test")
    for user in ("an", "ann"):
        produce(user_id=user, payload={})
    failed("bob")
    produce(user_id="carl", payload={}, channel="crm")
    produce(user_id="dora", payload={}, unordered=True)
    assert [row["user_id"] for row in table(console, "engagement", **query)] == users


def test_the_file_goes_on_where_the_list_stops(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engagement_list, "RECENT", 3)
    monkeypatch.setattr(export, "CHUNK", 4)
    produce_bulk([{"user_id": f"user-{n:02}", "payload": {}, "unordered": n < 2} for n in range(12)])
    assert len(table(console, "engagement")) == 12
    assert {row["user_id"] for row in table(console, "engagement", unordered="1")} == {"user-00", "user-01"}
    assert len(table(console, "pipeline")) == 10


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8])
def test_no_row_is_missed_or_doubled_where_one_chunk_ends(
    console: Client, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK", 4)
    produce_bulk([{"user_id": f"user-{n // 3}", "payload": {"n": n}} for n in range(rows)])
    for query in ({}, {"q": "user"}, {"q": "user-0"}, {"status": "pending"}):
        wanted = {
            str(row.id) for row in Engagement.objects.all() if query.get("q") != "user-0" or row.user_id == "user-0"
        }
        found = [row["id"] for row in table(console, "engagement", **query)]
        assert len(found) == len(wanted)
        assert set(found) == wanted


def test_a_pipeline_is_in_the_file_with_the_reason_why_it_waits(console: Client) -> None:
    parent = uuid4()
    produce(user_id="alice", payload={}, causal_parent=parent)
    services.pause("bob", actor="test")
    alice, bob = table(console, "pipeline")
    assert (alice["user_id"], alice["depth"], alice["paused"]) == ("alice", "1", "false")
    assert str(parent)[:8] in alice["waiting"]
    assert (bob["user_id"], bob["depth"], bob["paused"]) == ("bob", "0", "true")
    assert [row["user_id"] for row in table(console, "pipeline", state="paused")] == ["bob"]


@pytest.mark.usefixtures("broker_url")
def test_queues_channels_and_the_audit_are_files_too(console: Client) -> None:
    workers.start(current(), "w1")
    _, secret = channels.create("crm", "webhook", "https://crm.example/hook", actor="root")
    services.pause("alice", actor="root", reason="=HYPERLINK()")
    assert [row["name"] for row in table(console, "worker")] == ["deliver.w1", "unordered"]
    assert [row["name"] for row in table(console, "channel")] == ["crm", "log"]
    pause, create = table(console, "auditentry")
    assert (pause["action"], pause["target"], pause["reason"]) == ("pause", "alice", "'=HYPERLINK()")
    assert create["action"] == "create channel"
    assert [row["action"] for row in table(console, "auditentry", action="pause")] == ["pause"]
    sealed = Channel.objects.get(name="crm").secret
    for model in LISTS:
        text = str(table(console, model))
        assert secret not in text
        assert sealed not in text


def test_all_attempts_of_one_engagement_are_a_file(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHUNK", 2)
    id = produce(user_id="alice", payload={}).engagement.id
    common = {"engagement_id": id, "worker": "w1", "token": 1, "duration_seconds": 0.02, "started_at": timezone.now()}
    for number, outcome, answer in ((1, "retry", "HTTP 503"), (2, "retry", "=cmd"), (3, "failed", "HTTP 410: gone")):
        Attempt.objects.create(number=number, outcome=outcome, answer=answer, **common)
    failed("bob")
    link = address("engagement", f"{id}/attempts/")
    assert f'href="{link}"' in console.get(address("engagement", f"{id}/change/")).content.decode()
    file: Any = console.get(link)
    text = b"".join(file.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["number"], row["outcome"], row["answer"]) for row in rows] == [
        ("1", "retry", "HTTP 503"),
        ("2", "retry", "'=cmd"),
        ("3", "failed", "HTTP 410: gone"),
    ]
    assert console.get(address("engagement", f"{uuid4()}/attempts/")).status_code == 302
    assert console.get(address("engagement", "no-uuid/attempts/")).status_code == 302


def test_masked_fields_are_masked_in_the_file(console: Client, settings: Any) -> None:
    settings.PAYLOAD_MASKED_FIELDS = ["email"]
    produce(user_id="alice", payload={"email": "ada@example.org", "text": "hello"})
    [row] = table(console, "engagement")
    assert "ada@" not in str(row)
    assert json.loads(row["payload"])["text"] == "hello"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "=cmd|' /C calc'!A0"])
def test_a_text_that_a_spreadsheet_would_run_is_made_a_text(console: Client, text: str) -> None:
    produce(user_id=text, payload={})
    for model in ("engagement", "pipeline"):
        [row] = table(console, model)
        assert row["user_id"] == f"'{text}"
    assert cell(-1.5) == "-1.5"  # a number is one


@pytest.mark.parametrize("text", ["a,b", 'a"b', "a;b", "a\nb", "a'b", "ä文😀", " a ", "a=1"])
def test_other_texts_come_back_as_they_were(console: Client, text: str) -> None:
    produce(user_id=text, payload={})
    assert table(console, "engagement")[0]["user_id"] == text


def test_whoever_may_see_a_list_may_have_it_and_nobody_else(console: Client) -> None:
    for model in LISTS:
        assert Client().get(address(model, "export/")).status_code == 302
        assert console.post(address(model, "export/")).status_code == 405
    looking = viewer()
    for model in LISTS:
        answer = looking.get(address(model, "export/"))
        assert answer.status_code == 200
        list(answer)
        assert "export/" in looking.get(address(model, "?")).content.decode()


def test_a_link_to_the_file_keeps_the_filters(console: Client) -> None:
    failed("alice")
    page = console.get(address("engagement", "?status=failed&q=alice&p=1")).content.decode()
    assert 'href="export/?q=alice&amp;status=failed"' in page


def test_a_file_is_read_while_it_is_sent_in_statements_of_their_own(
    console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK", 10)
    produce_bulk([{"user_id": f"user-{n:03}", "payload": {}} for n in range(100)])
    attempt("user-000", "delivered")
    response: Any = console.get(address("engagement", "export/"))
    parts = iter(response.streaming_content)
    next(parts)  # the head
    with counted_statements() as statements:
        next(parts)
    assert 1 <= len(statements) <= 3
    assert not any("CURSOR" in statement for statement in statements)
    assert len(list(parts)) > 5
