"""Rate limits per key: off unless asked for; then what is too much is a 429 that says when to come back."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from pytest_django import Settings

from engagements.models import Engagement, RateBucket
from engagements.services import BULK_LIMIT
from engagements.store import rate
from engagements.store.connection import current
from engagements.store.rate import Rate
from tests.support.api import Caller, key_of
from workers.tasks import delete_old

pytestmark = pytest.mark.django_db

ONE = {"user_id": "a", "payload": {}}


def bulk(number: int) -> dict[str, Any]:
    return {"engagements": [ONE] * number}


def let_pass(seconds: float) -> None:
    """As if so much time had passed for every bucket."""
    RateBucket.objects.update(full_at=F("full_at") - timedelta(seconds=seconds))


def test_without_the_settings_there_is_no_limit_and_no_bucket() -> None:
    caller = Caller("operator")
    assert {caller.get("channels/").status for _ in range(50)} == {200}
    assert caller.post("engagements/bulk/", bulk(3)).status == 200
    assert not RateBucket.objects.exists()


def test_what_is_beyond_the_burst_is_429_with_a_time_to_come_back(settings: Settings) -> None:
    settings.RATE_LIMIT_REQUESTS_PER_SECOND = 0.1
    settings.RATE_LIMIT_REQUESTS_BURST = 3
    caller = Caller("viewer")
    assert [caller.get("channels/").status for _ in range(4)] == [200, 200, 200, 429]
    refused = caller.get("channels/")
    assert refused.response.headers["Retry-After"] == "10"
    assert "0.1 a second, 3 at once" in refused.body["detail"]
    let_pass(10)
    assert [caller.get("channels/").status for _ in range(2)] == [200, 429]


def test_each_key_has_its_own_limit_and_all_calls_of_a_key_share_it(settings: Settings) -> None:
    settings.RATE_LIMIT_REQUESTS_PER_SECOND = 0.1
    first, second = Caller(None), Caller(None)
    first.key, second.key = key_of("producer", "shop"), key_of("producer", "shop")
    assert first.get("channels/").status == 200
    assert first.post("engagements/", ONE).status == 429
    assert second.post("engagements/", ONE).status == 201
    assert Engagement.objects.count() == 1


def test_a_bulk_counts_each_of_its_engagements(settings: Settings) -> None:
    settings.RATE_LIMIT_ENGAGEMENTS_PER_SECOND = 1
    settings.RATE_LIMIT_ENGAGEMENTS_BURST = 10
    caller = Caller()
    assert caller.post("engagements/bulk/", bulk(6)).status == 200
    assert caller.post("engagements/bulk/", bulk(6)).status == 429
    assert [caller.post("engagements/", ONE).status for _ in range(5)] == [201, 201, 201, 201, 429]
    assert Engagement.objects.count() == 10
    assert {caller.get("engagements/").status for _ in range(5)} == {200}


def test_a_refused_and_a_repeated_engagement_count_as_well(settings: Settings) -> None:
    settings.RATE_LIMIT_ENGAGEMENTS_PER_SECOND = 0.01
    settings.RATE_LIMIT_ENGAGEMENTS_BURST = 3
    caller = Caller()
    body = {**ONE, "id": "00000000-0000-0000-0000-00000000000a"}
    answers = [caller.post("engagements/", body).status for body in (body, body, {"user_id": ""}, body)]
    assert answers == [201, 200, 400, 429]


def test_a_bulk_that_could_never_pass_is_413_and_takes_nothing(settings: Settings) -> None:
    settings.RATE_LIMIT_ENGAGEMENTS_PER_SECOND = 1
    settings.RATE_LIMIT_ENGAGEMENTS_BURST = 10
    caller = Caller()
    refused = caller.post("engagements/bulk/", bulk(11))
    assert (refused.status, "at most 10" in refused.body["detail"]) == (413, True)
    assert caller.post("engagements/bulk/", bulk(10)).status == 200


def test_a_burst_that_is_not_stated_lets_a_whole_bulk_pass(settings: Settings) -> None:
    settings.RATE_LIMIT_ENGAGEMENTS_PER_SECOND = 1
    caller = Caller()
    assert caller.post("engagements/bulk/", bulk(BULK_LIMIT)).status == 200
    assert caller.post("engagements/", ONE).status == 429
    assert caller.post("engagements/bulk/", bulk(BULK_LIMIT + 1)).status == 400


def test_a_bucket_fills_at_its_rate_and_never_above_its_burst() -> None:
    conn, limit = current(), Rate(0.5, 2)
    assert [rate.take(conn, "x", 1, limit) for _ in range(2)] == [0.0, 0.0]
    assert 1.5 < rate.take(conn, "x", 1, limit) <= 2.0
    assert 3.5 < rate.take(conn, "x", 2, limit) <= 4.0
    let_pass(2)
    assert rate.take(conn, "x", 1, limit) == 0.0
    assert rate.take(conn, "x", 1, limit) > 0
    let_pass(1000)
    assert [rate.take(conn, "x", 1, limit) > 0 for _ in range(3)] == [False, False, True]


def test_full_buckets_are_forgotten_with_the_old_history() -> None:
    rate.take(current(), "x", 1, Rate(0.001, 1))
    delete_old()
    assert RateBucket.objects.count() == 1
    let_pass(1000)
    delete_old()
    assert not RateBucket.objects.exists()
