"""Channels: creating, changing, and that a secret is shown once and logged never."""

import base64
import logging
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from engagements.models import AuditEntry, Channel
from engagements.secrets import new_secret, sealed, secrets_of
from tests.support.api import Caller

pytestmark = pytest.mark.django_db

URL = "https://crm.example/hooks?x=1"


@pytest.fixture
def operator() -> Caller:
    return Caller("operator")


def test_a_webhook_is_created_with_a_secret_that_is_shown_once(operator: Caller) -> None:
    created = operator.post("channels/", {"name": "crm", "kind": "webhook", "url": URL})
    assert created.status == 201
    secret = created.body["secret"]
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    Webhook(secret)
    assert list(created.body) == ["name", "kind", "url", "active", "created_at", "secret"]
    for path in ("channels/", "channels/crm/"):
        answer = operator.get(path)
        assert answer.status == 200
        assert "secret" not in answer.response.content.decode()
    changed = operator.patch("channels/crm/", {"active": False})
    assert (changed.status, changed.body["active"], "secret" in changed.body) == (200, False, False)
    assert AuditEntry.objects.get(action="create channel").actor == "a-operator"


def test_secrets_are_encrypted_at_rest_and_read_back_newest_first(operator: Caller) -> None:
    first = operator.post("channels/", {"name": "crm", "kind": "webhook", "url": URL}).body["secret"]
    second = operator.post("channels/crm/rotate-secret/").body["secret"]
    channel = Channel.objects.get(name="crm")
    assert secrets_of(channel) == (second, first)
    assert first not in (channel.secret, channel.previous_secret)
    third = operator.post("channels/crm/rotate-secret/").body["secret"]
    assert secrets_of(Channel.objects.get(name="crm")) == (third, second)
    assert len({first, second, third}) == 3


def test_a_changed_secret_key_still_reads_while_the_old_one_is_a_fallback(settings: Any) -> None:
    secret = new_secret()
    channel = Channel(name="crm", kind="webhook", secret=sealed(secret))
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another" * 10
    assert secrets_of(channel) == (secret,)
    settings.SECRET_KEY_FALLBACKS = []
    assert secrets_of(channel) == ()


