"""Reading pipelines and operating them."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from engagements import liveness
from engagements.models import AuditEntry, Channel, Engagement, Pipeline
from engagements.services import produce
from engagements.store import lease, settle, workers
from engagements.store.connection import current
from engagements.store.settle import Settlement
from tests.support.api import Caller
from tests.support.console import HOSTILE_USERS, take

pytestmark = pytest.mark.django_db

FIELDS = [
    "user_id",
    "depth",
    "oldest_pending_age_seconds",
    "worker",
    "session_until",
    "lease",
    "paused",
    "timeout_seconds",
    "waiting",
]


@pytest.fixture
def operator() -> Caller:
    return Caller("operator")


@pytest.fixture
def w1() -> None:
    """A worker that lives for the time of the test."""
    workers.start(current(), "w1")
    liveness.forget()


def waiting(caller: Caller, user: str = "a") -> str:
    sentence = caller.get(f"pipelines/{user}/").body["waiting"]
    assert isinstance(sentence, str)
    return sentence


def test_a_pipeline_has_the_fields_of_the_contract(operator: Caller, w1: None) -> None:
    produce(user_id="a", payload={})
    produce(user_id="a", payload={})
    body = operator.get("pipelines/a/").body
    assert list(body) == FIELDS
    assert body["depth"] == 2
    assert 0 <= body["oldest_pending_age_seconds"] < 60
    assert body["worker"] == "w1"
    assert body["session_until"] is not None
    assert body["lease"] is None
    assert (body["paused"], body["timeout_seconds"]) == (False, None)
    assert body["waiting"] == "due; worker w1 takes it next"


def test_the_lease_and_the_running_attempt_are_shown(operator: Caller, w1: None) -> None:
    id = produce(user_id="a", payload={}).engagement.id
    grant = take("a")
    body = operator.get("pipelines/a/").body
    assert body["lease"]["worker"] == "w1"
    assert body["lease"]["token"] == grant.token
    assert re.fullmatch(r"attempt 1 on log is running on w1 for \d+ ms; expires in 30 s", body["waiting"])
    shown = operator.get(f"engagements/{id}/").body
    assert (shown["status"], shown["sequence"], shown["attempts"]) == ("pending", 1, 1)
    assert operator.get("engagements/").body["results"] == [shown]


def test_nothing_pending_waits_for_nothing(operator: Caller, w1: None) -> None:
    produce(user_id="a", payload={})
    grant = take("a")
    settle.settle(current(), [Settlement("a", grant.token, grant.id, "delivered", "", 0, 0, 0.01)], worker="w1")
    body = operator.get("pipelines/a/").body
    assert (body["depth"], body["oldest_pending_age_seconds"], body["waiting"], body["lease"]) == (0, None, None, None)
    assert body["worker"] == "w1"
    assert operator.post("pipelines/a/end-session/").body["worker"] is None


def test_a_retry_says_when_and_on_what(operator: Caller, w1: None) -> None:
    Channel.objects.create(name="crm", kind="webhook", url="https://crm.example/")
    produce(user_id="a", payload={}, channel="crm")
    grant = take("a")
    settle.postpone(current(), [Settlement("a", grant.token, grant.id, "retry", "HTTP 503", 5.0, 0, 0.01)], worker="w1")
    assert re.fullmatch(r"attempt 2 on webhook crm in (4\.9|5\.0) s; expires in 30 s", waiting(operator))


def test_a_child_says_which_parent_it_waits_for(operator: Caller, w1: None) -> None:
    parent = uuid.UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
    produce(user_id="a", payload={}, causal_parent=parent)
    assert waiting(operator) == "waits for its parent 7c9e6679…, which has not arrived; expires in 30 s"
    produce(user_id="bob", payload={})
    produce(user_id="bob", payload={}, id=parent)
    expected = "waits for its parent 7c9e6679… of user bob, which is 2nd in line; expires in 30 s"
    assert waiting(operator) == expected


def test_a_dead_worker_and_none_at_all_are_said(operator: Caller, w1: None) -> None:
    produce(user_id="a", payload={})
    current().execute("UPDATE engagements_worker SET heartbeat_at = heartbeat_at - interval '1 minute'")
    assert waiting(operator) == "no worker is alive"
    workers.start(current(), "w2")
    assert waiting(operator) == "due; its worker w1 is dead, another takes over"


def test_held_for_the_reorder_window(operator: Caller, w1: None, settings: Any) -> None:
    settings.REORDER_WINDOW_MS = 20_000
    produce(user_id="a", payload={}, produced_at=datetime.now().astimezone())
    assert re.fullmatch(r"held for the reorder window, (19|20) s more", waiting(operator))


def test_pause_freezes_and_resume_moves_the_deadlines(operator: Caller, w1: None) -> None:
    id = produce(user_id="a", payload={}).engagement.id
    deadline = Engagement.objects.get(id=id).expires_at
    paused = operator.post("pipelines/a/pause/", {"reason": "receiver is moved"})
    assert (paused.status, paused.body["paused"]) == (200, True)
    assert re.fullmatch(r"paused since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", paused.body["waiting"])
    assert lease.claim(current(), ["a"], worker="w1").grants == []
    Pipeline.objects.update(paused_at=Pipeline.objects.get().paused_at - timedelta(minutes=1))  # type: ignore[operator]
    Engagement.objects.update(received_at=Engagement.objects.get().received_at - timedelta(minutes=1))
    resumed = operator.post("pipelines/a/resume/")
    assert (resumed.status, resumed.body["paused"]) == (200, False)
    assert Engagement.objects.get(id=id).expires_at >= deadline + timedelta(minutes=1)
    entry = AuditEntry.objects.get(action="pause")
    assert (entry.actor, entry.target, entry.reason) == ("a-operator", "a", "receiver is moved")


def test_pause_and_patch_create_an_unknown_pipeline(operator: Caller) -> None:
    assert operator.post("pipelines/new/pause/").status == 200
    patched = operator.patch("pipelines/newer/", {"timeout_seconds": 1.5})
    assert (patched.status, patched.body["timeout_seconds"]) == (200, 1.5)
    assert set(Pipeline.objects.values_list("user_id", flat=True)) == {"new", "newer"}
    assert operator.patch("pipelines/newer/", {"timeout_seconds": None}).body["timeout_seconds"] is None


def test_a_pipeline_s_own_time_out_counts_for_new_engagements(operator: Caller) -> None:
    operator.patch("pipelines/a/", {"timeout_seconds": 2})
    one = produce(user_id="a", payload={}).engagement
    assert one.expires_at - one.received_at == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "pipelines/x/", None),
        ("GET", "pipelines/x/order-proof/", None),
        ("POST", "pipelines/x/resume/", None),
        ("POST", "pipelines/x/purge/", None),
        ("POST", "pipelines/x/end-session/", None),
        ("POST", "pipelines/x/skip/", {"id": "00000000-0000-0000-0000-000000000001"}),
        ("GET", "engagements/00000000-0000-0000-0000-000000000001/", None),
        ("GET", "engagements/x/", None),
        ("POST", "engagements/00000000-0000-0000-0000-000000000001/replay/", None),
        ("POST", "engagements/x/replay/", None),
        ("POST", "queues/deliver.nobody/purge/", None),
        ("POST", "queues/operations/purge/", None),
        ("POST", "queues/%00/purge/", None),
        ("GET", "channels/x/", None),
        ("GET", "channels/%00/", None),
        ("PATCH", "channels/x/", {"active": False}),
        ("POST", "channels/x/rotate-secret/", None),
    ],
)
def test_what_is_unknown_is_404_and_is_not_created(operator: Caller, method: str, path: str, body: Any) -> None:
    assert operator.call(method, path, body).status == 404
    assert not Pipeline.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "pipelines/a/", {}, "timeout_seconds"),
        ("PATCH", "pipelines/a/", {"timeout_seconds": 0}, "timeout_seconds"),
        ("PATCH", "pipelines/a/", {"timeout_seconds": 3601}, "timeout_seconds"),
        ("PATCH", "pipelines/a/", {"timeout_seconds": "5"}, "timeout_seconds"),
        ("PATCH", "pipelines/a/", {"timeout_seconds": 5, "paused": True}, "paused"),
        ("PATCH", "pipelines/a/", [], ""),
        ("PATCH", "pipelines/%00/", {"timeout_seconds": 5}, "user_id"),
        ("PATCH", f"pipelines/{'x' * 201}/", {"timeout_seconds": 5}, "user_id"),
        ("POST", "pipelines/%00/pause/", {}, "user_id"),
        ("POST", "pipelines/a/pause/", {"reason": "x" * 501}, "reason"),
        ("POST", "pipelines/a/pause/", {"reason": "\0"}, "reason"),
        ("POST", "pipelines/a/pause/", {"reason": "\ud800"}, "reason"),
        ("POST", "pipelines/a/pause/", {"reason": 5}, "reason"),
        ("POST", "pipelines/a/pause/", {"why": "x"}, "why"),
        ("POST", "pipelines/a/pause/", [], ""),
        ("POST", "pipelines/a/skip/", {}, "id"),
        ("POST", "pipelines/a/skip/", {"id": "x"}, "id"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(
    operator: Caller, method: str, path: str, body: Any, field: str
) -> None:
    answer = operator.call(method, path, body)
    assert answer.status == 400
    assert field in answer.fields
    assert not Pipeline.objects.exists()
    assert not AuditEntry.objects.exists()


def test_purge_settles_everything_pending(operator: Caller, w1: None) -> None:
    for _ in range(3):
        produce(user_id="a", payload={})
    produce(user_id="b", payload={})
    take("a")
    answer = operator.post("pipelines/a/purge/")
    assert (answer.status, answer.body) == (200, {"purged": 3})
    assert set(Engagement.objects.filter(user_id="a").values_list("status", flat=True)) == {"purged"}
    assert Engagement.objects.get(user_id="b").status == "pending"
    assert operator.post("pipelines/a/purge/").body == {"purged": 0}


def test_skip_settles_the_head_only_if_it_still_is_the_head(operator: Caller) -> None:
    head, second = (produce(user_id="a", payload={}).engagement.id for _ in range(2))
    assert operator.post("pipelines/a/skip/", {"id": str(second)}).status == 409
    answer = operator.post("pipelines/a/skip/", {"id": str(head)})
    assert (answer.status, answer.body["depth"]) == (200, 1)
    assert operator.post("pipelines/a/skip/", {"id": str(head)}).status == 409
    assert list(Engagement.objects.order_by("arrival").values_list("status", flat=True)) == ["purged", "pending"]


def test_replay_gives_a_failed_one_a_new_life(operator: Caller, w1: None) -> None:
    id = produce(user_id="a", payload={}).engagement.id
    assert operator.post(f"engagements/{id}/replay/").status == 409
    grant = take("a")
    settle.settle(current(), [Settlement("a", grant.token, grant.id, "failed", "HTTP 410", 0, 0, 0.01)], worker="w1")
    failed = operator.get(f"engagements/{id}/").body
    assert (failed["status"], failed["last_error"], failed["sequence"]) == ("failed", "HTTP 410", 1)
    answer = operator.post(f"engagements/{id}/replay/", {"reason": "fixed"})
    assert answer.status == 200
    assert (answer.body["status"], answer.body["sequence"], answer.body["attempts"]) == ("pending", None, 0)
    assert AuditEntry.objects.get(action="replay").reason == "fixed"


@pytest.mark.parametrize("user", HOSTILE_USERS)
def test_every_user_id_is_reached_by_its_percent_encoded_path(operator: Caller, user: str) -> None:
    produce(user_id=user, payload={})
    path = f"pipelines/{quote(user, safe='')}/"
    assert operator.get(path).body["user_id"] == user
    assert operator.post(f"{path}pause/").body["user_id"] == user
    assert operator.get(f"{path}order-proof/").body["user_id"] == user
    assert operator.post(f"{path}purge/").body == {"purged": 1}
    assert Pipeline.objects.count() == 1
