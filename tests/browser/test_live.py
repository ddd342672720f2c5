"""A page stays live by itself, stands still when asked to, and swallows nothing that somebody is doing on it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, expect

from tests.support.browser import People, Site, Watch

LIST = "/admin/engagements/engagement/"

Name = Callable[[str], str]


def refreshes_of(page: Page) -> list[Request]:
    """The refreshes that this page asks for from now on; grows."""
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if request.headers.get("x-live-refresh") else None)
    return seen


def post(site: Site, user: str, number: int = 1) -> list[str]:
    return [str(site.api.post(user)["id"]) for _ in range(number)]


def test_a_list_shows_what_comes_in_without_a_reload(people: People, site: Site, name: Name) -> None:
    user = name("comer")
    page = people.open("viewer", f"{LIST}?q={user}")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.evaluate("window.opened = true")
    post(site, user, 3)
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    expect(page.locator("#result_list").get_by_text("delivered")).to_have_count(3)
    assert page.evaluate("window.opened")


def test_a_click_freezes_a_page_and_r_lets_it_go_on(people: People, site: Site, name: Name) -> None:
    user = name("stopped")
    page = people.open("viewer", f"{LIST}?q={user}")
    bar = page.locator("#delivery-live")
    expect(bar).to_contain_text("live")
    page.clock.install()
    page.get_by_role("button", name="Freeze").click()
    expect(bar).to_contain_text(re.compile(r"frozen since \d\d:\d\d:\d\d"))
    assert "frozen=1" in page.url
    refreshes = refreshes_of(page)
    post(site, user)
    page.clock.fast_forward(60_000)
    assert refreshes == []
    page.keyboard.press("r")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(bar.get_by_role("status")).to_have_text("live")
    assert "frozen" not in page.url


def test_a_frozen_page_is_still_frozen_after_a_reload_and_for_whom_the_link_is_sent_to(
    people: People, site: Site, name: Name
) -> None:
    user = name("sent")
    page = people.open("operator", f"{LIST}?q={user}&frozen=1")
    expect(page.locator("#delivery-live")).to_contain_text("frozen since")
    refreshes = refreshes_of(page)
    page.clock.install()
    page.reload()
    expect(page.locator("#delivery-live")).to_contain_text("frozen since")
    page.clock.fast_forward(60_000)
    assert refreshes == []


def test_a_hidden_tab_asks_for_nothing_and_is_refreshed_at_once_when_it_is_shown_again(
    people: People, site: Site, name: Name
) -> None:
    user = name("hidden")
    page = people.open("viewer")
    page.clock.install()
    page.goto(f"{LIST}?q={user}")
    hide(page, hidden=True)
    refreshes = refreshes_of(page)
    page.clock.fast_forward(60_000)
    post(site, user)
    assert refreshes == []
    hide(page, hidden=False)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)


def hide(page: Page, *, hidden: bool) -> None:
    """As when another tab is chosen; headless Chromium shows all of its tabs at the same time."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_checked_row_stays_checked_and_its_list_goes_on(people: People, site: Site, name: Name) -> None:
    user = name("checked")
    [id] = post(site, user)
    page = people.open("operator", f"{LIST}?q={user}")
    page.check(f'input[value="{id}"]')
    post(site, user, 2)
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    expect(page.locator(f'input[value="{id}"]')).to_be_checked()
    expect(page.locator("input.action-select:checked")).to_have_count(1)
    expect(page.locator(".action-counter")).to_have_text("1 of 3 selected")
    page.check("#action-toggle")
    expect(page.locator("input.action-select:checked")).to_have_count(3)
    expect(page.locator(".action-counter")).to_have_text("3 of 3 selected")


def test_a_row_that_is_checked_does_not_go_away(people: People, site: Site, name: Name) -> None:
    user = name("kept")
    site.api.pause(user)
    [id] = post(site, user)
    page = people.open("operator", f"{LIST}?q={user}&status=pending")
    page.check(f'input[value="{id}"]')
    site.api.resume(user)
    expect(page.get_by_role("status")).to_have_text("live, but for what you work on")
    expect(page.locator(f'input[value="{id}"]')).to_be_checked()
    page.uncheck(f'input[value="{id}"]')
    expect(page.locator(f'input[value="{id}"]')).to_have_count(0)


def test_what_is_focused_and_scrolled_to_stays_so(people: People, site: Site, name: Name) -> None:
    user = name("focused")
    first, *_ = post(site, user, 30)
    page = people.open("viewer", f"{LIST}?q={user}", viewport={"width": 900, "height": 400})
    link = page.locator(f'a[href*="{first}"]').first
    link.focus()
    page.mouse.wheel(0, 200)
    before = page.evaluate("scrollY")
    post(site, user)
    expect(page.locator("#result_list tbody tr")).to_have_count(31)
    expect(link).to_be_focused()
    assert page.evaluate("scrollY") >= before > 0


def test_a_lost_connection_is_said_and_mended_by_itself(people: People, site: Site, watch: Watch, name: Name) -> None:
    user = name("lost")
    page = people.open("viewer", f"{LIST}?q={user}")
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_have_text("connection lost, retrying")
    watch.forgive()
    post(site, user)
    page.context.set_offline(False)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text("live")
    watch.forgive()


def test_who_is_logged_out_is_told_so_and_keeps_what_was_shown(people: People, site: Site, name: Name) -> None:
    user = name("out")
    post(site, user)
    page = people.open("viewer", f"{LIST}?q={user}")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    refreshes = refreshes_of(page)
    page.context.clear_cookies()
    expect(page.get_by_role("status")).to_contain_text("stopped: logged out")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="Load again")).to_be_visible()
    asked = len(refreshes)
    page.clock.install()
    page.clock.fast_forward(60_000)
    assert len(refreshes) == asked


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_times_are_those_of_the_viewers_zone_with_the_exact_value_on_hover(
    people: People, site: Site, name: Name, zone: str
) -> None:
    user = name("zoned")
    post(site, user)
    page = people.open("viewer", f"{LIST}?q={user}", timezone_id=zone)
    shown = page.locator("#result_list time").first
    given = shown.get_attribute("datetime")
    expected = page.evaluate("(given) => new Date(given).toLocaleTimeString('en-GB', { hour12: false })", given)
    expect(shown).to_contain_text(expected)
    title = shown.get_attribute("title") or ""
    assert re.search(r"\.\d{6} [+-]\d\d:\d\d [A-Z]\w+/\w+$", title), title
    assert expected in title


def test_the_viewers_clock_may_be_wrong(people: People, site: Site, name: Name) -> None:
    user = name("clocked")
    site.api.pause(user)
    page = people.open("viewer")
    page.clock.install(time="2031-01-01T00:00:00Z")
    page.goto(f"/admin/engagements/pipeline/{user}/change/")
    age = page.locator("time[data-age]").first
    expect(age).to_have_text(re.compile(r"^(just now|\d+ s ago)$"))


def test_without_script_every_page_works_as_it_is(people: People, site: Site, name: Name) -> None:
    user = name("plain")
    post(site, user)
    page = people.open("operator", f"{LIST}?q={user}", java_script_enabled=False)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#delivery-live")).to_be_hidden()
    expect(page.locator("#delivery-keys")).to_be_hidden()
