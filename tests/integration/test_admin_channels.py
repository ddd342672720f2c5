"""Channels by the admin: added, switched off and on; a secret is shown once."""

import re
from typing import Any

import pytest
from django.test import Client

from engagements import channels
from engagements.domain.errors import Invalid
from engagements.models import AuditEntry, Channel
from engagements.secrets import secrets_of
from engagements.services import produce
from tests.support.console import LISTS, address, field_errors, operator, told

pytestmark = pytest.mark.django_db

ADD = address("channel", "add/")
ROTATE = address("channel", "crm/rotate-secret/")
CRM = {"name": "crm", "kind": "webhook", "url": "https://crm.example/hook"}


@pytest.fixture
def console() -> Client:
    return operator()


def secret_on(page: Any) -> str:
    [secret] = re.findall(r"whsec_[A-Za-z0-9+/=]+", page.content.decode())
    return str(secret)


def test_a_webhook_is_added_and_its_secret_shown_once(console: Client) -> None:
    page = console.post(ADD, CRM)
    assert page.status_code == 200
    secret = secret_on(page)
    channel = Channel.objects.get(name="crm")
    assert secrets_of(channel) == (secret,)
    assert "no-store" in page.headers["Cache-Control"]
    assert AuditEntry.objects.get().actor == "a-operator"
    for again in ["/admin/", *(address(model) for model in LISTS), address("channel", "crm/change/")]:
        text = console.get(again).content.decode()
        assert "whsec_" not in text
        assert channel.secret not in text


def test_a_log_has_no_secret_to_show(console: Client) -> None:
    page = console.post(ADD, {"name": "quiet", "kind": "null", "url": ""}, follow=True)
    assert page.redirect_chain[-1][0] == address("channel", "quiet/change/")
    assert "whsec_" not in page.content.decode()


@pytest.mark.parametrize(
    ("fields", "field", "part"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "a b"}, "name", "letters"),
        ({"name": "log"}, "__all__", "already"),
        ({"kind": "pigeon"}, "kind", "pigeon"),
        ({"url": ""}, "url", "required"),
        ({"url": "ftp://crm.example"}, "url", "https://"),
        ({"url": "http://127.0.0.1/hook"}, "url", "loopback"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "private"),
        ({"url": "https://crm.example/\0"}, "url", "Null"),
        ({"kind": "log"}, "url", "goes nowhere"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(console: Client, fields: dict[str, str], field: str, part: str) -> None:
    page = console.post(ADD, {**CRM, **fields})
    errors = field_errors(page)
    assert part in " ".join(errors.get(field, [])), errors
    assert list(Channel.objects.values_list("name", flat=True)) == ["log"]


def test_one_that_is_switched_off_takes_nothing_new_until_it_is_on_again(console: Client) -> None:
    channels.create(**CRM, actor="test")
    page = console.post(address("channel", "crm/deactivate/"), follow=True)
    assert "no new engagements" in told(page)
    with pytest.raises(Invalid, match="no active channel"):
        produce(user_id="alice", payload={}, channel="crm")
    console.post(address("channel", "crm/activate/"))
    assert produce(user_id="alice", payload={}, channel="crm").created
    assert AuditEntry.objects.filter(actor="a-operator", action="change channel").count() == 2


def confirmed(console: Client, reason: str = "it leaked") -> dict[str, str]:
    """What the confirmation of a rotation posts."""
    page = console.get(ROTATE)
    assert "whsec_" not in page.content.decode()
    return {**dict(page.context["confirmation"].hidden), "confirmed": "yes", "reason": reason}


def test_rotating_is_confirmed_shows_the_new_secret_once_and_keeps_the_old_one_valid(console: Client) -> None:
    _, old = channels.create(**CRM, actor="test")
    fields = confirmed(console)
    assert console.post(ROTATE, {**fields, "reason": ""}).context["form"].errors
    assert console.post(ROTATE).context["confirmation"]
    assert secrets_of(Channel.objects.get(name="crm")) == (old,)
    page = console.post(ROTATE, fields)
    new = secret_on(page)
    assert "no-store" in page.headers["Cache-Control"]
    assert secrets_of(Channel.objects.get(name="crm")) == (new, old)
    entry = AuditEntry.objects.get(action="rotate secret")
    assert (entry.actor, entry.target, entry.reason) == ("a-operator", "crm", "it leaked")
    for again in ("crm/change/", "", "crm/rotate-secret/"):
        assert "whsec_" not in console.get(address("channel", again)).content.decode()


def test_a_rotation_sent_again_neither_shows_nor_ends_a_secret(console: Client) -> None:
    """A double click, or loading the page with the secret again."""
    channels.create(**CRM, actor="test")
    fields = confirmed(console)
    console.post(ROTATE, fields)
    before = secrets_of(Channel.objects.get(name="crm"))
    page = console.post(ROTATE, fields, follow=True)
    assert "not shown again" in told(page)
    assert "whsec_" not in page.content.decode()
    assert secrets_of(Channel.objects.get(name="crm")) == before
    without = console.post(ROTATE, {"confirmed": "yes", "reason": "x"}, follow=True)
    assert "Nothing was rotated" in told(without)
    assert secrets_of(Channel.objects.get(name="crm")) == before


def test_the_confirmation_of_a_second_rotation_says_which_secret_ends(console: Client) -> None:
    channels.create(**CRM, actor="test")
    assert "will refuse posts" not in console.get(ROTATE).content.decode()
    console.post(ROTATE, confirmed(console))
    assert "will refuse posts" in console.get(ROTATE).content.decode()


@pytest.mark.parametrize("page", ["change", "activate", "deactivate", "rotate-secret", "test"])
def test_an_unknown_channel_leads_back_with_a_message(console: Client, page: str) -> None:
    for key in ("nowhere", "%00"):
        send = console.get if page == "change" else console.post
        answer = send(address("channel", f"{key}/{page}/"), follow=True)
        assert "Perhaps it was deleted" in told(answer)
