"""Probes and metrics."""

import json
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from celery import current_app
from django.db import connection
from django.db.models import F
from django.test import Client
from kombu import Connection
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from engagements import broker, liveness, metrics, services
from engagements.api import health
from engagements.models import Engagement, SettledCount
from engagements.services import produce, produce_bulk
from engagements.store import beat, workers
from engagements.store.connection import current
from tests.support.console import attempt
from tests.support.history import settled, start_counting
from tests.support.store import Connect

HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def fresh() -> None:
    broker.forget()
    metrics.forget()


def missing() -> list[str]:
    response = Client().get("/readyz")
    assert response.status_code in (200, 503)
    document = json.loads(response.content)
    return [] if response.status_code == 200 else [error["field"] for error in document["errors"]]


def test_a_process_that_answers_is_healthy_without_a_database() -> None:
    """This test may use no database: pytest-django would fail it."""
    response = Client().get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert Client().post("/healthz").status_code == 405


@pytest.mark.django_db
def test_ready_needs_a_worker_alive(broker_url: str) -> None:
    assert missing() == ["workers"]
    incarnation = workers.start(current(), "w1").incarnation
    assert missing() == []
    workers.stop(current(), "w1", incarnation)
    assert missing() == ["workers"]


@pytest.mark.django_db
def test_ready_needs_as_many_workers_as_the_setting_says(broker_url: str, settings: Settings) -> None:
    settings.READY_WORKERS = 2
    workers.start(current(), "w1")
    assert missing() == ["workers"]
    workers.start(current(), "w2")
    assert missing() == []


@pytest.mark.django_db
def test_ready_needs_the_broker_and_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    workers.start(current(), "w1")
    dead = lambda **options: Connection("redis://127.0.0.1:1/0", **options)  # noqa: E731
    monkeypatch.setattr(current_app, "connection_for_read", dead)
    began = time.monotonic()
    assert missing() == ["broker"]
    assert time.monotonic() - began < 3


@pytest.mark.django_db
def test_ready_needs_all_migrations(broker_url: str) -> None:
    workers.start(current(), "w1")
    health.forget()
    assert missing() == []
    health.forget()
    current().execute("DELETE FROM django_migrations WHERE app = 'engagements'")
    assert missing() == ["migrations"]


def test_a_connection_that_died_between_two_requests_is_replaced(
    connect: Connect, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = connect()
    workers.start(observer, "w1")
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
    connection.close()
    assert missing() == []
    mine = connection.connection.info.backend_pid
    observer.execute("SELECT pg_terminate_backend(%s)", [mine])
    with pytest.raises(psycopg.OperationalError):
        connection.connection.execute("SELECT 1")
    connection.close_if_unusable_or_obsolete()  # what Django does as a request begins; the test client leaves it out
    assert missing() == []


def samples() -> dict[str, float]:
    response = Client().get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == metrics.CONTENT_TYPE
    found = {}
    for family in text_string_to_metric_families(response.content.decode()):
        assert family.documentation
        for sample in family.samples:
            label = next(iter(sample.labels.values()), "")
            found[f"{sample.name} {label}".strip()] = sample.value
    return found


@pytest.mark.django_db
def test_the_metrics_count_what_is_there(broker_url: str) -> None:
    workers.start(current(), "w1")
    liveness.forget()
    produce_bulk([{"user_id": f"u{n % 3}", "payload": {}} for n in range(6)])
    produce(user_id="x", payload={}, unordered=True)
    services.pause("u2", actor="test")
    found = samples()
    assert found["engagements_pending deliver.w1"] == 6
    assert found["engagements_pending unordered"] == 1
    assert found["engagements_due_unleased"] == 2
    assert found["engagements_due_unleased_seconds"] >= 0
    assert found["engagements_oldest_pending_seconds deliver.w1"] >= 0
    assert found["engagements_pipelines_paused"] == 1
    assert found["engagements_workers_alive"] == 1
    assert found["engagements_worker_alive w1"] == 1
    assert found["engagements_queue_users deliver.w1"] == 3
    assert found["engagements_queue_messages deliver.w1"] == 0
    assert found["engagements_accepted_total"] >= 7


@pytest.mark.django_db
def test_what_settles_is_counted_once_and_never_uncounted(broker_url: str) -> None:
    workers.start(current(), "w1")
    liveness.forget()

    def totals() -> dict[str, float]:
        metrics.forget()
        return {name: value for name, value in samples().items() if name.startswith("engagements_settled_total")}

    def later() -> None:
        """As if everything had happened half an hour earlier."""
        Engagement.objects.exclude(settled_at=None).update(settled_at=F("settled_at") - HALF_AN_HOUR)
        SettledCount.objects.update(counted_until=F("counted_until") - HALF_AN_HOUR)

    totals()
    for user in ("a", "b"):
        produce(user_id=user, payload={})
        attempt(user, "delivered")
    produce(user_id="c", payload={})
    attempt("c", "failed")
    assert set(totals().values()) == {0}  # too young to be counted
    later()
    for _ in range(3):
        counted = totals()
        assert counted["engagements_settled_total delivered"] == 2
        assert counted["engagements_settled_total failed"] == 1
        assert counted["engagements_settled_total expired"] == 0
    Engagement.objects.all().delete()
    assert totals() == counted


@pytest.mark.django_db
def test_delivery_latency_is_a_histogram(broker_url: str) -> None:
    start_counting(current(), ago=60)
    settled(current(), 2, ago=30, latency=0.03)
    settled(current(), 1, ago=30, latency=3.0)
    settled(current(), 9, ago=30, latency=3.0, status="expired")
    beat.tick(current())
    metrics.forget()
    found = samples()
    name = "engagements_delivery_latency_seconds"
    bounds = {le: found[f"{name}_bucket {le}"] for le in ("0.001", "0.016", "0.032", "2.048", "4.096", "+Inf")}
    assert list(bounds.values()) == [0, 0, 2, 2, 3, 3]
    assert found[f"{name}_count"] == 3
    assert found[f"{name}_sum"] == pytest.approx(3.06)
    assert found["engagements_beat_silent_seconds"] < 5


@pytest.mark.django_db
def test_scrapes_within_a_second_share_their_answer(broker_url: str, django_assert_num_queries: Any) -> None:
    samples()
    produce(user_id="a", payload={})
    with django_assert_num_queries(0):
        first = Client().get("/metrics").content
    assert first == Client().get("/metrics").content
