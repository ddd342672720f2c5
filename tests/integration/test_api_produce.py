"""Posting one engagement: what is stored, what is answered, and that posting twice does no harm."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from engagements.models import Engagement, Pipeline
from tests.support.api import Caller

pytestmark = pytest.mark.django_db

FIELDS = [
    "id",
    "user_id",
    "payload",
    "produced_at",
    "received_at",
    "expires_at",
    "settled_at",
    "status",
    "causal_parent",
    "unordered",
    "channel",
    "late",
    "sequence",
    "attempts",
    "last_error",
]


def test_a_plain_post_is_answered_201_with_the_engagement_that_a_get_then_shows() -> None:
    producer = Caller()
    posted = producer.post("engagements/", {"user_id": "alice", "payload": {"text": "hi", "n": 1.5, "none": None}})
    assert posted.status == 201
    assert list(posted.body) == FIELDS
    assert posted.body["status"] == "pending"
    assert posted.body["channel"] == "log"
    assert posted.body["payload"] == {"text": "hi", "n": 1.5, "none": None}
    assert posted.body["produced_at"] == posted.body["received_at"]
    assert posted.body["sequence"] is None
    received = datetime.fromisoformat(posted.body["received_at"])
    assert datetime.fromisoformat(posted.body["expires_at"]) == received + timedelta(seconds=30)
    assert producer.get(f"engagements/{posted.body['id']}/").body == posted.body


def test_every_field_is_taken_as_sent() -> None:
    parent, id = uuid.uuid4(), uuid.uuid4()
    sent = {
        "user_id": "zoë/文字",
        "payload": {},
        "id": str(id).upper(),
        "produced_at": "2026-01-31t13:00:00.25+01:00",
        "causal_parent": str(parent),
        "unordered": False,
        "channel": "log",
        "timeout_seconds": 2.5,
    }
    answer = Caller().post("engagements/", sent)
    assert answer.status == 201
    assert answer.body["id"] == str(id)
    assert answer.body["produced_at"] == "2026-01-31T12:00:00.250000Z"
    assert answer.body["causal_parent"] == str(parent)
    stored = Engagement.objects.get(id=id)
    assert stored.user_id == "zoë/文字"
    assert stored.produced_at == datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
    assert stored.expires_at == stored.received_at + timedelta(seconds=2.5)


def test_fields_given_as_null_count_as_left_out() -> None:
    names = ("id", "produced_at", "causal_parent", "unordered", "channel", "timeout_seconds")
    answer = Caller().post("engagements/", {"user_id": "a", "payload": {}, **dict.fromkeys(names)})
    assert answer.status == 201


def test_the_same_id_and_content_is_answered_200_and_stored_once() -> None:
    producer = Caller()
    sent = {"user_id": "a", "payload": {"n": 1.0, "list": [1, 2]}, "id": str(uuid.uuid4())}
    first = producer.post("engagements/", sent)
    again = producer.post("engagements/", {**sent, "payload": {"list": [1.0, 2], "n": 1}})
    assert (first.status, again.status) == (201, 200)
    assert again.body["id"] == sent["id"]
    assert Engagement.objects.count() == 1
    assert Pipeline.objects.get().depth == 1


@pytest.mark.parametrize(
    "change",
    [
        {"payload": {"n": 2}},
        {"user_id": "b"},
        {"produced_at": "2026-01-31T12:00:00Z"},
        {"channel": "log"},
        {"unordered": False},
        {"timeout_seconds": 30},
        {"causal_parent": "00000000-0000-0000-0000-000000000001"},
    ],
)
def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(change: dict[str, object]) -> None:
    producer = Caller()
    sent = {"user_id": "a", "payload": {"n": 1}, "id": str(uuid.uuid4())}
    producer.post("engagements/", sent)
    before = Engagement.objects.values().get()
    answer = producer.post("engagements/", {**sent, **change})
    assert answer.status == 409
    assert Engagement.objects.values().get() == before


def test_an_unordered_one_touches_no_pipeline() -> None:
    answer = Caller().post("engagements/", {"user_id": "a", "payload": {}, "unordered": True})
    assert answer.status == 201
    assert answer.body["unordered"] is True
    assert not Pipeline.objects.exists()
