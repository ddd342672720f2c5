"""How a channel does, on the list and on its page: success, speed, errors, what waits; and its test."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from engagements import channels, services
from engagements.admin.channel_page import success
from engagements.models import Attempt, AuditEntry, Channel, Engagement
from engagements.selectors.channels import SPANS, Health, healths
from engagements.services import produce
from engagements.store import read_channels
from engagements.store.connection import current
from tests.support.console import address, operator, policy_violations, take, told, viewer

pytestmark = pytest.mark.django_db

PAGE = address("channel", "crm/change/")
TEST = address("channel", "crm/test/")


@pytest.fixture(autouse=True)
def crm() -> Channel:
    return channels.create("crm", "webhook", "https://crm.example/hook", actor="test")[0]


@pytest.fixture
def console() -> Client:
    return operator()


def attempted(outcome: str, *, channel: str = "crm", ago: float = 1.0, took: float = 0.02, answer: str = "") -> Attempt:
    """An attempt that ended so long ago (s), of an engagement of its own."""
    engagement = produce(user_id=f"user-{uuid4()}", payload={}, channel=channel).engagement
    if outcome != "retry":
        settled = {"delivered": "delivered", "failed": "failed"}.get(outcome, "expired")
        Engagement.objects.filter(id=engagement.id).update(status=settled, settled_at=timezone.now(), last_error=answer)
    return Attempt.objects.create(
        engagement_id=engagement.id,
        number=1,
        worker="w1",
        token=1,
        started_at=timezone.now() - timedelta(seconds=ago + took),
        duration_seconds=took,
        outcome=outcome,
        answer=answer,
    )


def row(console: Client, name: str = "crm", **query: str) -> Any:
    rows = console.get(address("channel"), query).context["cl"].result_list
    return next(one for one in rows if one.name == name)


def content(page: Any) -> str:
    """The page's own part, in one line."""
    text = " ".join(page.content.decode().split())
    return text[text.index('<div id="content"') :]


def test_the_list_tells_success_speed_last_error_and_what_waits(console: Client) -> None:
    for took in (0.1, 0.2, 0.3):
        attempted("delivered", took=took)
    last = attempted("retry", took=4.0, answer="HTTP 503: busy")
    Engagement.objects.filter(id=last.engagement_id).update(last_error="HTTP 503: busy")
    attempted("interrupted", took=9.0, answer="the worker stopped")
    attempted("delivered", channel="log")
    health = row(console).health
    assert (health.recent.attempts, health.recent.delivered, health.success) == (4, 3, 0.75)
    assert health.recent.p95_seconds == pytest.approx(3.445)
    assert (health.recent.error, health.recent.error_engagement) == ("HTTP 503: busy", last.engagement_id)
    assert (health.pending, health.retrying) == (1, 1)
    assert row(console, "log").health.success == 1.0
    text = content(console.get(address("channel")))
    for told_of in (
        "75.0 %",
        "of 4",
        "HTTP 503: busy",
        "1 retrying",
        "3.4 s",
        "Of all attempts of the last 15 minutes.",
    ):
        assert told_of in text, told_of


def test_the_span_is_chosen_and_what_is_older_does_not_count(console: Client) -> None:
    attempted("failed", ago=1800, answer="HTTP 410: gone")
    attempted("failed", ago=7200)
    attempted("delivered")
    assert row(console).health.success == 1.0
    assert row(console, span="1h").health.success == 0.5
    assert row(console, span="nonsense").health.success == 1.0
    assert "the last hour" in content(console.get(PAGE, {"span": "1h"})).lower()


def test_one_failure_among_thousands_is_not_all() -> None:
    recent = read_channels.Recent("crm", 5000, 4999, None, None, None, None, None, None, None)
    assert "99.9 %" in success(Health(recent, 0, 0))


