"""Every page of the admin costs few statements, whatever filters, sorts and searches it is opened with."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from benchmarks.console_pages import STATEMENTS
from benchmarks.console_walk import addresses
from engagements import channels, imports, operations, services
from engagements.models import AuditEntry, Engagement, Operation
from engagements.operations import Action
from engagements.services import produce_bulk
from engagements.store import workers
from engagements.store.connection import current
from tests.support.console import address, attempt, console_of, counted_statements, take

pytestmark = pytest.mark.django_db


@pytest.fixture
def traffic(broker_url: str) -> None:
    """Some dozens of users, and engagements in every state."""
    channels.create("crm", "webhook", "https://crm.example/hook", actor="test")
    workers.start(current(), "w1")
    parent = uuid4()
    produce_bulk(
        [{"user_id": f"user-{n % 60:03}", "payload": {"n": n}, "channel": ("log", "crm")[n % 2]} for n in range(180)]
        + [{"user_id": f"child-{n}", "payload": {}, "causal_parent": parent} for n in range(30)]
        + [{"id": parent, "user_id": "user-000", "payload": {}}]
        + [{"user_id": f"free-{n}", "payload": {}, "unordered": True} for n in range(10)]
    )
    for n in range(15):
        take(f"user-{n:03}")
    for n in range(15, 30):
        attempt(f"user-{n:03}", ("delivered", "failed")[n % 2])
    for n in range(30, 40):
        services.pause(f"user-{n:03}", actor="test")
    services.purge("user-041", actor="test")


@pytest.mark.usefixtures("traffic")
def test_no_page_costs_more_than_twelve_statements() -> None:
    root = User.objects.create_superuser("root")
    console = console_of(root)
    broken = Engagement.objects.filter(status="failed").order_by("arrival")[0]
    child = Engagement.objects.filter(user_id="child-1").get()
    file = imports.hand_in("user_id,payload\nalice,{}\n,{}\n", name="some.csv", actor="root")
    waits = operations.prepare(
        Action.PURGE, [f"user-{n:03}" for n in range(60)], scope="all", actor="root", selected=False
    )
    free = operations.prepare_queue("unordered", actor="root")
    again = operations.prepare(Action.REPLAY, [str(broken.id)], scope="one", actor="root", selected=True)
    going = operations.prepare_queue("deliver.w1", actor="root")
    Operation.objects.filter(token=going.token).update(started_at=going.made_at, upto=0)
    keys = {
        "token": [str(file.token)],
        "engagement": [str(broken.id), str(child.id)],
        "operation": [str(one.token) for one in (waits, free, again, going)],
        "pipeline": ["user-000", "user-017", "user-031", "child-1"],
        "worker": ["w1"],
        "channel": ["crm", "log"],
        "auditentry": [str(AuditEntry.objects.order_by("-id")[0].pk)],
    }
    searches = {"engagement": ["user-017", "user-0", str(child.id)], "pipeline": ["user-0"], "auditentry": ["user"]}
    found = list(dict.fromkeys(addresses(root, keys, searches)))
    dear = {page: statements for page in found if len(statements := statements_of(console, page)) > STATEMENTS}
    assert not dear, "\n\n".join(f"{page}: {len(sent)}\n" + "\n".join(sent) for page, sent in dear.items())
    for page in (
        "/admin/",
        address("engagement", "?status=failed&channel=crm"),
        address("pipeline", "child-1/change/"),
    ):
        assert page in found, "the walk has lost its way"


def statements_of(console: Client, page: str) -> list[str]:
    """What opening a page sends; an address that takes a POST or leads elsewhere is opened just the same."""
    with counted_statements() as statements:
        answer = console.get(page)
    assert answer.status_code in (200, 302, 403, 405), (page, answer.status_code)
    if answer.streaming:  # a list as a file costs a statement or two for each thousand rows
        list(answer)
    return statements
