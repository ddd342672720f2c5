"""The proof of order, by the API and by the command: true histories hold, false ones are named."""

import uuid
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from engagements import liveness, services
from engagements.models import Attempt, Engagement, Pipeline, Worker
from engagements.selectors import proof as proof_selector
from engagements.services import produce
from engagements.store import read_proof, settle, workers
from engagements.store.connection import current
from engagements.store.settle import Settlement
from tests.support.api import Caller
from tests.support.console import take

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def w1() -> None:
    workers.start(current(), "w1")
    liveness.forget()


def proof(user: str = "a") -> dict[str, Any]:
    answer = Caller("viewer").get(f"pipelines/{user}/order-proof/")
    assert answer.status == 200
    body: dict[str, Any] = answer.body
    assert list(body) == ["user_id", "holds", "checks", "engagements"]
    assert body["holds"] == all(check["holds"] for check in body["checks"])
    assert [check["promise"][:2] for check in body["checks"]] == ["1.", "2.", "3.", "4.", "5."]
    return body


def broken(user: str = "a") -> list[int]:
    """The promises that do not hold, by the API and by the command."""
    found = [int(check["promise"][0]) for check in proof(user)["checks"] if not check["holds"]]
    output = StringIO()
    if found:
        with pytest.raises(CommandError, match="violations in"):
            call_command("verify_order", "--user", user, stdout=output)
        lines = output.getvalue().splitlines()
        assert {int(line.partition("promise ")[2][0]) for line in lines} == set(found)
        assert all(line.startswith(f"user {user!r}: promise ") for line in lines)
    else:
        call_command("verify_order", "--user", user, stdout=output)
        assert output.getvalue().startswith("Order verified: promises 1 to 5 hold for ")
    return found


def attempt(user: str, outcome: str) -> UUID:
    """Attempt the head and settle it; its id."""
    grant = take(user)
    ended = Settlement(user, grant.token, grant.id, outcome, "", 0, 0, 0)
    settle.settle(current(), [ended], worker="w1", serve_next=False)
    return grant.id


def retry(user: str) -> UUID:
    grant = take(user)
    settle.postpone(current(), [Settlement(user, grant.token, grant.id, "retry", "503", 0, 0, 0)], worker="w1")
    return grant.id


def lived_history() -> list[UUID]:
    """Deliveries, retries, a late one, a failure and its replay, a purge and one still in line, all as they happen."""
    ids = [produce(user_id="a", payload={"n": n}).engagement.id for n in range(4)]
    retry("a")
    assert attempt("a", "delivered") == ids[0]
    late = produce(user_id="a", payload={"n": "late"}, produced_at="2026-01-31T12:00:00Z").engagement
    assert late.late
    assert attempt("a", "delivered") == late.id
    assert attempt("a", "failed") == ids[1]
    assert attempt("a", "delivered") == ids[2]
    services.replay(ids[1], actor="test")
    assert attempt("a", "delivered") == ids[3]
    assert attempt("a", "delivered") == ids[1]
    gone = produce(user_id="a", payload={"n": "purged"}).engagement.id
    take("a")
    services.purge("a", actor="test")
    Pipeline.objects.update(lease_worker=None, lease_until=None)
    last = produce(user_id="a", payload={"n": "in line"}).engagement.id
    retry("a")
    produce(user_id="a", payload={}, unordered=True)
    return [ids[0], late.id, ids[2], ids[3], ids[1], gone, last]


def test_a_history_as_it_happens_holds_and_is_shown_in_recorded_order() -> None:
    order = lived_history()
    body = proof()
    assert body["holds"], body["checks"]
    assert [one["id"] for one in body["engagements"]] == list(map(str, order))
    sequences = [one["sequence"] for one in body["engagements"]]
    assert sequences == sorted(sequences)
    assert broken() == []


def test_parents_and_children_that_went_in_turn_hold() -> None:
    parent = uuid.uuid4()
    child = produce(user_id="a", payload={}, causal_parent=parent).engagement.id
    produce(user_id="b", payload={}, id=parent)
    assert attempt("b", "delivered") == parent
    assert attempt("a", "delivered") == child
    assert broken("a") == broken("b") == []
    Engagement.objects.filter(id=parent).update(settled_at=F("settled_at") + SECOND)
    assert broken("a") == [2]
    Engagement.objects.filter(id=parent).update(settled_at=None, status="pending")
    assert broken("a") == [2]
    Engagement.objects.filter(id=parent).delete()
    assert broken("a") == []


