"""Operating pipelines by the admin: at once what loses nothing, after a confirmation what does."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client

from engagements import services
from engagements.models import AuditEntry, Engagement, Pipeline
from engagements.services import produce, produce_bulk
from tests.support.console import address, attempt, operator, take, told

pytestmark = pytest.mark.django_db

PURGE = address("pipeline", "alice/purge/")
SKIP = address("pipeline", "alice/skip/")


@pytest.fixture
def console() -> Client:
    return operator()


def fill(count: int, user_id: str = "alice") -> list[Engagement]:
    produce_bulk([{"user_id": user_id, "payload": {"n": n}} for n in range(count)])
    return list(Engagement.objects.filter(user_id=user_id).order_by("arrival"))


def pending(user_id: str = "alice") -> int:
    return Engagement.objects.filter(user_id=user_id, status="pending").count()


def test_pause_and_resume_work_at_once_and_are_audited(console: Client) -> None:
    fill(2)
    page = console.post(address("pipeline", "alice/pause/"), follow=True)
    assert "Paused" in told(page)
    assert Pipeline.objects.get().paused_at is not None
    assert "paused" in page.content.decode()
    page = console.post(address("pipeline", "alice/resume/"), follow=True)
    assert "Resumed" in told(page)
    assert Pipeline.objects.get().paused_at is None
    assert list(AuditEntry.objects.order_by("id").values_list("actor", "action", "target")) == [
        ("a-operator", "pause", "alice"),
        ("a-operator", "resume", "alice"),
    ]


def test_a_session_is_ended(console: Client) -> None:
    fill(1)
    assert Pipeline.objects.get().session_until is not None
    console.post(address("pipeline", "alice/end-session/"))
    assert Pipeline.objects.get().session_until is None


def test_a_purge_asks_first_and_says_exactly_how_many(console: Client) -> None:
    fill(7)
    page = console.get(PURGE)
    assert page.status_code == 200
    assert "7 pending engagements" in page.content.decode()
    assert pending() == 7
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_purge_without_a_reason_is_asked_for_one(console: Client, reason: str) -> None:
    fill(3)
    page = console.post(PURGE, {"confirmed": "yes", "shown": "3", "reason": reason})
    assert page.status_code == 200
    assert "This field is required" in page.content.decode()
    assert pending() == 3


def test_a_confirmed_purge_settles_all_and_is_audited(console: Client) -> None:
    fill(3)
    page = console.post(PURGE, {"confirmed": "yes", "shown": "3", "reason": "wrong campaign"}, follow=True)
    assert "3 engagements purged" in told(page)
    assert pending() == 0
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("a-operator", "purge", "alice")
    assert (entry.count, entry.reason) == (3, "wrong campaign")


def test_a_purge_clicked_twice_purges_once(console: Client) -> None:
    fill(3)
    fields = {"confirmed": "yes", "shown": "3", "reason": "wrong campaign"}
    console.post(PURGE, fields)
    page = console.post(PURGE, fields, follow=True)
    assert "nothing to purge" in told(page)
    assert AuditEntry.objects.count() == 1


def test_a_purge_that_has_grown_by_more_than_a_tenth_is_refused(console: Client) -> None:
    fill(20)
    fill(3)
    page = console.post(PURGE, {"confirmed": "yes", "shown": "20", "reason": "wrong campaign"}, follow=True)
    assert "23 engagements are pending now, and 20 were shown" in told(page)
    assert pending() == 23
    assert not AuditEntry.objects.exists()
    assert "23 pending engagements" in page.content.decode()


def test_a_purge_that_has_grown_by_a_tenth_goes_on(console: Client) -> None:
    fill(22)
    console.post(PURGE, {"confirmed": "yes", "shown": "20", "reason": "wrong campaign"})
    assert pending() == 0


def test_a_purge_whose_number_was_tampered_with_purges_nothing(console: Client) -> None:
    fill(2)
    for shown in ("", "many", "-5"):
        console.post(PURGE, {"confirmed": "yes", "shown": shown, "reason": "r"})
    assert pending() == 2


def test_a_purge_says_whose_children_are_released(console: Client) -> None:
    [parent] = fill(1)
    produce(user_id="bob", payload={}, causal_parent=parent.id)
    produce(user_id="alice", payload={}, causal_parent=parent.id)
    assert "1 engagement of another user waits for what is purged" in console.get(PURGE).content.decode()


def test_skipping_settles_the_head_that_was_shown(console: Client) -> None:
    head, second = fill(2)
    page = console.get(SKIP).content.decode()
    assert str(head.id) in page
    console.post(SKIP, {"confirmed": "yes", "head": str(head.id), "reason": "poisoned"})
    assert list(Engagement.objects.order_by("arrival").values_list("status", flat=True)) == ["purged", "pending"]
    assert AuditEntry.objects.get().reason == "poisoned"
    assert str(second.id) in console.get(SKIP).content.decode()


def test_skipping_what_is_no_longer_the_head_changes_nothing(console: Client) -> None:
    head, _ = fill(2)
    attempt("alice", "delivered")
    page = console.post(SKIP, {"confirmed": "yes", "head": str(head.id), "reason": "poisoned"}, follow=True)
    assert "Nothing was skipped" in told(page)
    assert pending() == 1
    assert not AuditEntry.objects.exists()


def test_an_idle_pipeline_offers_nothing_to_throw_away(console: Client) -> None:
    services.pause("alice", actor="test")
    page = console.get(address("pipeline", "alice/change/")).content.decode()
    assert "Purge" not in page
    assert "Skip the head" not in page
    assert console.get(PURGE).status_code == 302
    assert console.get(SKIP).status_code == 302


def test_selected_pipelines_are_paused_and_resumed(console: Client) -> None:
    for user in ("alice", "bob", "carol"):
        produce(user_id=user, payload={})
    fields = {"index": "0", "_selected_action": ["alice", "bob"]}
    page = console.post(address("pipeline"), {"action": "pause_selected", **fields}, follow=True)
    assert "2 pipelines paused" in told(page)
    paused = Pipeline.objects.filter(paused_at__isnull=False)
    assert set(paused.values_list("user_id", flat=True)) == {"alice", "bob"}
    console.post(address("pipeline"), {"action": "resume_selected", **fields})
    assert not paused.exists()


def test_a_page_explains_who_waits_behind_what(console: Client) -> None:
    parent = produce(user_id="bob", payload={}).engagement
    produce(user_id="alice", payload={"text": "first in line"}, causal_parent=parent.id)
    produce(user_id="alice", payload={})
    page = console.get(address("pipeline", "alice/change/")).content.decode()
    assert "Waits for its parent" in page
    assert f'of user <a class="delivery-user" href="{address("pipeline", "bob/change/")}">' in page
    assert "first in line" in page


def test_a_page_follows_a_chain_of_waiting_to_the_one_who_holds_up_all(console: Client) -> None:
    root = produce(user_id="carol", payload={}).engagement
    middle = produce(user_id="bob", payload={}, causal_parent=root.id).engagement
    produce(user_id="alice", payload={}, causal_parent=middle.id)
    answer = console.get(address("pipeline", "alice/change/"))
    assert [state.user_id for state in answer.context["chain"]] == ["bob", "carol"]
    assert "Stuck behind" in answer.content.decode()
    answer = console.get(address("pipeline", "carol/change/"))
    assert "Stuck behind" not in answer.content.decode()
    assert "1 waits for it" in answer.content.decode()


def test_deadlines_count_down_unless_they_stand_still(console: Client) -> None:
    fill(1)
    assert "data-countdown" in line_on(console)
    services.pause_everything(actor="test")
    assert "data-countdown" not in line_on(console)
    text = console.get(address("pipeline", "alice/change/")).content.decode()
    assert "Everything is paused" in text
    assert "Everything is paused" in console.get(address("pipeline")).content.decode()
    services.resume_everything(actor="test")
    services.pause("alice", actor="test")
    assert "stands still" in line_on(console)
    assert "Everything is paused" not in console.get(address("pipeline")).content.decode()


def line_on(console: Client) -> str:
    """The part of alice's page with her line."""
    text = console.get(address("pipeline", "alice/change/")).content.decode()
    return text[text.index('id="pipeline-line"') : text.index('id="pipeline-history"')]


