"""One engagement on its page, and replaying one or many."""

from uuid import uuid4

import pytest
from django.test import Client

from engagements.models import AuditEntry, Engagement
from engagements.services import produce
from tests.support.console import address, attempt, failed, operator, told

pytestmark = pytest.mark.django_db

LIST = address("engagement")


@pytest.fixture
def console() -> Client:
    return operator()


def change(engagement: Engagement) -> str:
    return address("engagement", f"{engagement.id}/change/")


def replay_many(*engagements: Engagement, **fields: str) -> dict[str, object]:
    keys = [str(engagement.id) for engagement in engagements]
    return {"action": "replay_selected", "index": "0", "_selected_action": keys, **fields}


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
    assert [(entry.number, entry.outcome, entry.worker) for entry in page.context["attempts"]] == [(1, "failed", "w7")]
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


def test_many_are_replayed_after_a_confirmation_with_a_reason(console: Client) -> None:
    first, second, untouched = failed("alice"), failed("bob"), failed("carol")
    page = console.post(LIST, replay_many(first, second))
    assert "2 engagements of 2 users will be pending again" in page.content.decode()
    assert statuses(first, second) == ["failed", "failed"]

    assert console.post(LIST, replay_many(first, second, confirmed="yes", reason="")).status_code == 200
    assert statuses(first, second) == ["failed", "failed"]

    page = console.post(LIST, replay_many(first, second, confirmed="yes", reason="receiver is back"), follow=True)
    assert "2 engagements replayed" in told(page)
    assert statuses(first, second, untouched) == ["pending", "pending", "failed"]
    assert set(AuditEntry.objects.values_list("action", "reason")) == {("replay", "receiver is back")}


def test_what_cannot_be_replayed_is_left_out_and_said_so(console: Client) -> None:
    broken = failed("alice")
    pending = produce(user_id="bob", payload={}).engagement
    page = console.post(LIST, replay_many(broken, pending))
    assert "1 of the selected is left out" in page.content.decode()
    console.post(LIST, replay_many(broken, pending, confirmed="yes", reason="again"))
    assert statuses(broken, pending) == ["pending", "pending"]
    assert Engagement.objects.get(id=pending.id).replays == 0


def test_a_confirmation_sent_twice_replays_once(console: Client) -> None:
    broken = failed("alice")
    fields = replay_many(broken, confirmed="yes", reason="again")
    console.post(LIST, fields)
    page = console.post(LIST, fields, follow=True)
    assert "Nothing was replayed" in told(page)
    assert Engagement.objects.get(id=broken.id).replays == 1


def test_replayed_ones_of_a_user_keep_their_order(console: Client) -> None:
    broken = [failed("alice") for _ in range(4)]
    console.post(LIST, replay_many(*reversed(broken), confirmed="yes", reason="again"))
    line = Engagement.objects.filter(user_id="alice", status="pending").order_by("order_time", "arrival")
    assert list(line.values_list("id", flat=True)) == [engagement.id for engagement in broken]


def test_confirmation_keeps_the_filter_it_came_from(console: Client) -> None:
    broken = failed("alice")
    page = console.post(f"{LIST}?status=failed", replay_many(broken))
    assert f'href="{LIST}?status=failed"' in page.content.decode()


@pytest.mark.parametrize("key", ["nonsense", str(uuid4()), "%00"])
def test_an_unknown_id_leads_back_with_a_message(console: Client, key: str) -> None:
    page = console.get(address("engagement", f"{key}/change/"), follow=True)
    assert "Perhaps it was deleted" in told(page)
    page = console.post(address("engagement", f"{key}/replay/"), follow=True)
    assert "Perhaps it was deleted" in told(page)
