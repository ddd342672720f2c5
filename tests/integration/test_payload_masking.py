"""PAYLOAD_MASKED_FIELDS: what people are shown of payloads, on pages and by the API."""

from random import Random

import pytest
from django.test import override_settings

from engagements.services import produce
from tests.support.api import Caller
from tests.support.console import address, operator

pytestmark = pytest.mark.django_db

SECRET = "ada@example.org"
PAYLOAD = {"email": SECRET, "text": "hello", "card": {"number": "4111-1111", "holder": "Ada"}}


@pytest.mark.parametrize("fields", [["email", "card.number"], "email, card.number"])
def test_the_pages_show_a_payload_without_its_masked_fields(fields: object) -> None:
    engagement = produce(user_id="ada", payload=PAYLOAD).engagement
    console = operator()
    pages = [address("engagement", f"{engagement.id}/change/"), address("pipeline", "ada/change/")]
    for page in pages:
        assert SECRET in console.get(page).content.decode(), page
    with override_settings(PAYLOAD_MASKED_FIELDS=fields):
        for page in pages:
            text = console.get(page).content.decode()
            assert SECRET not in text, page
            assert "4111" not in text, page
            assert "hello" in text, page
            assert "•••" in text, page


@override_settings(PAYLOAD_MASKED_FIELDS=["email", "card.number"])
def test_a_key_that_may_only_look_reads_payloads_masked_and_others_as_they_are() -> None:
    engagement = produce(user_id="ada", payload=PAYLOAD).engagement
    masked = {"email": "•••", "text": "hello", "card": {"number": "•••", "holder": "Ada"}}
    for role, seen in (("viewer", masked), ("producer", PAYLOAD), ("operator", PAYLOAD)):
        caller = Caller(role)
        assert caller.call("GET", f"engagements/{engagement.id}/").body["payload"] == seen, role
        assert caller.call("GET", "engagements/").body["results"][0]["payload"] == seen, role
        assert caller.call("GET", "pipelines/ada/order-proof/").body["engagements"][0]["payload"] == seen, role


def test_a_payload_that_is_large_is_not_read_for_the_line() -> None:
    produce(user_id="ada", payload={"text": Random(1).randbytes(30_000).hex()})
    assert "KiB" in operator().get(address("pipeline", "ada/change/")).content.decode()
