"""What a page tells the script that keeps it live: its regions, the server's clock, and that it is frozen."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client

from engagements.services import produce
from tests.support.console import LISTS, address, operator

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return operator()


@pytest.mark.usefixtures("broker_url")
@pytest.mark.parametrize("model", LISTS)
def test_every_list_can_be_frozen(console: Client, model: str) -> None:
    produce(user_id="alice", payload={})
    page = console.get(address(model, "?frozen=1"))
    assert page.status_code == 200
    assert "data-live" in page.content.decode() or model == "worker"


def test_the_links_to_other_pages_of_a_frozen_list_keep_it_frozen(console: Client) -> None:
    for number in range(60):
        produce(user_id=f"user-{number}", payload={})
    page = console.get(address("engagement", "?frozen=1")).content.decode()
    [link] = set(re.findall(r'href="(\?[^"]*\bp=2[^"]*)"', page))
    assert "frozen=1" in link


def test_a_frozen_list_is_not_a_filtered_one(console: Client) -> None:
    cl = console.get(address("engagement", "?frozen=1")).context["cl"]
    assert not cl.has_active_filters
    filtered = console.get(address("engagement", "?frozen=1&status=failed")).context["cl"]
    assert filtered.has_active_filters
    assert filtered.clear_all_filters_qs == "?frozen=1"


def test_a_page_says_what_the_time_is_by_the_servers_clock(console: Client) -> None:
    before = datetime.now(UTC)
    page = console.get(address("engagement")).content.decode()
    [told] = re.findall(r'<meta name="delivery-now" content="([^"]+)">', page)
    assert before <= datetime.fromisoformat(told) <= datetime.now(UTC)


def test_the_answer_to_a_form_is_no_page_to_refresh(console: Client) -> None:
    """Its address, asked for anew, shows another page."""
    produce(user_id="alice", payload={})
    page = console.post(address("engagement", "add/"), {"user_id": ""})
    assert page.status_code == 200
    assert "delivery-now" not in page.content.decode()


def test_an_empty_list_offers_its_actions_for_the_rows_to_come(console: Client) -> None:
    page = console.get(address("pipeline")).content.decode()
    assert "pause_selected" in page
    assert "the first engagement makes it" in page
