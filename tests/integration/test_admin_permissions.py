"""Viewers see everything and change nothing: no button, and a forged request is refused with 403."""

from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from engagements import channels, operations, services
from engagements.models import AuditEntry, Channel, Engagement, Operation, Pipeline
from engagements.operations import Action
from engagements.services import produce
from tests.support.console import LISTS, add_fields, address, console_of, failed, member, operator, viewer

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken() -> Engagement:
    return failed("alice")


@pytest.fixture
def pending(broken: Engagement) -> Engagement:
    return produce(user_id="alice", payload={"n": 2}).engagement


@pytest.fixture
def crm() -> Channel:
    return channels.create("crm", "webhook", "https://crm.example/hook", actor="test")[0]


def pages(broken: Engagement, crm: Channel) -> list[str]:
    """Everything there is to see."""
    return [
        "/admin/",
        *(address(model) for model in LISTS),
        address("engagement", f"{broken.id}/change/"),
        address("pipeline", "alice/change/"),
        address("channel", f"{crm.name}/change/"),
    ]


def forgeries(broken: Engagement, pending: Engagement) -> list[tuple[str, dict[str, str]]]:
    """Every request that would change something."""
    confirmed = {"confirmed": "yes", "reason": "because"}
    chosen = {"index": "0", "_selected_action": str(broken.id), **confirmed}
    users = {"index": "0", "_selected_action": "alice"}
    return [
        (address("engagement", "add/"), add_fields()),
        (address("engagement", f"{broken.id}/replay/"), {}),
        (address("engagement", f"{broken.id}/change/"), {"status": "delivered"}),
        (address("engagement", f"{broken.id}/delete/"), {"post": "yes"}),
        (address("engagement"), {"action": "replay_selected", **chosen}),
        (address("engagement"), {"action": "delete_selected", "post": "yes", **chosen}),
        (address("pipeline", "add/"), {"user_id": "bob"}),
        (address("pipeline", "alice/change/"), {"depth": "0"}),
        (address("pipeline", "alice/delete/"), {"post": "yes"}),
        (address("worker", "pause-everything/"), confirmed),
        (address("worker", "resume-everything/"), confirmed),
        (address("pipeline", "alice/pause/"), {}),
        (address("pipeline", "alice/resume/"), {}),
        (address("pipeline", "alice/end-session/"), {}),
        (address("pipeline", "alice/purge/"), {"shown": "1", **confirmed}),
        (address("pipeline", "alice/skip/"), {"head": str(pending.id), **confirmed}),
        (address("pipeline"), {"action": "pause_selected", **users}),
        (address("pipeline"), {"action": "resume_selected", **users}),
        (address("pipeline"), {"action": "purge_selected", **users}),
        (address("pipeline"), {"action": "purge_selected", "select_across": "1", **users}),
        (address("engagement"), {"action": "replay_selected", "select_across": "1", **chosen}),
        (address("worker", "unordered/purge/"), {}),
        *operation_forgeries(),
        (address("channel", "add/"), {"name": "new", "kind": "log", "url": ""}),
        (address("channel", "crm/deactivate/"), {}),
        (address("channel", "crm/activate/"), {}),
        (address("channel", "crm/rotate-secret/"), confirmed),
        (address("channel", "crm/test/"), {}),
        (address("channel", "crm/change/"), {"active": ""}),
        (address("channel", "crm/delete/"), {"post": "yes"}),
        (address("auditentry", "add/"), {"actor": "me"}),
        (address("worker", "add/"), {"name": "w9"}),
    ]


def operation_forgeries() -> list[tuple[str, dict[str, str]]]:
    """Confirming and stopping what an operator has begun with, or what the viewer claims to have."""
    waits, mine = (
        operations.prepare(Action.PURGE, ["alice"], scope="alice", actor=actor, selected=True)
        for actor in ("a-operator", "a-viewer")
    )
    going = operations.prepare(Action.REPLAY, [], scope="none", actor="a-operator", selected=True)
    Operation.objects.filter(token=going.token).update(started_at=timezone.now())
    confirmed = {"confirmed": "yes", "reason": "because", "shown": "1"}
    return [
        (address("operation", "add/"), {"scope": "all"}),
        (address("operation", f"{going.token}/delete/"), {"post": "yes"}),
        *((address("operation", f"{one.token}/change/"), confirmed) for one in (waits, mine, going)),
        *((address("operation", f"{one.token}/stop/"), {}) for one in (waits, mine, going)),
    ]