def test_no_secret_is_ever_logged(operator: Caller, caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("engagements", "workers", "deliveryproject", "django"):
        monitored = logging.getLogger(name)
        monitored.addHandler(caplog.handler)
        monitored.setLevel(logging.DEBUG)
    try:
        secrets = [operator.post("channels/", {"name": "crm", "kind": "webhook", "url": URL}).body["secret"]]
        operator.post("channels/", {"name": "crm", "kind": "webhook", "url": URL})
        secrets.append(operator.post("channels/crm/rotate-secret/").body["secret"])
        settings.SECRET_KEY = "another" * 10
        secrets_of(Channel.objects.get(name="crm"))
    finally:
        for name in ("engagements", "workers", "deliveryproject", "django"):
            logging.getLogger(name).removeHandler(caplog.handler)
            logging.getLogger(name).setLevel(logging.INFO)
    channel = Channel.objects.get(name="crm")
    assert "cannot be read with this SECRET_KEY" in caplog.text
    assert caplog.text
    for secret in [*secrets, channel.secret, channel.previous_secret, str(operator.key)]:
        assert secret not in caplog.text
        assert secret.removeprefix("whsec_") not in caplog.text
    assert not any(secret in str(entry) + entry.reason for entry in AuditEntry.objects.all() for secret in secrets)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "log"}, "name"),
        ({"name": "", "kind": "log"}, "name"),
        ({"name": "a b", "kind": "log"}, "name"),
        ({"name": "../x", "kind": "log"}, "name"),
        ({"name": "x\n", "kind": "log"}, "name"),
        ({"name": "x" * 101, "kind": "log"}, "name"),
        ({"name": 5, "kind": "log"}, "name"),
        ({"name": "x"}, "kind"),
        ({"name": "x", "kind": "pigeon"}, "kind"),
        ({"name": "x", "kind": ["log"]}, "kind"),
        ({"name": "x", "kind": "webhook"}, "url"),
        ({"name": "x", "kind": "webhook", "url": ""}, "url"),
        ({"name": "x", "kind": "webhook", "url": "ftp://example.org/"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "https://user:pass@example.org/"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "http://127.0.0.1/"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "http://169.254.169.254/latest/"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "http://localhost:8000/"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "https://example.org/\0"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "https://example.org/\ud800"}, "url"),
        ({"name": "x", "kind": "webhook", "url": "https://example.org/" + "x" * 2000}, "url"),
        ({"name": "x", "kind": "webhook", "url": 5}, "url"),
        ({"name": "x", "kind": "log", "url": "https://example.org/"}, "url"),
        ({"name": "x", "kind": "log", "secret": "whsec_"}, "secret"),
        ({"name": "x", "kind": "log", "active": False}, "active"),
    ],
)
def test_bad_input_is_named_and_nothing_is_stored(operator: Caller, body: dict[str, Any], field: str) -> None:
    answer = operator.post("channels/", body)
    assert answer.status == 400
    assert field in answer.fields
    assert list(Channel.objects.values_list("name", flat=True)) == ["log"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"active": "no"}, "active"),
        ({"active": None}, "active"),
        ({"url": None}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"kind": "log"}, "kind"),
        ({"name": "y"}, "name"),
    ],
)
def test_a_bad_change_is_named_and_changes_nothing(operator: Caller, body: dict[str, Any], field: str) -> None:
    operator.post("channels/", {"name": "crm", "kind": "webhook", "url": URL})
    before = Channel.objects.values().get(name="crm")
    answer = operator.patch("channels/crm/", body)
    assert answer.status == 400
    assert field in answer.fields
    assert Channel.objects.values().get(name="crm") == before


def test_a_taken_name_is_a_conflict(operator: Caller) -> None:
    assert operator.post("channels/", {"name": "log", "kind": "null"}).status == 409
    assert Channel.objects.get(name="log").kind == "log"


def test_an_inactive_channel_takes_no_new_engagements(operator: Caller) -> None:
    operator.post("channels/", {"name": "x", "kind": "null"})
    assert operator.post("engagements/", {"user_id": "a", "payload": {}, "channel": "x"}).status == 201
    operator.patch("channels/x/", {"active": False})
    refused = operator.post("engagements/", {"user_id": "a", "payload": {}, "channel": "x"})
    assert (refused.status, refused.fields) == (400, ["channel"])


def test_private_addresses_are_allowed_where_the_setting_says_so(operator: Caller, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    body = {"name": "x", "kind": "webhook", "url": "http://127.0.0.1:9/"}
    assert operator.post("channels/", body).status == 201


def test_a_kind_of_the_project_s_own_may_have_any_address(operator: Caller, settings: Any) -> None:
    settings.CHANNEL_KINDS = {**settings.CHANNEL_KINDS, "file": "mysite.channels.FileChannel"}
    created = operator.post("channels/", {"name": "x", "kind": "file", "url": "/var/out"})
    assert (created.status, created.body["url"]) == (201, "/var/out")
    assert operator.post("channels/", {"name": "y", "kind": "file", "url": "a\0"}).status == 400


def test_channels_are_listed_in_pages(operator: Caller) -> None:
    for name in ("b", "a", "c"):
        operator.post("channels/", {"name": name, "kind": "null"})
    first = operator.get("channels/?page_size=2")
    assert [channel["name"] for channel in first.body["results"]] == ["a", "b"]
    second = operator.get("channels/" + first.body["next"].partition("/channels/")[2])
    assert [channel["name"] for channel in second.body["results"]] == ["c", "log"]
    assert second.body["next"] is None
    back = operator.get("channels/" + second.body["previous"].partition("/channels/")[2])
    assert back.body["results"] == first.body["results"]