@pytest.fixture
def few_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the bound were three attempts."""
    for name in ("_RECENT", "_ERRORS"):
        bound = str(read_channels.ATTEMPTS_LOOKED_AT)
        monkeypatch.setattr(read_channels, name, getattr(read_channels, name).replace(f"LIMIT {bound}", "LIMIT 3"))
    monkeypatch.setattr("engagements.selectors.channels.ATTEMPTS_LOOKED_AT", 3)


@pytest.mark.usefixtures("few_looked_at")
def test_a_bound_is_told_when_it_cuts_the_span_short(console: Client) -> None:
    attempted("failed", ago=120, answer="HTTP 410: gone")
    for ago in (100, 90, 80):
        attempted("delivered", channel="log", ago=ago)
    found = healths(SPANS[0])
    assert found.bounded
    assert found.of("crm").recent is None
    text = content(console.get(PAGE))
    assert "the latest 3 attempts of all channels" in text
    assert "No attempt" in text


@pytest.mark.usefixtures("few_looked_at")
def test_a_bound_beyond_the_span_is_not_worth_a_word() -> None:
    for ago in (3000, 2000, 80):
        attempted("delivered", ago=ago)
    assert not healths(SPANS[0]).bounded
    assert healths(SPANS[1]).bounded


def test_the_page_lists_the_latest_errors_with_their_engagements(console: Client) -> None:
    attempted("delivered")
    older = attempted("failed", ago=60, answer="HTTP 410: gone")
    newer = attempted("retry", ago=5, answer="<script>alert(1)</script>")
    attempted("failed", channel="log", answer="of another one")
    page = console.get(PAGE)
    assert [error.engagement_id for error in page.context["errors"]] == [newer.engagement_id, older.engagement_id]
    assert policy_violations(page) == []
    text = content(page)
    assert "HTTP 410: gone" in text
    assert "&lt;script&gt;" in text
    assert "of another one" not in text
    assert f"/engagement/{newer.engagement_id}/change/" in text


def test_a_channel_without_attempts_says_what_to_do_next(console: Client) -> None:
    assert "Send a test to see whether it works" in content(console.get(PAGE))
    assert "Send a test" not in content(viewer().get(PAGE))


def test_reading_it_walks_no_table(console: Client) -> None:
    attempted("delivered")
    for sql, params in (
        (read_channels._RECENT, {"span": timedelta(minutes=15)}),
        (read_channels._ERRORS, ["crm", 10]),
        (read_channels._PENDING, None),
    ):
        current().execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(line for (line,) in current().execute(f"EXPLAIN {sql}", params).fetchall())
        assert "Seq Scan" not in plan, plan


# --- the test ---


def test_a_test_goes_the_way_of_all_engagements_past_every_pipeline(console: Client) -> None:
    services.pause_everything(actor="test")
    id = uuid4()
    page = console.post(TEST, {"id": str(id)}, follow=True)
    assert page.redirect_chain[-1][0].startswith(PAGE)
    sent = Engagement.objects.get(user_id="test:crm")
    assert (sent.id, sent.unordered, sent.channel_id, sent.status) == (id, True, "crm", "pending")
    assert sent.payload["test"] is True
    assert sent.expires_at - sent.received_at == timedelta(seconds=services.TEST_SECONDS)
    assert "under way" in content(page)
    entry = AuditEntry.objects.get(action="test channel")
    assert (entry.actor, entry.target, entry.count) == ("a-operator", f"crm {id}", 1)


def test_a_double_click_sends_one_test(console: Client) -> None:
    fields = {"id": str(uuid4())}
    for _ in range(2):
        assert console.post(TEST, fields).status_code == 302
    assert Engagement.objects.count() == 1
    assert AuditEntry.objects.filter(action="test channel").count() == 1


def test_an_id_that_is_in_use_sends_nothing(console: Client) -> None:
    taken = produce(user_id="alice", payload={}).engagement
    page = console.post(TEST, {"id": str(taken.id)}, follow=True)
    assert "Nothing was sent" in told(page)
    assert Engagement.objects.count() == 1
    assert not AuditEntry.objects.filter(action="test channel").exists()


def test_one_that_is_switched_off_can_be_tested_and_still_takes_nothing_else(console: Client) -> None:
    channels.change("crm", {"active": False}, actor="test")
    console.post(TEST, {"id": "nonsense"})
    assert Engagement.objects.get().user_id == "test:crm"
    with pytest.raises(Exception, match="no active channel"):
        produce(user_id="test:crm", payload={}, channel="crm")


@pytest.mark.parametrize(
    ("outcome", "answer", "parts"),
    [
        ("delivered", "HTTP 200: fine", ["delivered", "HTTP 200: fine", "after 20 ms"]),
        ("failed", "HTTP 404: <b>no</b>", ["failed", "HTTP 404: &lt;b&gt;no&lt;/b&gt;"]),
        ("retry", "HTTP 500: oops", ["retried", "HTTP 500: oops"]),
        ("cut", "no answer before the deadline", ["expired", "no answer before the deadline"]),
    ],
)
def test_the_page_shows_what_became_of_the_last_test(
    console: Client, outcome: str, answer: str, parts: list[str]
) -> None:
    console.post(TEST)
    sent = Engagement.objects.get()
    status = {"retry": "pending", "cut": "expired"}.get(outcome, outcome)
    settled = None if status == "pending" else timezone.now()
    Engagement.objects.filter(id=sent.id).update(status=status, settled_at=settled)
    Attempt.objects.create(
        engagement_id=sent.id, number=1, worker="w1", token=1, started_at=timezone.now(), duration_seconds=0.02,
        outcome=outcome, answer=answer,
    )  # fmt: skip
    text = content(console.get(PAGE))
    text = text[text.index('id="channel-test"') :].partition("</section>")[0]
    for part in parts:
        assert part in text, part


def test_a_test_that_nobody_took_says_where_to_look(console: Client) -> None:
    console.post(TEST)
    Engagement.objects.update(status="expired", settled_at=timezone.now())
    text = content(console.get(PAGE))
    assert "No worker has taken it" in text
    assert address("worker") in text


def test_only_the_channels_own_test_is_shown(console: Client) -> None:
    channels.create("other", "webhook", "https://crm.example/hook", actor="test")
    produce(user_id="test:other", payload={}, channel="crm")
    take("test:other")
    assert console.get(address("channel", "other/change/")).context["test"] is None


def test_a_get_sends_nothing(console: Client) -> None:
    assert console.get(TEST).status_code == 405
    assert not Engagement.objects.exists()
