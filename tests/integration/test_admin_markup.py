"""What the pages are made of: nothing that a Content-Security-Policy would block, and nothing of users' unescaped."""

from html import unescape
from urllib.parse import urlencode

import pytest
from django.test import Client

from engagements import channels, operations, services
from engagements.models import Engagement, Pipeline
from engagements.services import produce
from tests.support.console import (
    HOSTILE_USERS,
    LISTS,
    add_fields,
    address,
    attempt,
    failed,
    operator,
    policy_violations,
    take,
)

pytestmark = pytest.mark.django_db

HOSTILE_TEXT = "</pre></script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


@pytest.fixture
def console() -> Client:
    return operator()


@pytest.mark.usefixtures("broker_url")
def test_no_page_holds_what_a_policy_of_self_would_block(console: Client) -> None:
    channels.create("crm", "webhook", f"https://crm.example/{'%22'}", actor="test")
    broken = failed("alice")
    produce(user_id="alice", payload={"text": HOSTILE_TEXT}, causal_parent=broken.id)
    services.pause("bob", actor="test", reason=HOSTILE_TEXT)
    chosen = {"action": "replay_selected", "index": "0", "_selected_action": str(broken.id)}
    confirmation = console.get(address("channel", "crm/rotate-secret/")).context["confirmation"]
    rotation = {**dict(confirmation.hidden), "confirmed": "yes", "reason": HOSTILE_TEXT[:100]}
    going = operations.prepare("purge", ["alice"], scope=HOSTILE_TEXT, actor="a-operator", selected=True)
    operations.confirm(going.token, shown=1, actor="a-operator", reason=HOSTILE_TEXT)
    produce(user_id="alice", payload={})
    pages = [
        console.get("/admin/"),
        *(console.get(address(model)) for model in LISTS),
        console.get(address("engagement", "?status=failed&channel=crm&late=0")),
        console.get(address("engagement", f"{broken.id}/change/")),
        console.get(address("engagement", "add/")),
        console.post(address("engagement", "add/"), add_fields(payload=HOSTILE_TEXT)),
        console.post(address("engagement"), chosen, follow=True),
        console.get(address("operation", f"{going.token}/change/")),
        console.get(address("pipeline", "alice/change/")),
        console.get(address("pipeline", "alice/purge/")),
        console.get(address("pipeline", "alice/skip/")),
        console.get(address("channel", "add/")),
        console.get(address("channel", "crm/change/")),
        console.get(address("channel", "crm/rotate-secret/")),
        console.post(address("channel", "crm/rotate-secret/"), rotation),
    ]
    for page in pages:
        assert page.status_code == 200, page.request["PATH_INFO"]
        assert policy_violations(page) == [], page.request["PATH_INFO"]


@pytest.mark.parametrize("user", HOSTILE_USERS)
def test_a_hostile_user_id_is_shown_as_text_and_its_links_lead_to_it(console: Client, user: str) -> None:
    engagement = produce(user_id=user, payload={}).engagement
    pipelines = console.get(address("pipeline"))
    [row] = pipelines.context["cl"].result_list
    assert row.user_id == user
    link = link_to(pipelines.content.decode(), address("pipeline"))
    assert "/../" not in link
    assert "/./" not in link
    page = console.get(link)
    assert page.status_code == 200
    assert page.context["pipeline"].user_id == user
    for other in (pipelines, page, console.get(address("engagement")), console.get(one(engagement))):
        text = other.content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert link in unescape(text) or other is page
    for name, action in page.context["addresses"].items():
        answer = console.get(action) if name in ("purge", "skip") else console.post(action)
        assert answer.status_code in (200, 302), action
    assert Pipeline.objects.get().user_id == user
    purge = page.context["addresses"]["purge"]
    console.post(purge, {"confirmed": "yes", "shown": "1", "reason": "test"})
    assert Engagement.objects.get().status == "purged"


@pytest.mark.parametrize("user", HOSTILE_USERS)
def test_a_hostile_user_id_can_be_searched_filtered_and_added(console: Client, user: str) -> None:
    wanted = produce(user_id=user, payload={}).engagement
    if user.strip():  # a search for blanks is none
        for model, key in (("engagement", wanted.id), ("pipeline", user)):
            page = console.get(address(model), {"q": user})
            assert [row.pk for row in page.context["cl"].result_list] == [key]
            assert "<script>alert" not in page.content.decode()
    page = console.get(address("pipeline"))
    assert page.status_code == 200
    chosen = {"action": "pause_selected", "index": "0", "_selected_action": user}
    console.post(address("pipeline"), chosen)
    assert Pipeline.objects.get().paused_at is not None


def test_hostile_payloads_answers_and_reasons_are_shown_as_text(console: Client) -> None:
    produce(user_id="alice", payload={HOSTILE_TEXT: HOSTILE_TEXT})
    waiting = produce(user_id="alice", payload={"text": HOSTILE_TEXT}).engagement
    broken = attempt("alice", "failed", answer=HOSTILE_TEXT, worker="<b>w</b>")
    services.pause("alice", actor=HOSTILE_TEXT, reason=HOSTILE_TEXT)
    pages = [
        one(Engagement.objects.get(id=broken)),
        one(waiting),
        address("pipeline", "alice/change/"),
        address("pipeline", "alice/purge/"),
        address("pipeline", "alice/skip/"),
        address("auditentry"),
        address("engagement", "?q=%3Cscript%3Ealert(1)%3C/script%3E"),
        address("engagement", f"add/?{urlencode({'user_id': HOSTILE_TEXT, 'payload': '</textarea>' + HOSTILE_TEXT})}"),
    ]
    for page in pages:
        text = console.get(page).content.decode()
        assert "<script>alert" not in text, page
        assert "<img src=x" not in text, page
        assert "<b>w</b>" not in text, page


def test_a_worker_with_a_hostile_name_is_shown_as_text(console: Client, broker_url: str) -> None:
    from engagements.store import workers
    from engagements.store.connection import current

    workers.start(current(), "<script>alert(1)</script>")
    produce(user_id="alice", payload={})
    take("alice", worker="<script>alert(1)</script>")
    for page in (address("worker"), address("pipeline"), address("pipeline", "alice/change/"), "/admin/"):
        assert "<script>alert" not in console.get(page).content.decode()


def one(engagement: Engagement) -> str:
    return address("engagement", f"{engagement.id}/change/")


def link_to(page: str, start: str) -> str:
    """The first link on the page to the page of a thing in that list."""
    for part in page.split('href="')[1:]:
        link = unescape(part.partition('"')[0])
        if link.startswith(start) and link.endswith("/change/"):
            return link
    raise AssertionError(f"no link below {start}")
