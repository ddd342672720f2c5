"""Posting in bulk: one result per item in order, refusals that keep nothing else from being stored, limits."""

import time
import uuid

import pytest

from engagements.models import Engagement
from tests.support.api import Caller

pytestmark = pytest.mark.django_db


def test_results_come_in_order_with_what_became_of_each() -> None:
    producer = Caller()
    known = str(uuid.uuid4())
    producer.post("engagements/", {"user_id": "a", "payload": {"n": 0}, "id": known})
    fresh, reused = str(uuid.uuid4()), str(uuid.uuid4())
    answer = producer.post(
        "engagements/bulk/",
        {
            "engagements": [
                {"user_id": "a", "payload": {"n": 1}, "id": fresh},
                {"user_id": "a", "payload": {"n": 0}, "id": known},
                {"user_id": "a", "payload": {"n": 9}, "id": known},
                {"user_id": "", "payload": {}, "id": reused},
                "no engagement",
                {"user_id": "a", "payload": {"n": 2}},
                {"user_id": "a", "payload": {"n": 1}, "id": fresh},
            ]
        },
    )
    assert answer.status == 207
    results = answer.body["results"]
    assert [result["index"] for result in results] == list(range(7))
    expected = ["created", "duplicate", "refused", "refused", "refused", "created", "duplicate"]
    assert [result["status"] for result in results] == expected
    assert [result["id"] for result in results[:5]] == [fresh, known, known, reused, None]
    assert [result["error"] and result["error"]["status"] for result in results] == [
        None,
        None,
        409,
        400,
        400,
        None,
        None,
    ]
    assert Engagement.objects.count() == 3


def test_all_stored_is_answered_200() -> None:
    items = [{"user_id": "a", "payload": {"n": n}} for n in range(3)]
    answer = Caller().post("engagements/bulk/", {"engagements": items})
    assert answer.status == 200
    ids = [result["id"] for result in answer.body["results"]]
    stored = Engagement.objects.order_by("order_time", "arrival").values_list("id", flat=True)
    assert list(map(str, stored)) == ids


def test_nothing_to_store_is_answered_200() -> None:
    answer = Caller().post("engagements/bulk/", {"engagements": []})
    assert (answer.status, answer.body) == (200, {"results": []})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "engagements"),
        ({"engagements": None}, "engagements"),
        ({"engagements": {}}, "engagements"),
        ({"engagements": [], "more": 1}, "more"),
        ({"engagements": [{"user_id": "a", "payload": {}}] * 1001}, "engagements"),
    ],
    ids=["missing", "null", "an object", "an unknown field", "1,001 items"],
)
def test_a_wrong_list_is_refused_as_a_whole(body: dict[str, object], field: str) -> None:
    answer = Caller().post("engagements/bulk/", body)
    assert answer.status == 400
    assert field in answer.fields
    assert not Engagement.objects.exists()


def test_a_thousand_are_stored_in_well_under_a_second() -> None:
    """A bound that only a serializer per item, or a statement per item, would break."""
    producer = Caller(check=False)
    items = [{"user_id": f"user-{n % 100}", "payload": {"n": n, "text": "hello"}} for n in range(1000)]
    began = time.perf_counter()
    answer = producer.post("engagements/bulk/", {"engagements": items})
    took = time.perf_counter() - began
    assert answer.status == 200
    assert Engagement.objects.count() == 1000
    assert took < 1.0