def test_a_page_judges_the_order_of_what_happened(console: Client) -> None:
    first, second, _ = fill(3)
    attempt("alice", "delivered", seconds=0)
    attempt("alice", "delivered", seconds=0)
    for page in ("change", "proof"):
        text = console.get(address("pipeline", f"alice/{page}/")).content.decode()
        assert text.count("✓ holds") == 5, page
        assert "✗" not in text, page
    # As if the first had been delivered after the second.
    Engagement.objects.filter(id=first.id).update(sequence=9)
    for page in ("change", "proof"):
        text = console.get(address("pipeline", f"alice/{page}/")).content.decode()
        assert "✗ violated" in text, page
        assert f"{first.id} (sequence 9) came after {second.id} (sequence 2)" in text, page


def test_a_page_shows_what_was_settled_with_its_sequence(console: Client) -> None:
    fill(3)
    attempt("alice", "delivered")
    attempt("alice", "failed", answer="HTTP 410: <gone>")
    services.purge("alice", actor="test")
    history = console.get(address("pipeline", "alice/change/")).context["history"]
    assert [(row.status, row.sequence) for row in history] == [("purged", None), ("failed", 2), ("delivered", 1)]


def test_one_in_service_stands_first_whatever_arrives_after_it(console: Client) -> None:
    [first] = fill(1)
    assert take("alice").id == first.id
    late = produce(user_id="alice", payload={}, produced_at=first.produced_at - timedelta(minutes=1)).engagement
    line = [row.engagement for row, *_ in console.get(address("pipeline", "alice/change/")).context["line"]]
    assert [row.id for row in line] == [first.id, late.id]
    assert (line[0].sequence, line[0].attempts) == (1, 1)
    assert (line[1].sequence, line[1].late) == (None, True)


@pytest.mark.parametrize("page", ["change", "pause", "purge", "skip", "proof"])
def test_an_unknown_user_leads_back_with_a_message(console: Client, page: str) -> None:
    for key in ("nobody", "%00", str(uuid4())):
        response = console.post if page == "pause" else console.get
        answer = response(address("pipeline", f"{key}/{page}/"), follow=True)
        assert "Perhaps it was deleted" in told(answer)
    assert not Pipeline.objects.exists()
