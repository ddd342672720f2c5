"""The queues: what they show, without and with a broker, and purging them."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db.models import F
from django.utils import timezone
from kombu import Connection

from engagements import broker as broker_looks
from engagements import liveness
from engagements.domain.ring import queue_of
from engagements.models import Engagement, Pipeline, Worker
from engagements.services import produce, produce_bulk
from engagements.store import everything, workers
from engagements.store.connection import current
from tests.support.api import Caller
from tests.support.brokers import Broker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_workers() -> None:
    for name in ("w1", "w2"):
        workers.start(current(), name)
    liveness.forget()
    broker_looks.forget()


def listed() -> dict[str, dict[str, Any]]:
    answer = Caller("viewer").get("queues/")
    assert answer.status == 200
    assert (answer.body["next"], answer.body["previous"]) == (None, None)
    return {queue["name"]: queue for queue in answer.body["results"]}


def test_a_queue_counts_its_users_and_what_is_pending() -> None:
    produce_bulk([{"user_id": f"u{n % 20}", "payload": {}} for n in range(60)])
    produce_bulk([{"user_id": "x", "payload": {}, "unordered": True} for _ in range(3)])
    queues = listed()
    assert list(queues) == ["deliver.w1", "deliver.w2", "unordered"]
    for worker in ("w1", "w2"):
        mine = Pipeline.objects.filter(worker=worker)
        queue = queues[queue_of(worker)]
        assert list(queue) == [
            "name",
            "worker",
            "alive",
            "users",
            "pending",
            "oldest_pending_age_seconds",
            "broker_depth",
        ]
        assert (queue["worker"], queue["alive"]) == (worker, True)
        assert (queue["users"], queue["pending"]) == (mine.count(), sum(p.depth for p in mine))
        assert queue["oldest_pending_age_seconds"] >= 0
    shared = queues["unordered"]
    assert (shared["worker"], shared["alive"], shared["users"], shared["pending"]) == (None, True, 0, 3)


def test_users_with_a_session_count_and_those_of_long_ago_do_not() -> None:
    for user, minutes in (("a", 1), ("b", -1)):
        Pipeline.objects.create(user_id=user, worker="w1", session_until=timezone.now() + timedelta(minutes=minutes))
    queue = listed()["deliver.w1"]
    assert (queue["users"], queue["pending"], queue["oldest_pending_age_seconds"]) == (1, 0, None)


def test_users_without_a_worker_are_counted_where_the_ring_puts_them() -> None:
    produce(user_id="a", payload={})
    Pipeline.objects.update(worker=None, session_until=None)
    mine = str(liveness.ring().worker("a"))
    assert listed()[queue_of(mine)]["users"] == 1
    assert listed()[queue_of(mine)]["pending"] == 1


def test_a_dead_worker_is_listed_while_it_is_recent_or_has_work() -> None:
    Worker.objects.filter(name="w1").update(heartbeat_at=F("heartbeat_at"), stopped_at=F("heartbeat_at"))
    assert listed()["deliver.w1"]["alive"] is False
    current().execute(
        "UPDATE engagements_worker SET heartbeat_at = heartbeat_at - interval '2 hours' WHERE name = 'w1'"
    )
    assert "deliver.w1" not in listed()
    produce(user_id="a", payload={})
    Pipeline.objects.update(worker="w1")
    assert listed()["deliver.w1"]["pending"] == 1


def test_purging_a_queue_settles_the_work_of_its_users_only() -> None:
    produce_bulk([{"user_id": f"u{n}", "payload": {}} for n in range(20)])
    produce(user_id="x", payload={}, unordered=True)
    mine = Pipeline.objects.filter(worker="w1").count()
    operator = Caller("operator")
    assert operator.post("queues/deliver.w1/purge/", {"reason": "test"}).body == {"purged": mine}
    assert Engagement.objects.filter(status="pending").count() == 21 - mine
    assert operator.post("queues/unordered/purge/").body == {"purged": 1}
    assert operator.post("queues/unordered/purge/").body == {"purged": 0}


@pytest.fixture
def celery_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Call it to point Celery at another broker for the time of a test."""

    def point(url: str) -> None:
        monkeypatch.setattr(current_app, "connection_for_read", lambda **options: Connection(url, **options))

    return point


def test_the_depth_is_asked_from_every_kind_of_broker(broker: Broker, celery_at: Callable[[str], None]) -> None:
    celery_at(broker.url)
    queue = f"depth-{time.monotonic_ns()}"
    with Connection(broker.url) as connection:
        simple = connection.SimpleQueue(queue, queue_opts={"expires": 60})
        for _ in range(3):
            simple.put({})
        found = broker_looks.looks([queue, f"{queue}-none", queue])
        assert {name: look.messages for name, look in found.items()} == {queue: 3, f"{queue}-none": 0}
        assert found[queue].consumers == (0 if broker.url.startswith("amqp") else None)
        simple.clear()
        simple.close()


def test_depths_are_numbers_while_the_broker_answers(broker_url: str) -> None:
    assert [queue["broker_depth"] for queue in listed().values()] == [0, 0, 0]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "amqp://127.0.0.1:{port}//"])
@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_without_a_broker_the_depth_is_null_and_nobody_waits(
    celery_at: Callable[[str], None], silent_port: int, url: str, silent: bool
) -> None:
    celery_at(url.format(port=silent_port if silent else 1))
    began = time.monotonic()
    assert {queue["broker_depth"] for queue in listed().values()} == {None}
    assert time.monotonic() - began < 4
    began = time.monotonic()
    listed()
    assert time.monotonic() - began < 1  # after a failure the broker is left alone for a moment


def test_everything_can_be_paused_and_resumed() -> None:
    operator = Caller("operator")
    running = {"paused": False, "paused_at": None, "resuming": False}
    assert operator.get("queues/pause/").body == running
    paused = operator.post("queues/pause/", {"reason": "storm"}).body
    assert (paused["paused"], paused["resuming"]) == (True, False)
    assert paused["paused_at"].endswith("Z")
    assert operator.get("queues/pause/").body == paused
    assert operator.post("queues/resume/", {}).body == running


def test_a_pause_amid_a_resume_is_refused() -> None:
    operator = Caller("operator")
    operator.post("queues/pause/", {})
    everything.begin_resume(current())
    answer = operator.post("queues/pause/", {})
    assert answer.status == 409
    assert "pause it again when that is done" in answer.body["detail"]
