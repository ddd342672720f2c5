"""The form that adds an engagement is helped by what is known: users, and possible parents."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from engagements import services
from engagements.admin import suggestions
from engagements.services import produce, produce_bulk
from tests.support.console import (
    HOSTILE_USERS,
    add_fields,
    address,
    console_of,
    counted_statements,
    failed,
    field_errors,
    member,
    operator,
    viewer,
)

pytestmark = pytest.mark.django_db

ADD = address("engagement", "add/")


@pytest.fixture
def console() -> Client:
    return operator()


def asked(console: Client, about: str, term: str) -> Any:
    answer = console.get(address("engagement", f"suggest/{about}/"), {"q": term})
    assert answer.status_code == 200
    return answer.json()


def users(console: Client, term: str) -> list[str]:
    return [one["user_id"] for one in asked(console, "users", term)["users"]]


def test_known_users_are_suggested_by_the_beginning_of_their_id_and_a_few_at_a_time(console: Client) -> None:
    produce_bulk([{"user_id": f"{name}-{n:02}", "payload": {}} for name in ("ada", "bob") for n in range(15)])
    assert users(console, "bob-0") == [f"bob-0{n}" for n in range(10)]
    assert users(console, "bob-11") == ["bob-11"]
    assert users(console, "ada") == [f"ada-{n:02}" for n in range(suggestions.USERS)]
    assert users(console, "da") == users(console, "nobody") == users(console, "") == []


@pytest.mark.parametrize("user", [user for user in HOSTILE_USERS if user.strip()])
def test_a_user_id_is_taken_as_it_is(console: Client, user: str) -> None:
    produce(user_id=user, payload={})
    produce(user_id="other", payload={})
    assert users(console, user[:3]) == [user]
    assert asked(console, "parents", user)["engagements"]


@pytest.mark.parametrize("term", ["%", "_", "\\", "a\0b", "x" * 5000])
def test_no_term_is_a_pattern_or_a_server_error(console: Client, term: str) -> None:
    produce(user_id="alice", payload={})
    assert users(console, term) == []
    assert "engagements" not in asked(console, "parents", term)


def test_a_user_is_suggested_with_what_stands_in_the_pipeline(console: Client) -> None:
    produce(user_id="ada", payload={})
    services.pause("ada", actor="test")
    services.set_timeout("ada", 60, actor="test")
    failed("bob")
    notes = {one["user_id"]: one["note"] for term in "ab" for one in asked(console, "users", term)["users"]}
    assert notes == {"ada": "1 engagement pending, paused, time-out 60 s", "bob": "nothing pending"}


def test_a_parent_is_told_with_its_user_and_whether_it_is_worth_waiting_for(console: Client) -> None:
    settled = failed("bob")
    pending = produce(user_id="bob", payload={}).engagement
    for spelling in (str(pending.id), pending.id.hex, f" {pending.id} "):
        found = asked(console, "parents", spelling)
        assert found["kind"] == "good"
        assert found["note"].startswith("Pending, of user bob")
    found = asked(console, "parents", str(settled.id))
    assert found["kind"] == "warn"
    assert "Settled already: failed" in found["note"]
    assert "of user bob" in found["note"]
    found = asked(console, "parents", str(uuid4()))
    assert (found["kind"], "Not known yet" in found["note"]) == ("warn", True)


def test_a_users_latest_engagements_are_offered_as_parents(console: Client) -> None:
    ids = [str(produce(user_id="bob", payload={"n": n}).engagement.id) for n in range(12)]
    found = asked(console, "parents", "bob")
    assert [one["id"] for one in found["engagements"]] == ids[: -suggestions.LATEST - 1 : -1]
    assert {one["status"] for one in found["engagements"]} == {"pending"}
    assert [one["user_id"] for one in asked(console, "parents", "bo")["users"]] == ["bob"]
    assert "payload" not in str(found)


def test_a_user_whose_id_is_a_uuid_can_be_looked_up(console: Client) -> None:
    user = str(uuid4())
    id = produce(user_id=user, payload={}).engagement.id
    assert [one["id"] for one in asked(console, "parents", user)["engagements"]] == [str(id)]


def test_an_answer_costs_a_bounded_number_of_statements(console: Client) -> None:
    produce_bulk([{"user_id": f"ada-{n % 4}", "payload": {}} for n in range(100)])
    for about, term in (("users", "ada"), ("parents", "ada-1"), ("parents", "ada"), ("parents", str(uuid4()))):
        with counted_statements() as statements:
            asked(console, about, term)
        assert len(statements) <= 8, statements


def test_only_who_may_add_and_see_is_told(console: Client) -> None:
    produce(user_id="alice", payload={})
    looking, producing = viewer(), console_of(member("producer"))
    for about in ("users", "parents"):
        page = address("engagement", f"suggest/{about}/?q=a")
        assert looking.get(page).status_code == 403
        assert Client().get(page).status_code == 302
        assert producing.get(page).status_code == 200


def test_without_a_script_a_users_id_in_place_of_a_parents_is_answered_with_their_latest(console: Client) -> None:
    parent = produce(user_id="bob", payload={}).engagement
    response = console.post(ADD, add_fields(causal_parent="bob", payload='{"kept": 1}'))
    [error] = field_errors(response)["causal_parent"]
    assert f"{parent.id} (pending)" in error
    page = response.content.decode()
    assert 'value="bob"' in page
    assert "{&quot;kept&quot;: 1}" in page
    response = console.post(ADD, add_fields(causal_parent="nobody"))
    assert "valid UUID" in field_errors(response)["causal_parent"][0]


def test_the_form_names_the_time_out_that_applies_when_none_is_given(console: Client, settings: Any) -> None:
    settings.PENDING_TIMEOUT_SECONDS = 45.0
    assert 'placeholder="45"' in console.get(ADD).content.decode()
