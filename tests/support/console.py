"""Operators in front of the admin: who they are, what they send, and how many statements a page costs."""

import re
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.test import Client

from benchmarks.statements import counted_statements as counted_statements
from engagements.models import Engagement
from engagements.services import produce
from engagements.store import lease, settle
from engagements.store.connection import current
from engagements.store.heads import Grant
from engagements.store.settle import Settlement

HOSTILE_USERS = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "a/b",
    "../../admin",
    ".",
    "..",
    "100%",
    "%2F%00",
    "a?b#c&d=e;f",
    "_2E_2F",
    "Zoë \u202e文字",
    " ",
    "x" * 200,
]
"""User ids that are allowed, and that careless pages or addresses would trip over."""

LISTS = ["engagement", "pipeline", "worker", "channel", "operation", "auditentry"]


def member(group: str, **fields: Any) -> User:
    """A member of the staff in one of the groups that a migration makes."""
    user = User.objects.create_user(f"a-{group}", is_staff=True, **fields)
    user.groups.add(Group.objects.get(name=group))
    return user


def console_of(user: User) -> Client:
    """A browser in which this user has logged in."""
    client = Client()
    client.force_login(user)
    return client


def operator() -> Client:
    return console_of(member("operator"))


def viewer() -> Client:
    return console_of(member("viewer"))


def address(model: str, page: str = "") -> str:
    return f"/admin/engagements/{model}/{page}"


def add_fields(**fields: str) -> dict[str, str]:
    """What the form for an engagement sends when only these were filled in."""
    blank = {"id": "", "causal_parent": "", "produced_at_0": "", "produced_at_1": "", "timeout_seconds": ""}
    return {"user_id": "alice", "payload": '{"text": "hello"}', "channel": "log", **blank, **fields}


def field_errors(response: Any) -> dict[str, list[str]]:
    """Of the form on a page that was sent back; "__all__" for what concerns the whole."""
    form = response.context["adminform"].form
    return {name: list(errors) for name, errors in form.errors.items()}


def told(response: Any) -> str:
    """All messages on the page."""
    return " ".join(str(message) for message in response.context["messages"])


def take(user_id: str, *, worker: str = "w1") -> Grant:
    """Lease this pipeline as a worker would; its head is in service then."""
    current().execute("UPDATE engagements_pipeline SET worker = %s WHERE user_id = %s", [worker, user_id])
    [grant] = lease.claim(current(), [user_id], worker=worker).grants
    return grant


def attempt(user_id: str, outcome: str, *, answer: str = "", worker: str = "w1", seconds: float = 0.02) -> UUID:
    """Attempt the head of this pipeline and settle it with this outcome, as if it had lasted that long; its id."""
    grant = take(user_id, worker=worker)
    ended = Settlement(user_id, grant.token, grant.id, outcome, answer, 0.0, 0.0, seconds)
    settled = settle.settle(current(), [ended], worker=worker, serve_next=False)
    assert settled.ids == [grant.id]
    return grant.id


def failed(user_id: str) -> Engagement:
    """An engagement that its channel has refused for good."""
    produce(user_id=user_id, payload={"n": 1})
    return Engagement.objects.get(id=attempt(user_id, "failed", answer="HTTP 410: gone"))


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.violations: list[str] = []
        self.tags: list[str] = []
        self._in: str = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in = tag
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.violations.append(f"<{tag} {name}={value!r}>")
            if name in ("href", "src", "action") and (value or "").strip().lower().startswith("javascript:"):
                self.violations.append(f"<{tag} {name}={value!r}>")
            if name == "src" and tag == "script" and re.match(r"(https?:)?//", value or ""):
                self.violations.append(f"<script src={value!r}>")

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style") and data.strip():
            self.violations.append(f"inline <{self._in}>: {data.strip()[:60]}")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


def policy_violations(response: Any) -> list[str]:
    """What a Content-Security-Policy of `script-src 'self'; style-src 'self'` would block on this page."""
    markup = _Markup()
    markup.feed(response.content.decode())
    return markup.violations
