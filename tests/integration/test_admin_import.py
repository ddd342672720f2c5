"""A file of engagements is looked at, then stored once and in order; every refusal is told by its line."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from engagements import channels, imports, services
from engagements.domain import import_lines
from engagements.models import AuditEntry, Engagement, ImportFile, Pipeline
from engagements.services import produce
from engagements.store import retention
from engagements.store.connection import current
from tests.support.console import address, console_of, member, operator, policy_violations, told, viewer

IMPORT = address("engagement", "import/")

GOOD = "user_id,payload.n\n" + "".join(f"user-{n % 3},{n}\n" for n in range(9))

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return operator()


def hand_in(console: Client, text: str | bytes, **fields: Any) -> Any:
    """Upload bytes, or paste a text; the page that follows."""
    given = {"file": SimpleUploadedFile("some.csv", text)} if isinstance(text, bytes) else {"text": text}
    return console.post(IMPORT, {**given, **fields}, follow=True)


def looked_at(console: Client, text: str | bytes) -> tuple[str, Any]:
    """The address of the look, and the page."""
    page = hand_in(console, text)
    assert page.redirect_chain, page.context["form"].errors
    return page.redirect_chain[-1][0], page


def refusals(page: Any) -> list[tuple[int, str, str]]:
    return [(refusal.line, refusal.field, refusal.reason) for refusal in page.context["refusals"]]


@pytest.mark.parametrize("content", [GOOD, GOOD.encode(), GOOD.encode("utf-8-sig"), GOOD.encode("utf-16")])
def test_nothing_is_stored_before_it_is_confirmed_and_then_all_in_the_order_of_the_file(
    console: Client, content: str | bytes
) -> None:
    where, look = looked_at(console, content)
    assert (look.context["new"], look.context["users"], look.context["refused"]) == (9, 3, 0)
    assert not Engagement.objects.exists()
    assert not Pipeline.objects.exists()
    report = console.post(where, follow=True)
    assert report.context["file"].created == 9
    assert [row.payload["n"] for row in Engagement.objects.order_by("arrival")] == [str(n) for n in range(9)]
    line = Engagement.objects.filter(user_id="user-0").order_by("order_time", "arrival")
    assert [row.payload["n"] for row in line] == ["0", "3", "6"]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.count) == ("a-operator", "import", 9)


def test_a_double_click_and_a_reload_store_once(console: Client) -> None:
    where, _ = looked_at(console, GOOD)
    console.post(where)
    again = console.post(where, follow=True)
    assert "done before" in told(again)
    assert again.context["file"].created == 9
    assert Engagement.objects.count() == 9
    assert AuditEntry.objects.count() == 1


def test_the_same_file_handed_in_anew_is_another_import(console: Client) -> None:
    for _ in range(2):
        where, look = looked_at(console, GOOD)
        assert look.context["new"] == 9
        console.post(where)
    assert Engagement.objects.count() == 18


def test_ids_in_the_file_make_it_the_same_however_often_it_is_handed_in(console: Client) -> None:
    known, reused = uuid4(), uuid4()
    produce(id=known, user_id="ada", payload={"a": 1})
    produce(id=reused, user_id="ada", payload={"a": 1})
    twice = uuid4()
    text = (
        f'{{"id": "{known}", "user_id": "ada", "payload": {{"a": 1}}}}\n'
        f'{{"id": "{reused}", "user_id": "ada", "payload": {{"a": 2}}}}\n'
        f'{{"id": "{twice}", "user_id": "bob", "payload": {{"a": 1}}}}\n'
        f'{{"id": "{twice}", "user_id": "bob", "payload": {{"a": 1}}}}\n'
        f'{{"id": "{twice}", "user_id": "bob", "payload": {{"a": 2}}}}\n'
    )
    where, look = looked_at(console, text)
    assert (look.context["new"], look.context["duplicates"], look.context["refused"]) == (1, 2, 2)
    assert [line for line, _, _ in refusals(look)] == [2, 5]
    report = console.post(where, follow=True)
    assert (report.context["file"].created, report.context["file"].duplicates) == (1, 2)
    assert refusals(report) == refusals(look)
    assert Engagement.objects.count() == 3
    where, look = looked_at(console, text)
    assert (look.context["new"], look.context["duplicates"]) == (0, 3)
    assert "nothing in it to store" in look.content.decode()


def test_every_refused_line_is_told_with_its_field_and_reason_and_the_others_are_stored(console: Client) -> None:
    channels.create("old", "null", actor="test")
    channels.change("old", {"active": False}, actor="test")
    cycle = uuid4(), uuid4()
    text = (
        '{"user_id": "ada", "payload": {}}\n'
        '{"user_id": "", "payload": [], "unknown": 1}\n'
        "{\n"
        '{"user_id": "ada", "payload": {}, "channel": "old"}\n'
        '{"user_id": "ada", "payload": {}, "produced_at": "2999-01-01T00:00:00Z"}\n'
        '{"user_id": "ada", "payload": {}, "timeout_seconds": 0}\n'
        '{"user_id": "ada", "payload": {"a": "' + "x" * 70_000 + '"}}\n'
        f'{{"user_id": "ada", "payload": {{}}, "id": "{cycle[0]}", "causal_parent": "{cycle[1]}"}}\n'
        f'{{"user_id": "bob", "payload": {{}}, "id": "{cycle[1]}", "causal_parent": "{cycle[0]}"}}\n'
        '{"user_id": "bob", "payload": {}}\n'
    )
    where, look = looked_at(console, text)
    expected = [
        (2, "unknown", "is no field"),
        (2, "user_id", "must have 1 to 200"),
        (2, "payload", "must be a JSON object"),
        (3, "", "is no JSON"),
        (4, "channel", "no active channel"),
        (5, "produced_at", "in the future"),
        (6, "timeout_seconds", "above 0"),
        (7, "payload", "64 KiB"),
        (9, "causal_parent", "cycle"),
    ]
    for page in (look, console.post(where, follow=True)):
        found = refusals(page)
        assert [(line, field) for line, field, _ in found] == [(line, field) for line, field, _ in expected]
        for (_, _, reason), (_, _, part) in zip(found, expected, strict=True):
            assert part in reason
        assert page.context["refused"] == 7
        assert policy_violations(page) == []
    assert sorted(Engagement.objects.values_list("user_id", flat=True)) == ["ada", "ada", "bob"]


def test_the_refused_lines_can_be_had_as_a_file_to_mend(console: Client) -> None:
    text = 'user_id,payload\nada,{}\n=1+1,"{\n"\nbob,[]\n'
    where, _ = looked_at(console, text)
    for _ in range(2):  # before and after it was stored
        answer: Any = console.get(f"{where}refused/")
        rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"), newline="")))
        assert [(row["line"], row["field"]) for row in rows] == [("3", "payload"), ("5", "payload")]
        assert rows[0]["content"] == '\'=1+1,"{\n"'
        assert rows[1]["content"] == "bob,[]"
        console.post(where)


def test_a_long_file_is_stored_in_batches_and_goes_on_where_it_was_interrupted(
    console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BULK_LIMIT", 4)
    text = "user_id,payload.n\n" + "".join(f"{'' if n == 5 else 'ada'},{n}\n" for n in range(11))
    where, _ = looked_at(console, text)
    token = ImportFile.objects.get().token
    lines = imports.lines_of(ImportFile.objects.get())
    for _ in range(2):
        imports._store_batch(token, lines)  # and then the process was killed
    assert Engagement.objects.count() == 7
    look = console.get(where)
    assert look.context["begun"]
    assert "Go on" in look.content.decode()
    report = console.post(where, follow=True)
    assert (report.context["file"].created, report.context["file"].duplicates) == (10, 0)
    assert [line for line, _, _ in refusals(report)] == [7]
    stored = [row.payload["n"] for row in Engagement.objects.order_by("arrival")]
    assert stored == [str(n) for n in range(11) if n != 5]


@pytest.mark.parametrize(
    ("fields", "field", "part"),
    [
        ({}, "__all__", "Choose a file, or paste"),
        ({"text": "  \n"}, "__all__", "Choose a file, or paste"),
        ({"text": GOOD, "file": SimpleUploadedFile("a.csv", b"x")}, "__all__", "both were given"),
        ({"file": SimpleUploadedFile("a.csv", b"")}, "file", "no engagement"),
        ({"file": SimpleUploadedFile("a.csv", b"user_id\xff")}, "file", "UTF-8"),
        ({"file": SimpleUploadedFile("a.bin", b"user_id,payload\n\0,{}")}, "file", "NUL"),
        ({"file": SimpleUploadedFile("a.csv", b"x" * (import_lines.BYTES + 1))}, "file", "larger than 5 MiB"),
        ({"text": "name\nada\n"}, "text", "Line 1: &#x27;name&#x27; is no field"),
        ({"text": "user_id,payload\n" + "ada,{}\n" * 10_001}, "text", "10,000"),
    ],
)
def test_what_cannot_be_read_is_said_and_nothing_is_kept_but_what_was_typed(
    console: Client, fields: dict[str, Any], field: str, part: str
) -> None:
    for value in fields.values():
        if isinstance(value, SimpleUploadedFile):
            value.seek(0)
    page = console.post(IMPORT, fields)
    assert page.status_code == 200
    assert part in str(page.context["form"].errors.get(field)), page.context["form"].errors
    assert part in page.content.decode()
    assert not ImportFile.objects.exists()
    if "name" in str(fields.get("text")):
        assert "name\nada\n" in page.content.decode()


def test_masked_fields_are_masked_in_the_look(console: Client, settings: Any) -> None:
    settings.PAYLOAD_MASKED_FIELDS = ["email"]
    where, look = looked_at(console, "user_id,payload.email,payload.a\nada,ada@example.org,<script>alert(1)</script>\n")
    assert "ada@example" not in look.content.decode()
    assert "<script>alert" not in look.content.decode()
    console.post(where)
    assert Engagement.objects.get().payload["email"] == "ada@example.org"


def test_only_who_may_add_imports_and_only_what_they_handed_in(console: Client) -> None:
    where, _ = looked_at(console, GOOD)
    looking = viewer()
    for page in (IMPORT, where, f"{where}refused/"):
        assert looking.get(page).status_code == 403
        assert Client().get(page).status_code == 302
    assert looking.post(where).status_code == 403
    assert looking.post(IMPORT, {"text": GOOD}).status_code == 403
    assert "import/" not in looking.get(address("engagement")).content.decode()
    other = console_of(member("producer"))
    for page in (where, f"{where}refused/"):
        assert other.get(page).headers["Location"] == IMPORT
    assert other.post(where).headers["Location"] == IMPORT
    assert not Engagement.objects.exists()
    assert hand_in(other, GOOD).status_code == 200


def test_a_file_is_kept_for_a_day(console: Client) -> None:
    old, _ = looked_at(console, GOOD)
    ImportFile.objects.update(made_at="2026-01-01T00:00:00Z")
    new, _ = looked_at(console, GOOD)
    assert retention.delete_imports(current(), keep=timedelta(days=1)) == 1
    assert console.get(new).status_code == 200
    assert "kept for a day" in told(console.get(old, follow=True))


def test_what_is_foreseen_is_what_is_answered_and_looking_locks_nothing(console: Client) -> None:
    parent, child = uuid4(), uuid4()
    fields: list[dict[str, Any]] = [
        {"user_id": "ada", "payload": {}},
        {"user_id": "ada", "payload": {}, "id": child, "causal_parent": parent},
        {"user_id": "bob", "payload": {}, "id": parent},
        {"user_id": "bob", "payload": {}, "id": parent, "unordered": True},
        {"user_id": "bob", "payload": {}, "channel": "nowhere"},
        {"user_id": "", "payload": {}},
    ]
    foreseen = services.check_bulk(fields)
    assert not Engagement.objects.exists()
    answered = services.produce_bulk(fields)
    statuses = [("new" if item.status == "created" else item.status, str(item.error)) for item in answered]
    assert [(item.status, str(item.error)) for item in foreseen] == statuses
    assert [item.status for item in services.check_bulk([])] == []
