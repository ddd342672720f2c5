"""The attempts of an engagement on its page: one after the other, the pauses between them, and the one that runs."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from engagements.admin.attempt_timeline import LEAST_BAR, WIDTH, Running, lines, timeline
from engagements.models import Attempt, Engagement
from engagements.services import produce, replay
from engagements.store import settle, unordered
from engagements.store.connection import current
from engagements.store.settle import Settlement
from tests.support.console import address, failed, operator, take

pytestmark = pytest.mark.django_db

RECEIVED = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


@pytest.fixture
def console() -> Client:
    return operator()


def at(seconds: float) -> datetime:
    return RECEIVED + timedelta(seconds=seconds)


def engagement(*, settled: float | None = None) -> Engagement:
    """Received at 0 s, to expire at 100 s."""
    return Engagement(received_at=at(0), expires_at=at(100), settled_at=None if settled is None else at(settled))


def tried(number: int, start: float, lasting: float, outcome: str = "retry") -> Attempt:
    return Attempt(number=number, worker="w1", started_at=at(start), duration_seconds=lasting, outcome=outcome)


def retry(user: str, answer: str, *, delay: float = 0.0) -> None:
    grant = take(user)
    ended = Settlement(user, grant.token, grant.id, "retry", answer, delay, 0.0, 0.02)
    settle.postpone(current(), [ended], worker="w1")


def page(console: Client, engagement: Engagement) -> Any:
    return console.get(address("engagement", f"{engagement.id}/change/"))


def test_the_table_tells_how_long_was_waited_before_each() -> None:
    attempts = [tried(3, 30, 5), tried(2, 12, 1), tried(1, 2, 4)]
    assert [line.after for line in lines(engagement(), attempts)] == [timedelta(seconds=s) for s in (17, 6, 2)]


def test_attempts_before_a_replay_are_set_apart() -> None:
    attempts = [tried(1, 1, 2), tried(2, -50, 1), tried(1, -60, 1)]
    found = lines(engagement(), attempts)
    assert [line.former for line in found] == [False, True, True]
    assert [line.after for line in found] == [timedelta(seconds=1), timedelta(seconds=9), None]


def test_a_drawing_runs_from_the_receipt_to_the_deadline_while_pending() -> None:
    drawn = timeline(engagement(), [tried(1, 10, 20)], Running(2, "w1", at(50)), now=at(60))
    assert drawn is not None
    assert [(bar.x, bar.width, bar.kind) for bar in drawn.bars] == [(100, 200, "retry"), (500, 100, "running")]
    assert (drawn.end, drawn.now) == (at(100), 600)


def test_a_drawing_ends_where_it_was_settled_and_shows_even_the_shortest_attempt() -> None:
    drawn = timeline(engagement(settled=50), [tried(2, 49.99, 0.01, "delivered"), tried(1, 0, 0.001)], None, now=at(60))
    assert drawn is not None
    assert [bar.width for bar in drawn.bars] == [LEAST_BAR, LEAST_BAR]
    assert drawn.bars[1].x == WIDTH - LEAST_BAR
    assert (drawn.end, drawn.now, drawn.settled) == (at(50), None, True)


def test_there_is_nothing_to_draw_before_the_first_attempt() -> None:
    assert timeline(engagement(), [], None, now=at(1)) is None
    assert timeline(engagement(), [tried(1, -5, 1)], None, now=at(1)) is None


def test_a_page_shows_each_attempt_with_its_answer_and_the_one_that_runs(console: Client) -> None:
    made = produce(user_id="alice", payload={}).engagement
    assert "None yet" in page(console, made).content.decode()
    retry("alice", "HTTP 503: <busy>")
    retry("alice", "HTTP 502")
    text = page(console, made).content.decode()
    assert ">running<" not in text
    take("alice", worker="w7")
    answer = page(console, made)
    text = answer.content.decode()
    assert [line.attempt.answer for line in answer.context["attempts"]] == ["HTTP 502", "HTTP 503: <busy>"]
    assert "HTTP 503: &lt;busy&gt;" in text
    running = answer.context["running"]
    assert (running.number, running.worker) == (3, "w7")
    assert running.since >= Attempt.objects.earliest("-id").started_at
    assert ">running<" in text
    assert [bar.kind for bar in answer.context["timeline"].bars] == ["retry", "retry", "running"]


def test_one_behind_another_in_line_runs_nothing(console: Client) -> None:
    produce(user_id="alice", payload={})
    behind = produce(user_id="alice", payload={}).engagement
    take("alice")
    answer = page(console, behind)
    assert answer.context["running"] is None
    assert "In line behind others" in answer.content.decode()


def test_an_unordered_one_is_shown_while_it_is_being_attempted(console: Client) -> None:
    made = produce(user_id="alice", payload={}, unordered=True).engagement
    assert page(console, made).context["running"] is None
    assert len(unordered.claim(current(), limit=1)) == 1
    assert page(console, made).context["running"].number == 1


def test_a_replayed_one_shows_its_former_life_apart(console: Client) -> None:
    broken = failed("alice")
    replay(broken.id, actor="test")
    text = page(console, broken).content.decode()
    assert "Before the replay" in text
    assert "delivery-timeline" not in text
