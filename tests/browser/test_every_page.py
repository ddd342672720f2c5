"""Every page there is, with hostile content in it: no error in the console, no violation of the policy."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import People, Site
from tests.support.console import HOSTILE_USERS
from tests.support.receiver import Answer, Receiver

Name = Callable[[str], str]

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"

START = ["/admin/", "/admin/engagements/engagement/add/", "/admin/engagements/channel/add/", "/admin/password_change/"]

NOT_PAGES = re.compile(r"/logout/|/jsi18n/|/export|export=|\.csv")

OF_OTHERS = re.compile(r"/admin/(auth|knox)/")
"""Stock pages of Django and of packages: one of each kind is enough."""

MOST_PAGES = 60


@pytest.fixture
def traffic(site: Site, receiver: Receiver, name: Name) -> str:
    """Something of everything: delivered, failed, waiting, a causal chain, paused, hostile texts. A user's id."""
    for user in HOSTILE_USERS:
        site.api.post(user, payload={HOSTILE: HOSTILE})
    user = name("walk")
    receiver.script(Answer(410, HOSTILE.encode()), user=user)
    broken = site.api.post(user, channel="hook", payload={"text": HOSTILE})["id"]
    receiver.wait_for(lambda r: any(request.status for request in r.of_user(user)), timeout=15)
    site.api.post(name("child"), causal_parent=broken)
    site.api.pause(user)
    site.api.post(user)
    return user


def test_no_page_has_an_error_or_breaks_the_policy(people: People, site: Site, traffic: str) -> None:
    page = people.open("admin", f"/admin/engagements/pipeline/{traffic}/change/")
    page.clock.install()
    seen: dict[str, str] = {}
    todo = [*START, urlsplit(page.url).path]
    while todo and len(seen) < MOST_PAGES:
        address = todo.pop(0)
        if kind_of(address) in seen:
            continue
        seen[kind_of(address)] = address
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert "default-src 'none'" in answer.headers["content-security-policy"], address
        stays_live(page)
        todo += links_of(page)
    kinds = " ".join(seen)
    for wanted in (
        "engagement/*/change",
        "pipeline/*/purge",
        "pipeline/*/skip",
        "worker",
        "auditentry",
        "channel/*/change",
        "channel/*/rotate-secret",
    ):
        assert wanted in kinds, seen
    site.api.purge(traffic)


def kind_of(address: str) -> str:
    """Pages that one template makes of one kind of thing are of one kind; filters count by their names."""
    parts = urlsplit(address)
    path = re.sub(r"(/admin/\w+/\w+/)(?!add/|import)(.+?)/(\w[\w-]*)/$", r"\1*/\3/", parts.path)
    filters = sorted(set(re.findall(r"(\w+)=", parts.query)))
    return f"{path}?{','.join(filters)}"


def links_of(page: Page) -> Iterator[str]:
    here = urlsplit(page.url)
    for link in page.eval_on_selector_all("a[href]", "(links) => links.map((link) => link.href)"):
        to = urlsplit(link)
        address = f"{to.path}?{to.query}" if to.query else to.path
        if to.netloc != here.netloc or not to.path.startswith("/admin/") or NOT_PAGES.search(address):
            continue
        if to.query and (OF_OTHERS.match(to.path) or "&" in to.query or "_changelist_filters" in to.query):
            continue  # filters one by one, not each with each
        yield address


def stays_live(page: Page) -> None:
    """One refresh goes well, where there is one."""
    if not page.locator("[data-live]").count():
        return
    with page.expect_response(lambda response: "x-live-refresh" in response.request.headers) as refreshed:
        page.clock.fast_forward(2_100)
    assert refreshed.value.status == 200, page.url
    expect(page.locator("#delivery-live")).to_contain_text("live")


def test_the_pages_behind_a_form_have_no_error_and_keep_the_policy(
    people: People, site: Site, receiver: Receiver, traffic: str
) -> None:
    page = people.open("operator", "/admin/engagements/engagement/?status=failed")
    page.check("#action-toggle")
    page.select_option("select[name=action]", label="Replay…")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("h1")).to_contain_text("Replay")
    page.goto("/admin/engagements/engagement/add/")
    page.fill("[name=payload]", HOSTILE)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_be_visible()
    page.goto("/admin/engagements/channel/hook/change/")
    page.get_by_role("link", name=re.compile("^Rotate secret")).click()
    page.get_by_label("Reason").fill(HOSTILE)
    page.get_by_role("button", name="Rotate the secret").click()
    expect(page.locator("#content")).to_contain_text("whsec_")
    site.api.purge(traffic)


def test_the_docs_of_the_api_are_drawn(people: People) -> None:
    page = people.open("viewer", "/api/docs/")
    expect(page.get_by_text("/api/v1/engagements/bulk/").first).to_be_visible()
