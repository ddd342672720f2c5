"""Somebody looks for what has become of an engagement, and why one has to wait."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import People, Site
from tests.support.receiver import Answer, Hang, Receiver

Name = Callable[[str], str]

ADD = "/admin/engagements/engagement/add/"


def test_an_engagement_is_added_and_watched_being_delivered_without_a_reload(
    people: People, site: Site, receiver: Receiver, name: Name
) -> None:
    user = name("ada")
    receiver.script(Hang(), user=user)
    page = people.open("operator", ADD)
    page.fill("[name=user_id]", user)
    page.fill("[name=payload]", '{"text": "Hello, Ada"}')
    page.select_option("[name=channel]", "hook")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/change/")
    page.evaluate("window.opened = true")
    expect(page.locator("#content")).to_contain_text("Hello, Ada")
    expect(page.locator("#content .delivery-pending").first).to_be_visible()
    receiver.wait_for(lambda r: r.of_user(user), timeout=15)
    receiver.release()
    expect(page.locator("#content .delivery-delivered").first).to_be_visible()
    expect(page.locator("#content")).to_contain_text(re.compile("Settled.*after it was received", re.DOTALL))
    assert page.evaluate("window.opened")


def test_a_blocked_user_is_explained_by_who_holds_them_up_behind_what_and_until_when(
    people: People, site: Site, receiver: Receiver, name: Name
) -> None:
    alice, bob = name("alice"), name("bob")
    receiver.script(Answer(503), user=alice)
    parent = site.api.post(alice, channel="hook", timeout_seconds=120)["id"]
    child = site.api.post(bob, causal_parent=parent, timeout_seconds=90)["id"]
    page = people.open("viewer", f"/admin/engagements/pipeline/?q={bob}")
    row = page.locator("#result_list tbody tr")
    expect(row).to_contain_text("waits for its parent")
    expect(row).to_contain_text(alice)
    row.get_by_role("link", name=bob).click()
    expect(page.locator(".delivery-waiting")).to_contain_text(alice)
    deadline = page.locator(f'tr:has(a[href*="{child}"]) time[data-countdown]')
    counts_down(page, deadline)
    page.goto(f"/admin/engagements/pipeline/{alice}/change/")
    expect(page.locator(".delivery-waiting")).to_contain_text(re.compile(r"attempt \d+ on .*hook", re.IGNORECASE))
    page.goto(f"/admin/engagements/pipeline/{bob}/change/")
    site.api.purge(alice)
    expect(page.locator("#content")).to_contain_text("Nothing is pending")


def counts_down(page: Page, shown: Locator) -> None:
    """Also between two refreshes, which is what tells it from a page that is only loaded anew."""
    expect(shown).to_have_text(re.compile(r"^in \d"))
    page.clock.install()
    page.get_by_role("button", name="Freeze").click()
    still = shown.inner_text()
    page.clock.fast_forward(5_000)
    expect(shown).to_have_text(still)
    page.get_by_role("button", name="Go on").click()
    expect(shown).not_to_have_text(still)
