"""The console by day, by night and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import People, Site

Name = Callable[[str], str]

CONTRAST = """(selector) => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map((value) => {
            const part = value / 255;
            return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ancestors = (element) => (element ? [element, ...ancestors(element.parentElement)] : []);
    return [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility()).map((element) => {
        const box = element.getBoundingClientRect();
        const under = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        const stack = under.includes(element) ? under.slice(under.indexOf(element)) : ancestors(element);
        const behind = stack.find((one) => (channels(getComputedStyle(one).backgroundColor)[3] ?? 1) > 0);
        const light = luminance(channels(getComputedStyle(element).color));
        const dark = luminance(behind ? channels(getComputedStyle(behind).backgroundColor) : [255, 255, 255]);
        const [more, less] = light > dark ? [light, dark] : [dark, light];
        return { text: element.textContent.trim().slice(0, 40), ratio: (more + 0.05) / (less + 0.05) };
    });
}"""

READ = ".delivery-badge, .delivery-waiting, .button, #content :is(.quiet, dd, dt, td, h1, h2, a), .delivery-live *"

LEAST_CONTRAST = 4.5
"""WCAG 2.2 AA for text of ordinary size."""

PAGES = ["/admin/", "/admin/engagements/pipeline/", "/admin/engagements/engagement/", "/admin/engagements/worker/"]


@pytest.fixture
def shown(site: Site, name: Name) -> list[str]:
    """Addresses of pages with something on them."""
    user = name("shown")
    id = site.api.post(user)["id"]
    site.api.pause(user)
    site.api.post(user)
    return [
        *PAGES,
        f"/admin/engagements/pipeline/{user}/change/",
        f"/admin/engagements/engagement/{id}/change/",
        f"/admin/engagements/pipeline/{user}/purge/",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_by_day_and_by_night(people: People, shown: list[str], scheme: str) -> None:
    page = people.open("operator", color_scheme=scheme)
    for address in shown:
        page.goto(address)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(background.removeprefix("rgb(").partition(",")[0])
        assert (red < 60) == (scheme == "dark"), background
        found = page.evaluate(CONTRAST, READ)
        assert found, address
        faint = [one for one in found if one["ratio"] < LEAST_CONTRAST]
        assert not faint, (address, faint)


def test_the_viewers_own_choice_of_theme_goes_before_that_of_the_system(people: People) -> None:
    page = people.open("viewer", "/admin/engagements/pipeline/", color_scheme="light")
    toggle = page.locator(".theme-toggle").first
    toggle.click()  # auto (light) → dark
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert int(page.evaluate(ground).removeprefix("rgb(").partition(",")[0]) < 60


def test_no_page_is_wider_than_a_phone(people: People, shown: list[str]) -> None:
    page = people.open("operator", viewport={"width": 390, "height": 800})
    for address in shown:
        page.goto(address)
        assert overhang(page) <= 0, address
        expect(page.locator("h1").first).to_be_visible()


def overhang(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
