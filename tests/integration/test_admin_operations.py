"""Purging, pausing and replaying many from the lists: shown first, confirmed with a reason, followed, stopped."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from engagements import channels, operations, services
from engagements.models import AuditEntry, Engagement, Operation, Pipeline
from engagements.services import produce, produce_bulk
from engagements.store import workers
from engagements.store.connection import current
from tests.support.console import address, attempt, console_of, failed, member, operator, told, viewer

pytestmark = pytest.mark.django_db

EVERYBODY = {"held", "stuck", "behind", "other", "elsewhere"}
PIPELINES, ENGAGEMENTS = address("pipeline"), address("engagement")


@pytest.fixture
def console() -> Client:
    return operator()


def fill(users: int, *, each: int = 1, prefix: str = "user") -> None:
    produce_bulk([{"user_id": f"{prefix}-{n:03}", "payload": {}} for n in range(users) for _ in range(each)])


def act(console: Client, page: str, action: str, keys: list[str], *, across: bool = False) -> Any:
    """What the list posts; the page to which that leads."""
    fields = {"action": action, "index": "0", "select_across": str(int(across)), "_selected_action": keys}
    return console.post(page, fields, follow=True)


def confirm(console: Client, page: Any, **fields: str) -> Any:
    """Confirms what a page shows."""
    shown = dict(page.context["confirmation"].hidden)
    where = page.redirect_chain[-1][0]
    return console.post(where, {"confirmed": "yes", "reason": "spam", **shown, **fields}, follow=True)


def pending() -> int:
    return Engagement.objects.filter(status="pending").count()


def test_selected_pipelines_are_purged_after_a_confirmation_with_a_reason(console: Client) -> None:
    fill(4, each=3)
    page = act(console, PIPELINES, "purge_selected", ["user-000", "user-002"])
    text = page.content.decode()
    assert "Purge 6 engagements of 2 pipelines?" in text
    assert address("pipeline", "user-000/change/") in text
    assert pending() == 12

    again = confirm(console, page, reason=" ")
    assert "This field is required" in again.content.decode()
    assert pending() == 12

    done = confirm(console, page)
    assert "6</strong> engagements purged" in done.content.decode()
    assert pending() == 6
    entries = AuditEntry.objects.order_by("target").values_list("actor", "action", "target", "count", "reason")
    assert list(entries) == [("a-operator", "purge", user, 3, "spam") for user in ("user-000", "user-002")]


def test_all_that_match_are_purged_beyond_the_page_and_nobody_else(console: Client) -> None:
    fill(120)
    fill(3, prefix="vip")
    services.pause("user-999", actor="test")
    page = act(console, f"{PIPELINES}?q=user", "purge_selected", ["user-000"], across=True)
    text = page.content.decode()
    assert "Purge 120 engagements of 120 pipelines?" in text
    assert "all pipelines that match: search &#x27;user&#x27;" in text
    assert "and 115 more" in text
    confirm(console, page)
    assert set(Engagement.objects.filter(status="pending").values_list("user_id", flat=True)) == {
        "vip-000",
        "vip-001",
        "vip-002",
    }
    assert AuditEntry.objects.filter(action="purge many").get().count == 120


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("state=paused", {"held"}),
        ("state=blocked", {"stuck"}),
        ("late=1", {"behind"}),
        ("channel=crm", {"other"}),
        ("worker=w2", {"elsewhere"}),
        ("q=beh", {"behind"}),
        ("", EVERYBODY),
        ("sort=depth&after=5", EVERYBODY),
    ],
)
def test_all_that_match_is_what_the_list_shows(console: Client, query: str, wanted: set[str]) -> None:
    workers.start(current(), "w1")
    workers.start(current(), "w2")
    channels.create("crm", "webhook", "https://crm.example/hook", actor="test")
    produce(user_id="held", payload={})
    services.pause("held", actor="test")
    produce(user_id="stuck", payload={}, causal_parent=uuid4())
    produce(user_id="other", payload={}, channel="crm")
    produce(user_id="elsewhere", payload={})
    produce(user_id="behind", payload={})
    Engagement.objects.filter(user_id="behind").update(late=True)
    services.pause("idle", actor="test")
    services.resume("idle", actor="test")
    Pipeline.objects.update(worker="w1")
    Pipeline.objects.filter(user_id="elsewhere").update(worker="w2")
    asleep = "UPDATE engagements_pipeline SET due_at = clock_timestamp() + interval '20 s' WHERE user_id = 'stuck'"
    current().execute(asleep)
    listed = console.get(f"{PIPELINES}?{query}").context["cl"].found.users
    assert set(listed) - {"idle"} == wanted
    act(console, f"{PIPELINES}?{query}", "purge_selected", ["x"], across=True)
    assert set(Operation.objects.get().keys) == wanted


def test_all_that_match_are_paused_and_resumed(console: Client) -> None:
    fill(60)
    services.pause("user-003", actor="test")
    page = act(console, PIPELINES, "pause_selected", ["user-000"], across=True)
    assert "Pause 59 pipelines?" in page.content.decode()
    assert "59</strong> pipelines paused" in confirm(console, page).content.decode()
    page = act(console, f"{PIPELINES}?state=paused", "resume_selected", ["user-000"], across=True)
    confirm(console, page)
    assert not Pipeline.objects.filter(paused_at__isnull=False).exists()


def test_a_purge_says_whose_children_are_released_and_counts_none_that_goes_with_it(console: Client) -> None:
    first = produce(user_id="alice", payload={}).engagement
    for user in ("bob", "carol", "alice"):
        produce(user_id=user, payload={}, causal_parent=first.id)
    text = act(console, PIPELINES, "purge_selected", ["alice", "bob"]).content.decode()
    assert "1 engagement of another user waits for what is purged" in text


def test_one_that_has_grown_by_more_than_a_tenth_is_refused_and_shown_anew(console: Client) -> None:
    fill(1, each=20)
    page = act(console, PIPELINES, "purge_selected", ["user-000"])
    fill(1, each=3)
    page_again = confirm(console, page)
    assert "Nothing was purged: it is 23 by now, and 20 were shown" in told(page_again)
    assert "Purge 23 engagements of 1 pipeline?" in page_again.content.decode()
    assert pending() == 23
    for tampered in ("", "many", "-5", "9" * 30):
        confirm(console, page, shown=tampered)
    assert pending() == 23
    confirm(console, page_again if page_again.redirect_chain else page, shown="23")
    assert pending() == 0


def test_a_double_click_purges_once(console: Client) -> None:
    fill(1, each=3)
    page = act(console, PIPELINES, "purge_selected", ["user-000"])
    confirm(console, page)
    fill(1, each=2)
    assert confirm(console, page).status_code == 200
    assert pending() == 2
    assert AuditEntry.objects.count() == 1


def test_nothing_to_do_is_said_and_no_page_asks(console: Client) -> None:
    services.pause("idle", actor="test")
    page = act(console, PIPELINES, "purge_selected", ["idle"])
    assert "Nothing was purged: nothing is pending there" in told(page)
    assert not Operation.objects.exists()
    fill(1)
    page = act(console, PIPELINES, "purge_selected", ["idle", "user-000"])
    assert "1 of the selected left out" in told(page)


def test_the_way_back_keeps_the_filter_and_leads_to_no_other_site(console: Client) -> None:
    fill(2)
    page = act(console, f"{PIPELINES}?q=user-0", "purge_selected", ["user-000"])
    assert f'href="{PIPELINES}?q=user-0"' in page.content.decode()
    token = Operation.objects.get().token
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        text = console.get(address("operation", f"{token}/change/"), {"back": elsewhere}).content.decode()
        assert "evil" not in text
        assert "javascript:" not in text
    assert f'href="{PIPELINES}?q=user-0"' in confirm(console, page).content.decode()


# --- Replaying ---


def test_many_are_replayed_after_a_confirmation_with_a_reason(console: Client) -> None:
    first, second, untouched = failed("alice"), failed("bob"), failed("carol")
    page = act(console, ENGAGEMENTS, "replay_selected", [str(first.id), str(second.id)])
    assert "2 engagements will be pending again" in page.content.decode()
    assert pending() == 0
    assert "2</strong> engagements replayed" in confirm(console, page).content.decode()
    assert statuses(first, second, untouched) == ["pending", "pending", "failed"]
    assert set(AuditEntry.objects.values_list("action", "reason")) == {("replay", "spam")}


def test_what_cannot_be_replayed_is_left_out_and_said_so(console: Client) -> None:
    broken = failed("alice")
    waits = produce(user_id="bob", payload={}).engagement
    page = act(console, ENGAGEMENTS, "replay_selected", [str(broken.id), str(waits.id)])
    assert "1 of the selected left out: neither failed nor expired" in told(page)
    confirm(console, page)
    assert statuses(broken, waits) == ["pending", "pending"]
    assert Engagement.objects.get(id=waits.id).replays == 0
    page = act(console, ENGAGEMENTS, "replay_selected", [str(waits.id)])
    assert "only failed and expired engagements can be" in told(page)


def test_one_that_cannot_be_replayed_any_more_is_told_with_its_reason(console: Client) -> None:
    first, second = failed("alice"), failed("bob")
    page = act(console, ENGAGEMENTS, "replay_selected", [str(first.id), str(second.id)])
    services.replay(second.id, actor="test")
    text = confirm(console, page).content.decode()
    assert "1</strong> engagement replayed" in text
    assert "it is pending; only a failed or expired one can be replayed" in text


def test_replayed_ones_of_a_user_keep_their_order(console: Client) -> None:
    broken = [failed("alice") for _ in range(4)]
    page = act(console, ENGAGEMENTS, "replay_selected", [str(one.id) for one in reversed(broken)])
    confirm(console, page)
    line = Engagement.objects.filter(user_id="alice", status="pending").order_by("order_time", "arrival")
    assert list(line.values_list("id", flat=True)) == [one.id for one in broken]


@pytest.mark.parametrize(
    ("query", "number"),
    [("status=failed", 60), ("", 61), ("q=user-00", 10), ("o=6", 61), ("status=failed&late=0&time=hour", 60)],
)
def test_all_that_match_are_replayed_beyond_the_page(console: Client, query: str, number: int) -> None:
    fill(60)
    for n in range(60):
        attempt(f"user-{n:03}", "failed")
    fill(1, prefix="free")
    stale = produce(user_id="alice", payload={}).engagement
    Engagement.objects.filter(id=stale.id).update(status="expired", settled_at=stale.received_at)
    Pipeline.objects.filter(user_id="alice").update(depth=0, due_at=None)
    page = act(console, f"{ENGAGEMENTS}?{query}", "replay_selected", [str(stale.id)], across=True)
    assert page.status_code == 200
    operation = Operation.objects.get()
    assert operation.shown == number
    assert operation.keys == [
        str(row.id) for row in Engagement.objects.filter(id__in=operation.keys).order_by("arrival")
    ]
    confirm(console, page)
    assert Engagement.objects.filter(replays=1).count() == number


# --- Queues ---


def test_a_queue_is_purged_from_its_row(console: Client) -> None:
    workers.start(current(), "w1")
    fill(3, each=2)
    Pipeline.objects.update(worker="w1")
    produce(user_id="alice", payload={}, unordered=True)
    assert address("worker", "deliver.w1/purge/") in console.get(address("worker")).content.decode()
    page = console.post(address("worker", "deliver.w1/purge/"), follow=True)
    assert "Purge 6 engagements?" in page.content.decode()
    confirm(console, page)
    assert pending() == 1
    page = console.post(address("worker", "unordered/purge/"), follow=True)
    assert "Purge 1 engagement?" in page.content.decode()
    confirm(console, page)
    assert pending() == 0
    assert list(AuditEntry.objects.order_by("id").values_list("action", "target", "count")) == [
        ("purge queue", "deliver.w1", 6),
        ("purge queue", "unordered", 1),
    ]
    page = console.post(address("worker", "unordered/purge/"), follow=True)
    assert "there is nothing to purge" in told(page)
    assert Operation.objects.count() == 2


def test_an_unknown_queue_leads_back_with_a_message(console: Client) -> None:
    for name in ("deliver.nobody", "nothing", "%00"):
        assert "Perhaps it was deleted" in told(console.post(address("worker", f"{name}/purge/"), follow=True))
    assert console.get(address("worker", "unordered/purge/")).status_code == 405


# --- While it goes on ---


@pytest.fixture
def going(monkeypatch: pytest.MonkeyPatch) -> Operation:
    """One under way, three pipelines of seven done; a-operator has confirmed it."""
    monkeypatch.setattr(operations, "BATCH", 3)
    monkeypatch.setattr(operations, "REQUEST_SECONDS", 0.0)
    fill(7)
    operation = operations.prepare(
        "purge", [f"user-{n:03}" for n in range(7)], scope="all pipelines", actor="a-operator", selected=False
    )
    return operations.confirm(operation.token, shown=7, actor="a-operator", reason="spam")


def page_of(operation: Operation, page: str = "change") -> str:
    return address("operation", f"{operation.token}/{page}/")


def test_its_page_follows_it_and_so_does_everybody_elses(console: Client, going: Operation) -> None:
    text = console.get(page_of(going)).content.decode()
    for part in ('<progress max="7" value="3"', "42 %", "under way", "Stop", "spam", "a-operator"):
        assert part in text
    for page in ("/admin/", PIPELINES, address("worker"), address("operation")):
        assert page_of(going) in console.get(page).content.decode(), page
    operations.go_on(seconds=10)
    text = console.get(page_of(going)).content.decode()
    for part in ('<progress max="7" value="7"', "100 %", "done"):
        assert part in text
    assert "Stop" not in text
    assert page_of(going) not in console.get("/admin/").content.decode()


def test_it_is_stopped(console: Client, going: Operation) -> None:
    assert console.get(page_of(going, "stop")).status_code == 405
    page = console.post(page_of(going, "stop"), follow=True)
    assert "Stopped by a-operator" in page.content.decode()
    operations.go_on(seconds=10)
    assert pending() == 4
    assert "42 %" in console.get(page_of(going)).content.decode()
    assert AuditEntry.objects.filter(action="stop", actor="a-operator").exists()


def test_a_viewer_follows_it_and_has_no_button(going: Operation) -> None:
    text = viewer().get(page_of(going)).content.decode()
    assert "42 %" in text
    assert "Stop" not in text
    assert 'method="post"' not in text[text.index('<div id="content"') :]


def test_what_is_not_confirmed_yet_is_for_its_maker_only(going: Operation) -> None:
    waits = operations.prepare("purge", ["user-006"], scope="one", actor="a-operator", selected=True)
    other = User.objects.create_superuser("root")
    assert "Perhaps it was deleted" in told(console_of(other).get(page_of(waits), follow=True))
    assert "Perhaps it was deleted" in told(viewer().get(page_of(waits), follow=True))
    assert str(waits.token) not in console_of(other).get(address("operation")).content.decode()


def test_one_who_may_replay_only_cannot_purge(going: Operation) -> None:
    user = member("viewer")
    user.user_permissions.add(Permission.objects.get(codename="replay_engagement"))
    assert console_of(user).post(page_of(going, "stop")).status_code == 403


def test_an_error_that_ended_it_is_told(console: Client) -> None:
    operation = operations.prepare("replay", ["no id"], scope="odd", actor="a-operator", selected=True)
    operations.confirm(operation.token, shown=1, actor="a-operator", reason="r")
    text = console.get(page_of(operation)).content.decode()
    assert "badly formed" in text
    assert "ended by an error" in text


def test_the_audit_leads_to_it(console: Client, going: Operation) -> None:
    text = console.get(address("auditentry")).content.decode()
    assert f'<a href="{page_of(going)}">all pipelines</a>' in text


@pytest.mark.parametrize("key", ["nonsense", str(uuid4()), "%00"])
def test_an_unknown_one_leads_back_with_a_message(console: Client, key: str) -> None:
    for page in (f"{key}/change/", f"{key}/stop/"):
        assert "Perhaps it was deleted" in told(console.post(address("operation", page), follow=True))


def statuses(*engagements: Engagement) -> list[str]:
    return [Engagement.objects.get(id=engagement.id).status for engagement in engagements]