def two() -> tuple[Engagement, Engagement]:
    for n in range(2):
        produce(user_id="a", payload={"n": n})
    return (Engagement.objects.get(id=attempt("a", "delivered")), Engagement.objects.get(id=attempt("a", "delivered")))


def test_a_step_back_is_found() -> None:
    first, second = two()
    Engagement.objects.filter(id=first.id).update(order_time=second.order_time + SECOND)
    assert broken() == [1]
    Engagement.objects.filter(id=second.id).update(late=True)
    assert broken() == []


def test_an_overlap_is_found() -> None:
    first, _ = two()
    Attempt.objects.filter(engagement=first).update(duration_seconds=5.0)
    assert 1 in broken()


def test_an_attempt_after_the_settle_is_found() -> None:
    _, second = two()
    Attempt.objects.filter(engagement=second).update(started_at=F("started_at") + SECOND)
    assert broken() == [1]


def test_two_ends_and_a_wrong_end_are_found() -> None:
    first, second = two()
    assert broken() == []
    again = Attempt.objects.get(engagement=first)
    Attempt.objects.filter(engagement=second).update(outcome="failed")
    assert broken() == [4]
    Attempt.objects.filter(engagement=second).update(outcome="delivered")
    again.pk, again.number = None, 2
    again.started_at += timedelta(microseconds=1)
    again.save()
    assert broken() == [4]


def test_a_delivery_without_a_record_is_found() -> None:
    first, _ = two()
    Attempt.objects.filter(engagement=first).delete()
    assert broken() == [4]


def test_what_a_pipeline_would_never_look_at_is_found() -> None:
    produce(user_id="a", payload={})
    Pipeline.objects.update(depth=0, due_at=None)
    assert broken() == [4]


def test_a_token_that_steps_back_is_found() -> None:
    _, second = two()
    Attempt.objects.filter(engagement=second).update(token=0)
    assert broken() == [5]


def test_a_delivery_without_a_sequence_is_found() -> None:
    first, _ = two()
    Engagement.objects.filter(id=first.id).update(sequence=None)
    Attempt.objects.filter(engagement=first).update(sequence=None)
    assert 5 in broken()


def test_only_times_of_a_living_worker_and_a_running_database_are_watched() -> None:
    [(start, end)] = read_proof.spans(current()) or [(None, None)]
    started = Worker.objects.get().started_at
    assert start is None or start >= started
    Worker.objects.update(started_at=F("started_at") - timedelta(days=1), heartbeat_at=F("heartbeat_at") + SECOND)
    [(start, end)] = read_proof.spans(current())
    assert start > started - timedelta(days=1), "PostgreSQL was started since"
    assert end == Worker.objects.get().heartbeat_at


def test_the_command_goes_through_all_users() -> None:
    for user in ("a", "b", "c", "d", "e"):
        produce(user_id=user, payload={})
        attempt(user, "delivered")
    output = StringIO()
    call_command("verify_order", stdout=output)
    assert output.getvalue() == "Order verified: promises 1 to 5 hold for 5 engagements of 5 users.\n"
    Attempt.objects.filter(engagement__user_id__in=["b", "e"]).delete()
    output = StringIO()
    with pytest.raises(CommandError, match="2 violations in 5 engagements of 5 users"):
        call_command("verify_order", stdout=output)
    assert [line.partition(":")[0] for line in output.getvalue().splitlines()] == ["user 'b'", "user 'e'"]
    verdicts = list(proof_selector.verdicts(at_once=2))
    assert [(v.user_id, sum(check.count for check in v.checks)) for v in verdicts] == [
        ("a", 0),
        ("b", 1),
        ("c", 0),
        ("d", 0),
        ("e", 1),
    ]


def test_a_history_is_the_same_in_batches_of_any_size() -> None:
    lived_history()
    whole = [row["id"] for row in read_proof.history(current(), "a", "a")]
    assert len(whole) == 7
    for batch in (1, 2, 3, 7):
        assert [row["id"] for row in read_proof.history(current(), "a", "a", batch=batch)] == whole


def test_an_unknown_user_is_an_error() -> None:
    with pytest.raises(CommandError, match="no pipeline"):
        call_command("verify_order", "--user", "nobody")