def everything() -> list[object]:
    """What must not change."""
    models = (Engagement, Pipeline, Channel, AuditEntry, Operation)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_a_viewer_sees_every_page_without_a_button(broken: Engagement, crm: Channel) -> None:
    console = viewer()
    for page in pages(broken, crm):
        response = console.get(page)
        assert response.status_code == 200, page
        text = response.content.decode()
        main = text[text.index('<div id="content"') :]
        assert 'method="post"' not in main.replace('id="changelist-form" method="post"', ""), page
        for word in (
            "addlink",
            "Purge",
            "Pause",
            "Replay",
            "Switch off",
            "Rotate",
            "Send a test",
            "Add a child",
            "<select",
        ):
            assert word not in main, (page, word)


def test_a_forged_request_of_a_viewer_is_refused_and_changes_nothing(
    broken: Engagement, pending: Engagement, crm: Channel
) -> None:
    console, forged = viewer(), forgeries(broken, pending)
    before = everything()
    for page, fields in forged:
        assert console.post(page, fields).status_code == 403, (page, fields)
    assert everything() == before


@pytest.mark.parametrize("page", ["purge", "skip", "pause", "resume", "end-session"])
def test_a_viewer_does_not_even_see_a_confirmation(page: str, pending: Engagement) -> None:
    assert viewer().get(address("pipeline", f"alice/{page}/")).status_code == 403


def test_a_user_of_the_staff_without_a_group_sees_nothing(broken: Engagement, crm: Channel) -> None:
    console = console_of(User.objects.create_user("nobody", is_staff=True))
    for page in pages(broken, crm)[1:]:
        assert console.get(page).status_code == 403, page
    index = console.get("/admin/").content.decode()
    assert "delivery-figures" not in index


def test_a_producer_adds_engagements_and_operates_nothing(broken: Engagement) -> None:
    console = console_of(member("producer"))
    assert console.post(address("engagement", "add/"), add_fields(user_id="bob")).status_code == 302
    assert console.post(address("engagement", f"{broken.id}/replay/")).status_code == 403
    assert console.post(address("pipeline", "alice/pause/")).status_code == 403


def test_whoever_has_not_logged_in_is_sent_to_the_login(broken: Engagement, pending: Engagement, crm: Channel) -> None:
    console, forged = Client(), forgeries(broken, pending)
    before = everything()
    for page, fields in forged:
        response = console.post(page, fields)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/"), page
    assert everything() == before


def test_a_request_from_another_site_is_refused(pending: Engagement) -> None:
    user = member("operator")
    console = Client(enforce_csrf_checks=True)
    console.force_login(user)
    for page in ("pause", "purge", "skip"):
        assert console.post(address("pipeline", f"alice/{page}/")).status_code == 403
    assert not AuditEntry.objects.exists()


def test_nobody_edits_or_deletes_what_happened(broken: Engagement, pending: Engagement, crm: Channel) -> None:
    services.pause("alice", actor="test")
    entry = AuditEntry.objects.get(action="pause")
    console = console_of(User.objects.create_superuser("root"))
    before = everything()
    for model, key in [
        ("engagement", str(broken.id)),
        ("pipeline", "alice"),
        ("channel", "crm"),
        ("auditentry", str(entry.pk)),
    ]:
        assert console.get(address(model, f"{key}/delete/")).status_code == 403
        assert console.post(address(model, f"{key}/delete/"), {"post": "yes"}).status_code == 403
        assert console.post(address(model, f"{key}/change/"), {"reason": "x", "status": "failed"}).status_code == 403
        forged = {"action": "delete_selected", "index": "0", "_selected_action": key, "post": "yes"}
        assert console.post(address(model), forged).status_code == 403
    assert everything() == before


@pytest.mark.parametrize("page", ["pause", "resume", "end-session"])
def test_a_link_does_nothing_where_a_button_is_needed(page: str, pending: Engagement) -> None:
    before = everything()
    assert operator().get(address("pipeline", f"alice/{page}/")).status_code == 405
    assert everything() == before


@pytest.mark.parametrize("key", ["no-uuid", "\0", str(UUID(int=7))])
def test_a_forged_selection_is_no_server_error(key: str, broken: Engagement) -> None:
    fields = {"action": "replay_selected", "index": "0", "_selected_action": key}
    assert operator().post(address("engagement"), fields).status_code in (302, 400)
    assert Engagement.objects.get(id=broken.id).status == "failed"
