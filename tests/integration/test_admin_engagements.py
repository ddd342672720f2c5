"""One engagement on its page, and replaying it."""

from uuid import uuid4

import pytest
from django.test import Client

from engagements.models import AuditEntry, Engagement
from engagements.services import produce
from tests.support.console import address, attempt, failed, operator, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return operator()


def change(engagement: Engagement) -> str:
    return address("engagement", f"{engagement.id}/change/")


def statuses(*engagements: Engagement) -> list[str]:
    return [Engagement.objects.get(id=engagement.id).status for engagement in engagements]


def test_a_page_shows_payload_attempts_parent_and_children(console: Client) -> None:
    parent = produce(user_id="bob", payload={}).engagement
    attempt("bob", "delivered", answer="200")
    middle = produce(user_id="alice", payload={"z": 1, "a": [True, None]}, causal_parent=parent.id).engagement
    attempt("alice", "failed", answer="HTTP 410: no such user", worker="w7")
    child = produce(user_id="carol", payload={}, causal_parent=middle.id).engagement
    page = console.get(change(middle))
    text = page.content.decode()
    assert page.context["payload"] == '{\n  "a": [\n    true,\n    null\n  ],\n  "z": 1\n}'
    attempts = [line.attempt for line in page.context["attempts"]]
    assert [(entry.number, entry.outcome, entry.worker) for entry in attempts] == [(1, "failed", "w7")]
    for expected in (
        change(parent),
        change(child),
        address("pipeline", "alice/change/"),
        address("pipeline", "bob/change/"),
        "HTTP 410: no such user",
    ):
        assert expected in text


def test_a_parent_that_is_not_known_is_said_to_be_so(console: Client) -> None:
    child = produce(user_id="alice", payload={}, causal_parent=uuid4()).engagement
    text = console.get(change(child)).content.decode()
    assert "not known here" in text
    assert "Waits for its parent" in text


def test_a_failed_one_is_replayed_from_its_page(console: Client) -> None:
    broken = failed("alice")
    assert ">Replay<" in console.get(change(broken)).content.decode()
    page = console.post(address("engagement", f"{broken.id}/replay/"), follow=True)
    assert page.redirect_chain[-1][0] == change(broken)
    assert "Replayed" in told(page)
    assert statuses(broken) == ["pending"]
    assert ">Replay<" not in page.content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("a-operator", "replay", str(broken.id))


def test_a_replay_clicked_twice_replays_once(console: Client) -> None:
    broken = failed("alice")
    console.post(address("engagement", f"{broken.id}/replay/"))
    page = console.post(address("engagement", f"{broken.id}/replay/"), follow=True)
    assert "only a failed or expired one" in told(page)
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("key", ["nonsense", str(uuid4()), "%00"])
def test_an_unknown_id_leads_back_with_a_message(console: Client, key: str) -> None:
    page = console.get(address("engagement", f"{key}/change/"), follow=True)
    assert "Perhaps it was deleted" in told(page)
    page = console.post(address("engagement", f"{key}/replay/"), follow=True)
    assert "Perhaps it was deleted" in told(page)
