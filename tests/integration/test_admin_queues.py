"""The page of the queues: rates, the ring, what the broker tells, and pausing everything."""

import threading
from collections.abc import Iterator

import pytest
from celery import current_app
from django.test import Client
from kombu import Connection

from engagements import broker, liveness, services
from engagements.models import AuditEntry, Engagement
from engagements.services import produce
from engagements.store import everything, read_queues, workers
from engagements.store.connection import current
from tests.support.console import address, attempt, operator, viewer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_workers(broker_url: str) -> Iterator[None]:
    for name in ("w1", "w2"):
        workers.start(current(), name)
    liveness.forget()
    broker.forget()
    yield
    broker.forget()


@pytest.fixture
def console() -> Client:
    return operator()


def test_the_ring_is_drawn_with_each_workers_share(console: Client) -> None:
    answer = console.get(address("worker"))
    shares = liveness.ring().shares()
    assert [stretch.worker for stretch in answer.context["stretches"]] == ["w1", "w2"]
    page = answer.content.decode()
    for worker, share in shares.items():
        assert f"{worker} <strong>{100 * share:.1f} %</strong>" in page
    assert page.count('<path class="delivery-ring-') == 2


def test_one_worker_has_the_whole_ring(console: Client) -> None:
    workers.stop(current(), "w2", 1)
    liveness.forget()
    [stretch] = console.get(address("worker")).context["stretches"]
    assert (stretch.worker, stretch.share) == ("w1", 1.0)
    assert stretch.path.count("A") == 2


def test_the_rate_is_that_of_the_last_minute_by_worker() -> None:
    for n in (*range(6), 9):
        produce(user_id=f"user-{n}", payload={})
    for n in range(6):
        attempt(f"user-{n}", "delivered")
    attempt("user-9", "failed")
    ordered, free = read_queues.rates(current())
    assert sum(ordered.values()) == pytest.approx(6 / 60)
    assert free == 0
    current().execute("UPDATE engagements_attempt SET started_at = started_at - interval '2 min'")
    assert read_queues.rates(current()) == ({}, 0.0)


def test_a_broker_that_hangs_does_not_hold_the_page_up(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look at it would last for longer than this test may."""
    released = threading.Event()

    def hang(**_: object) -> Connection:
        released.wait()
        raise OSError("released")

    monkeypatch.setattr(broker, "LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(current_app, "connection_for_read", hang)
    try:
        assert "The broker has not answered" in console.get(address("worker")).content.decode()
    finally:
        released.set()


def test_everything_is_paused_and_resumed_with_a_reason(console: Client) -> None:
    produce(user_id="alice", payload={})
    asked = console.get(address("worker", "pause-everything/")).content.decode()
    assert "No pipeline starts anything" in asked
    assert everything.state(current()) is None

    console.post(address("worker", "pause-everything/"), {"confirmed": "yes", "reason": ""})
    assert everything.state(current()) is None, "a reason is required"
    done = console.post(address("worker", "pause-everything/"), {"confirmed": "yes", "reason": "storm"}, follow=True)
    assert everything.state(current()) is not None
    page = done.content.decode()
    assert "Everything is paused" in page
    assert "Resume everything" in page

    console.post(address("worker", "resume-everything/"), {"confirmed": "yes", "reason": "over"})
    assert everything.state(current()) is None
    recorded = AuditEntry.objects.order_by("id").values_list("actor", "action", "reason")
    assert list(recorded) == [
        ("a-operator", "pause everything", "storm"),
        ("a-operator", "resume everything", "over"),
    ]
    assert Engagement.objects.filter(status="pending").count() == 1


def test_a_second_click_changes_nothing(console: Client) -> None:
    services.pause_everything(actor="test")
    since = everything.state(current())
    console.post(address("worker", "pause-everything/"), {"confirmed": "yes", "reason": "storm"})
    assert everything.state(current()) == since
    assert AuditEntry.objects.count() == 1


def test_a_viewer_sees_the_state_and_no_button() -> None:
    services.pause_everything(actor="test")
    page = viewer().get(address("worker")).content.decode()
    assert "Everything is paused" in page
    assert "Resume everything" not in page
