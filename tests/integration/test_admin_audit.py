"""The page of the audit: who did what, to what, when and why; filtered, searched, and gone through to its end."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from engagements import audit, channels, services
from engagements.admin import bounded
from engagements.admin.addresses import channel, engagement, listing, pipeline
from engagements.models import AuditEntry
from engagements.store import workers
from engagements.store.connection import current
from tests.support.console import HOSTILE_USERS, address, console_of, failed, operator, policy_violations, viewer

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return operator()


def entries(console: Client, **query: str) -> list[tuple[str, str, str]]:
    page = console.get(address("auditentry"), query)
    assert page.status_code == 200
    return [(row.actor, row.action, row.target) for row in page.context["cl"].result_list]


def links(page: Any) -> set[str]:
    """Of the rows of the list."""
    text = page.content.decode()
    rows = text[text.index('id="result_list"') :].partition("</table>")[0]
    return set(re.findall(r'href="([^"]+)"', rows.replace("&amp;", "&")))


def long_ago(age: str) -> None:
    """One more entry, so old."""
    current().execute(
        "INSERT INTO engagements_auditentry (at, actor, action, target, count, reason) "
        "VALUES (now() - %s::interval, 'eve', 'pause', %s, 1, '')",
        [age, age],
    )


def test_each_target_leads_to_what_it_is_about(console: Client) -> None:
    workers.start(current(), "w1")
    channels.create("crm", "webhook", "https://crm.example/hook", actor="eve")
    broken = failed("alice")
    services.replay(broken.id, actor="eve", reason="mended")
    services.skip("alice", broken.id, actor="eve")
    services.pause("a/b", actor="eve")
    services.pause_everything(actor="eve")
    services.purge_queue("deliver.w1", actor="eve")
    services.purge_queue("unordered", actor="eve")
    test = services.send_test("crm", id=uuid4(), actor="eve")
    found = links(console.get(address("auditentry")))
    assert found >= {
        channel("crm"),
        engagement(broken.id),
        engagement(test.id),
        pipeline("alice"),
        pipeline("a/b"),
        listing("worker"),
        listing("pipeline", worker="w1"),
        listing("engagement", unordered="1"),
        listing("auditentry", actor="eve"),
    }
    for page in found:
        assert console.get(page).status_code == 200, page


def test_hostile_targets_and_reasons_are_only_text(console: Client) -> None:
    for user in HOSTILE_USERS:
        services.pause(user, actor="eve", reason=user)
        audit.record(user[:200], "something new", user)
        audit.record("eve", "skip", user)
        audit.record("eve", "replay", user)
        audit.record("eve", "purge queue", user)
        audit.record("eve", "test channel", user)
    page = console.get(address("auditentry"))
    assert policy_violations(page) == []
    assert "<script>alert" not in page.content.decode()


def test_filters_by_action_actor_and_time(console: Client) -> None:
    for age in ("40 days", "8 days", "25 hours", "2 hours"):
        long_ago(age)
    services.pause("ann", actor="bob")
    services.purge("ann", actor="bob", reason="wrong campaign")
    assert entries(console, action="purge") == [("bob", "purge", "ann")]
    assert entries(console, actor="bob", action="pause") == [("bob", "pause", "ann")]
    assert [entry[2] for entry in entries(console, actor="eve")] == ["2 hours", "25 hours", "8 days", "40 days"]
    assert len(entries(console, since="hour")) == 2
    assert [entry[2] for entry in entries(console, since="day", actor="eve")] == ["2 hours"]
    assert [entry[2] for entry in entries(console, since="week", actor="eve")] == ["2 hours", "25 hours"]
    assert [entry[2] for entry in entries(console, since="month", actor="eve")] == ["2 hours", "25 hours", "8 days"]
    assert entries(console, actor="nobody", since="nonsense") == []
    assert entries(console, actor="a\0b") == entries(console)


def test_search_by_the_beginning_of_a_target_or_by_actor(console: Client) -> None:
    id = uuid4()
    services.pause("ann", actor="bob")
    services.pause("anton", actor="bob")
    audit.record("carl", "replay", str(id))
    assert {entry[2] for entry in entries(console, q="an")} == {"ann", "anton"}
    assert entries(console, q=str(id)) == [("carl", "replay", str(id))]
    assert len(entries(console, q="bob")) == 2
    assert entries(console, q="a%") == []


def test_a_long_audit_is_gone_through_to_its_end(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "COUNT_LIMIT", 100)
    for n in range(230):
        audit.record("eve" if n % 2 else "bob", "pause", f"user-{n:03}")
    seen: list[str] = []
    query: dict[str, str] = {}
    for start in range(3):
        assert start == int(bool(query)) or "older" in query
        page = console.get(address("auditentry"), query)
        seen += [row.target for row in page.context["cl"].result_list]
        if page.context["cl"].multi_page:
            page = console.get(address("auditentry"), {**query, "p": "2"})
            seen += [row.target for row in page.context["cl"].result_list]
        onward = re.search(r'href="\?older=(\d+)">Look further', page.content.decode())
        query = {"older": onward[1]} if onward else {}
        if not onward:
            break
    assert seen == [f"user-{n:03}" for n in reversed(range(230))]
    assert f"before {AuditEntry.objects.get(target='user-030').at:%Y}" in " ".join(page.content.decode().split())


@pytest.mark.parametrize("older", ["x", "-1", "9" * 40, "999999999", "\u0663"])
def test_a_place_that_is_none_begins_with_the_latest(console: Client, older: str) -> None:
    services.pause("ann", actor="bob")
    assert len(entries(console, older=older)) == 1


def test_an_empty_audit_says_so(console: Client) -> None:
    assert "Nobody has" in console.get(address("auditentry")).content.decode()
    services.pause("ann", actor="bob")
    assert "Nothing matches" in console.get(address("auditentry"), {"actor": "eve"}).content.decode()


def test_not_even_a_superuser_is_offered_to_change_it() -> None:
    console = console_of(User.objects.create_superuser("root"))
    audit.record("eve", "purge", "ann", count=3)
    entry = AuditEntry.objects.get()
    for page in ("", f"{entry.pk}/change/"):
        text = console.get(address("auditentry", page)).content.decode()
        text = text[text.index('<div id="content"') :]
        for word in ("addlink", "deletelink", 'name="_save"', 'name="action"'):
            assert word not in text, (page, word)
    forged = {"actor": "mallory", "action": "x", "target": "y", "count": "0", "post": "yes"}
    for page in ("add/", f"{entry.pk}/change/", f"{entry.pk}/delete/"):
        assert console.post(address("auditentry", page), forged).status_code == 403, page
    deleting = {"action": "delete_selected", "_selected_action": str(entry.pk), "post": "yes"}
    assert console.post(address("auditentry"), deleting).status_code == 403
    assert AuditEntry.objects.get() == entry


def test_a_viewer_may_read_it() -> None:
    services.pause("ann", actor="bob")
    assert entries(viewer()) == [("bob", "pause", "ann")]
