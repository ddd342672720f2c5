"""The console by keyboard."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.browser import People, Site

LIST = "/admin/engagements/engagement/"


def test_the_keys_search_go_through_the_rows_and_open_one(
    people: People, site: Site, name: Callable[[str], str]
) -> None:
    user = name("keys")
    ids = [site.api.post(user)["id"] for _ in range(3)]
    page = people.open("viewer", LIST)
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.keyboard.type(user)
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    links = [page.locator(f'#result_list a.delivery-id[href*="{id}"]') for id in reversed(ids)]
    page.keyboard.press("j")
    expect(links[0]).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(links[2]).to_be_focused()
    page.keyboard.press("k")
    expect(links[1]).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{ids[1]}/change/")


def test_a_question_mark_helps_and_escape_closes_the_help(people: People) -> None:
    page = people.open("viewer", LIST)
    page.keyboard.press("?")
    help = page.get_by_role("dialog", name="Keys")
    expect(help).to_be_visible()
    page.keyboard.press("r")
    assert "frozen" not in page.url
    page.keyboard.press("Escape")
    expect(help).to_be_hidden()
    page.get_by_title("Keys").click()
    help.get_by_role("button", name="Close").click()
    expect(help).to_be_hidden()


def test_no_key_acts_while_somebody_types_or_holds_another_key(people: People) -> None:
    page = people.open("viewer", LIST)
    page.keyboard.press("Control+r+r")
    page.focus("#searchbar")
    page.keyboard.type("r/jk?")
    expect(page.locator("#searchbar")).to_have_value("r/jk?")
    assert "frozen" not in page.url
    expect(page.get_by_role("dialog")).to_be_hidden()
