"""Who may do what: every call with every role, and without a key."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken

from engagements.api import authentication
from engagements.services import produce
from tests.support.api import Caller, description
from tests.support.console import failed

pytestmark = pytest.mark.django_db

READERS = {"viewer", "producer", "operator"}
WORKER_READERS = {"viewer", "operator"}
PRODUCERS = {"producer", "operator"}
OPERATORS = {"operator"}

CALLS: list[tuple[str, str, Any, set[str], int]] = [
    ("POST", "engagements/", {"user_id": "x", "payload": {}}, PRODUCERS, 201),
    ("POST", "engagements/bulk/", {"engagements": []}, PRODUCERS, 200),
    ("GET", "engagements/", None, READERS, 200),
    ("GET", "engagements/{failed}/", None, READERS, 200),
    ("POST", "engagements/{failed}/replay/", None, OPERATORS, 200),
    ("GET", "pipelines/", None, READERS, 200),
    ("GET", "pipelines/a/", None, READERS, 200),
    ("PATCH", "pipelines/a/", {"timeout_seconds": 5}, OPERATORS, 200),
    ("POST", "pipelines/a/pause/", None, OPERATORS, 200),
    ("POST", "pipelines/a/resume/", None, OPERATORS, 200),
    ("POST", "pipelines/a/purge/", None, OPERATORS, 200),
    ("POST", "pipelines/a/end-session/", None, OPERATORS, 200),
    ("POST", "pipelines/b/skip/", {"id": "{head}"}, OPERATORS, 200),
    ("GET", "pipelines/a/order-proof/", None, READERS, 200),
    ("GET", "queues/", None, WORKER_READERS, 200),
    ("GET", "queues/pause/", None, WORKER_READERS, 200),
    ("POST", "queues/pause/", None, OPERATORS, 200),
    ("POST", "queues/resume/", None, OPERATORS, 200),
    ("POST", "queues/unordered/purge/", None, OPERATORS, 200),
    ("GET", "channels/", None, READERS, 200),
    ("POST", "channels/", {"name": "n", "kind": "null"}, OPERATORS, 201),
    ("GET", "channels/log/", None, READERS, 200),
    ("PATCH", "channels/log/", {"active": True}, OPERATORS, 200),
    ("POST", "channels/log/rotate-secret/", None, OPERATORS, 200),
]


@pytest.mark.parametrize("role", [None, "viewer", "producer", "operator"])
@pytest.mark.parametrize(("method", "path", "body", "allowed", "status"), CALLS)
def test_a_call_is_open_to_its_roles_and_to_no_other(
    role: str | None, method: str, path: str, body: Any, allowed: set[str], status: int
) -> None:
    ids = {"failed": str(failed("a").id), "head": str(produce(user_id="b", payload={}).engagement.id)}
    if body and "id" in body:
        body = {"id": ids["head"]}
    answer = Caller(role).call(method, path.format(**ids), body)
    if role is None:
        assert answer.status == 401
        assert answer.response.headers["WWW-Authenticate"] == "Bearer"
    else:
        assert answer.status == (status if role in allowed else 403)


def test_the_matrix_covers_every_call_that_is_described() -> None:
    described = sum(len(methods) for methods in description()["paths"].values())
    assert len({(method, path) for method, path, *_ in CALLS}) == described


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a b",
        "Basic eDp5",
        "Token {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer é",
        "Bearer \xff\xfe",
        f"Bearer {'9' * 10_000}",
    ],
)
def test_a_wrong_key_is_401(header: str) -> None:
    caller = Caller("operator")
    value = header.format(key=caller.key)
    caller.key = None
    assert caller.get("engagements/", headers={"Authorization": value}).status == 401


def test_a_key_works_in_any_case_of_the_word_bearer() -> None:
    caller = Caller("viewer")
    key, caller.key = caller.key, None
    assert caller.get("engagements/", headers={"Authorization": f"bearer {key}"}).status == 200


def test_an_expired_a_revoked_and_a_deactivated_key_stop_working() -> None:
    caller = Caller("viewer")
    assert caller.get("engagements/").status == 200
    AuthToken.objects.update(expiry=AuthToken.objects.get().created - timedelta(seconds=1))
    authentication.forget()
    assert caller.get("engagements/").status == 401
    AuthToken.objects.update(expiry=None)
    authentication.forget()
    User.objects.update(is_active=False)
    assert caller.get("engagements/").status == 401
    User.objects.update(is_active=True)
    authentication.forget()
    assert caller.get("engagements/").status == 200
    AuthToken.objects.all().delete()
    authentication.forget()
    assert caller.get("engagements/").status == 401


def test_who_may_read_nothing_is_told_nothing_about_what_exists() -> None:
    known = failed("a").id
    caller = Caller("viewer")
    User.objects.get(username="a-viewer").groups.clear()
    assert caller.get(f"engagements/{known}/").status == 403
    assert caller.get(f"engagements/{uuid.uuid4()}/").status == 403
