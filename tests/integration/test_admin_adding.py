"""Adding an engagement by the admin is producing it: the same rules, with the errors at the fields."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from engagements import channels
from engagements.models import Engagement, Pipeline
from engagements.services import produce
from tests.support.console import add_fields, address, field_errors, operator, told

pytestmark = pytest.mark.django_db

ADD = address("engagement", "add/")


@pytest.fixture
def console() -> Client:
    return operator()


def add(console: Client, **fields: str) -> Any:
    response = console.post(ADD, add_fields(**fields))
    assert response.status_code in (200, 302)
    return response


def refused(console: Client, **fields: str) -> dict[str, list[str]]:
    """The errors shown; nothing was stored."""
    response = add(console, **fields)
    assert response.status_code == 200
    assert not Engagement.objects.filter(user_id="alice").exists()
    return field_errors(response)


def test_a_new_engagement_is_pending_and_shown(console: Client) -> None:
    response = console.post(ADD, add_fields(payload='{"text": "Grüße"}'), follow=True)
    engagement = Engagement.objects.get()
    assert response.redirect_chain[-1][0] == address("engagement", f"{engagement.id}/change/")
    assert response.status_code == 200
    assert "was added" in told(response)
    assert "Grüße" in response.content.decode()
    assert (engagement.user_id, engagement.payload, engagement.status) == ("alice", {"text": "Grüße"}, "pending")
    assert engagement.channel_id == "log"
    assert not engagement.unordered
    assert Pipeline.objects.get(user_id="alice").depth == 1


def test_channel_parent_and_timeout_are_taken(console: Client) -> None:
    channels.create("crm", "webhook", "https://crm.example/hook", actor="test")
    parent = produce(user_id="bob", payload={}).engagement
    add(console, channel="crm", causal_parent=str(parent.id), timeout_seconds="12.5")
    child = Engagement.objects.get(user_id="alice")
    assert (child.channel_id, child.causal_parent, child.timeout_seconds) == ("crm", parent.id, 12.5)
    assert child.order_time > parent.order_time
    assert child.expires_at - child.received_at == timedelta(seconds=12.5)


def test_an_unordered_one_touches_no_pipeline(console: Client) -> None:
    add(console, unordered="on")
    assert Engagement.objects.get().unordered
    assert not Pipeline.objects.exists()


def test_a_stated_produce_time_is_kept_to_the_second(console: Client) -> None:
    add(console, produced_at_0="2026-01-31", produced_at_1="12:00:05")
    assert Engagement.objects.get().produced_at == datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def test_a_parent_that_is_not_known_yet_is_taken_with_a_warning(console: Client) -> None:
    response = console.post(ADD, add_fields(causal_parent=str(uuid4())), follow=True)
    assert "not known yet" in told(response)
    assert Engagement.objects.get().causal_parent is not None


def test_a_double_click_adds_one_engagement(console: Client) -> None:
    form = console.get(ADD).context["adminform"].form
    fields = add_fields(id=str(form["id"].value()))
    first, second = console.post(ADD, fields), console.post(ADD, fields)
    assert first.headers["Location"] == second.headers["Location"]
    assert Engagement.objects.count() == 1


def test_a_form_sent_again_with_other_content_asks_and_then_adds_a_second(console: Client) -> None:
    fields = add_fields(id=str(uuid4()))
    console.post(ADD, fields)
    response = console.post(ADD, {**fields, "payload": '{"text": "other"}'})
    assert "already added" in field_errors(response)["__all__"][0]
    assert Engagement.objects.count() == 1
    renewed = response.context["adminform"].form["id"].value()
    console.post(ADD, {**fields, "payload": '{"text": "other"}', "id": str(renewed)})
    assert Engagement.objects.count() == 2


def test_save_and_add_another_returns_to_an_empty_form(console: Client) -> None:
    response = console.post(ADD, add_fields(_addanother="1"), follow=True)
    assert response.redirect_chain[-1][0] == ADD
    assert Engagement.objects.count() == 1


def test_the_form_can_be_opened_with_a_parent_filled_in(console: Client) -> None:
    parent = uuid4()
    page = console.get(ADD, {"causal_parent": str(parent), "user_id": "carol"}).content.decode()
    assert f'value="{parent}"' in page
    assert 'value="carol"' in page


def test_only_active_channels_are_offered(console: Client) -> None:
    channels.create("old", "null", actor="test")
    channels.change("old", {"active": False}, actor="test")
    assert [name for name, _ in console.get(ADD).context["adminform"].form.fields["channel"].choices] == ["log"]
    assert "channel" in refused(console, channel="old")


@pytest.mark.parametrize(
    ("fields", "field", "part"),
    [
        ({"user_id": ""}, "user_id", "required"),
        ({"user_id": "x" * 201}, "user_id", "at most 200"),
        ({"user_id": "a\0b"}, "user_id", "Null"),
        ({"payload": ""}, "payload", "required"),
        ({"payload": "null"}, "payload", "required"),
        ({"payload": "{"}, "payload", "no JSON"),
        ({"payload": "[1]"}, "payload", "JSON object"),
        ({"payload": "0"}, "payload", "JSON object"),
        ({"payload": '"text"'}, "payload", "JSON object"),
        ({"payload": '{"a": NaN}'}, "payload", "out of range"),
        ({"payload": '{"a": 1e999}'}, "payload", "out of range"),
        ({"payload": '{"a": ' + "9" * 5000 + "}"}, "payload", "out of range"),
        ({"payload": '{"a": "\\u0000"}'}, "payload", "NUL"),
        ({"payload": '{"a": "\\ud800"}'}, "payload", "surrogate"),
        ({"payload": '{"a":' * 33 + "1" + "}" * 33}, "payload", "nested"),
        ({"payload": "[" * 200_000}, "payload", "nested"),
        ({"payload": '{"a": "' + "x" * 70_000 + '"}'}, "payload", "64 KiB"),
        ({"channel": ""}, "channel", "required"),
        ({"channel": "nowhere"}, "channel", "nowhere"),
        ({"causal_parent": "no-uuid"}, "causal_parent", "UUID"),
        ({"unordered": "on", "causal_parent": str(UUID(int=1))}, "causal_parent", "unordered"),
        ({"id": str(UUID(int=1)), "causal_parent": str(UUID(int=1))}, "causal_parent", "own parent"),
        ({"timeout_seconds": "0"}, "timeout_seconds", "above 0"),
        ({"timeout_seconds": "-1"}, "timeout_seconds", "above 0"),
        ({"timeout_seconds": "3601"}, "timeout_seconds", "3600"),
        ({"timeout_seconds": "nan"}, "timeout_seconds", "number"),
        ({"timeout_seconds": "soon"}, "timeout_seconds", "number"),
        ({"produced_at_0": "2999-01-01", "produced_at_1": "00:00:00"}, "produced_at", "future"),
        ({"produced_at_0": "1969-12-31", "produced_at_1": "00:00:00"}, "produced_at", "1970"),
        ({"produced_at_0": "yesterday", "produced_at_1": "00:00:00"}, "produced_at", "valid date"),
        ({"produced_at_0": "2026-01-31"}, "produced_at", "valid time"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(
    console: Client, fields: dict[str, str], field: str, part: str
) -> None:
    errors = refused(console, **fields)
    assert part in " ".join(errors.get(field, [])), errors


def test_a_cycle_is_refused_at_the_parent(console: Client) -> None:
    child, parent = uuid4(), uuid4()
    produce(id=parent, user_id="bob", payload={}, causal_parent=child)
    assert "cycle" in refused(console, id=str(child), causal_parent=str(parent))["causal_parent"][0]


def test_what_was_typed_is_still_there_beside_the_error(console: Client) -> None:
    page = add(console, payload='{"half": ').content.decode()
    assert "{&quot;half&quot;: " in page
    assert 'value="alice"' in page
