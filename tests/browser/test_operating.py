"""An operator pauses, purges, skips and replays; a viewer cannot."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import People, Site
from tests.support.receiver import Answer, Receiver

Name = Callable[[str], str]


def pipeline(user: str, page: str = "change") -> str:
    return f"/admin/engagements/pipeline/{user}/{page}/"


def waiting(site: Site, user: str, number: int) -> list[str]:
    """So many engagements that wait because their pipeline is paused."""
    site.api.pause(user)
    return [str(site.api.post(user)["id"]) for _ in range(number)]


def failed(site: Site, receiver: Receiver, user: str) -> str:
    """The id of an engagement that its receiver has refused for good."""
    receiver.script(Answer(410), user=user)
    id = str(site.api.post(user, channel="hook")["id"])
    receiver.wait_for(lambda r: any(request.status for request in r.of_user(user)), timeout=15)
    return id


def test_a_pipeline_is_paused_and_resumed_and_its_page_follows(people: People, site: Site, name: Name) -> None:
    user = name("held")
    site.api.post(user)
    page = people.open("operator", pipeline(user))
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Paused")
    expect(page.locator("#content .delivery-paused").first).to_be_visible()
    id = site.api.post(user)["id"]
    expect(page.locator(f'#content a[href*="{id}"]').first).to_be_visible()
    assert site.api.status(id) == "pending"
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Resumed")
    expect(page.locator("#content")).to_contain_text("Nothing is pending")
    assert site.api.status(id) == "delivered"


def test_a_click_that_is_under_way_does_not_do_what_the_button_has_become(
    people: People, site: Site, name: Name
) -> None:
    user = name("clicked")
    site.api.post(user)
    page = people.open("operator", pipeline(user))
    page.get_by_role("button", name="Pause", exact=True).hover()
    page.mouse.down()
    site.api.pause(user)
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    page.mouse.up()
    expect(page.locator(".messagelist")).to_have_count(0)
    assert site.api.pipeline(user)["paused"]


def test_a_purge_shows_what_it_does_asks_why_and_is_on_record(people: People, site: Site, name: Name) -> None:
    user = name("thrown")
    ids = waiting(site, user, 3)
    page = people.open("operator", pipeline(user))
    page.locator("#content").get_by_role("link", name=re.compile("^Purge")).click()
    expect(page.locator("h1")).to_contain_text("Purge 3 engagements?")
    expect(page.locator("#content")).to_contain_text("never delivered")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".errorlist")).to_be_visible()  # no reason
    page.get_by_label("Reason").fill("a wrong campaign")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".messagelist")).to_contain_text("3 engagements purged")
    assert {site.api.status(id) for id in ids} == {"purged"}
    page.goto(f"/admin/engagements/auditentry/?q={user}")
    record = page.locator("#result_list tbody tr").first
    for told in ("operator", "purge", "3", "a wrong campaign"):
        expect(record).to_contain_text(told)


def test_a_purge_of_what_has_grown_since_it_was_shown_is_refused(people: People, site: Site, name: Name) -> None:
    user = name("grown")
    ids = waiting(site, user, 2)
    page = people.open("operator", pipeline(user, "purge"))
    page.get_by_label("Reason").fill("a wrong campaign")
    ids += waiting(site, user, 2)
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".messagelist")).to_contain_text("Nothing was purged")
    assert {site.api.status(id) for id in ids} == {"pending"}
    site.api.purge(user)


def test_a_reason_that_is_being_typed_is_not_swallowed_by_a_refresh(people: People, site: Site, name: Name) -> None:
    user = name("typed")
    waiting(site, user, 2)
    page = people.open("operator")
    page.clock.install()
    page.goto(pipeline(user, "purge"))
    reason = page.get_by_label("Reason")
    reason.type("because it was")
    page.clock.fast_forward(10_000)
    site.api.post(user)
    page.clock.fast_forward(10_000)
    reason.type(" a mistake")
    expect(reason).to_have_value("because it was a mistake")
    expect(reason).to_be_focused()
    expect(page.locator("h1")).to_contain_text("Purge 2 engagements?")
    site.api.purge(user)


def test_the_head_is_skipped_and_the_next_one_moves_up(people: People, site: Site, name: Name) -> None:
    user = name("skipped")
    first, second = waiting(site, user, 2)
    page = people.open("operator", pipeline(user))
    page.locator("#content").get_by_role("link", name=re.compile("^Skip")).click()
    page.get_by_label("Reason").fill("it blocks the others")
    page.get_by_role("button", name="Skip").click()
    expect(page.locator(".messagelist")).to_contain_text("Skipped")
    assert [site.api.status(id) for id in (first, second)] == ["purged", "pending"]
    site.api.purge(user)


def test_a_failed_one_is_replayed_and_watched_being_delivered(
    people: People, site: Site, receiver: Receiver, name: Name
) -> None:
    user = name("again")
    id = failed(site, receiver, user)
    page = people.open("operator", f"/admin/engagements/engagement/{id}/change/")
    expect(page.locator("#content .delivery-failed").first).to_be_visible()
    receiver.script(Answer(200), user=user)
    page.get_by_role("button", name="Replay").click()
    expect(page.locator(".messagelist")).to_contain_text("Replayed")
    expect(page.locator("#content .delivery-delivered").first).to_be_visible()
    expect(page.get_by_role("button", name="Replay")).to_have_count(0)


def test_a_viewer_sees_all_of_it_and_no_button(people: People, site: Site, receiver: Receiver, name: Name) -> None:
    user = name("seen")
    broken = failed(site, receiver, user)
    waiting(site, user, 1)
    page = people.open("viewer", pipeline(user))
    expect(page.locator("#content .delivery-paused").first).to_be_visible()
    no_buttons(page)
    page.goto(f"/admin/engagements/engagement/{broken}/change/")
    expect(page.locator("#content .delivery-failed").first).to_be_visible()
    no_buttons(page)
    page.goto("/admin/engagements/worker/")
    no_buttons(page)
    page.goto("/admin/engagements/engagement/")
    expect(page.locator("#content select")).to_have_count(0)
    expect(page.locator("#content input[type=checkbox]")).to_have_count(0)
    site.api.purge(user)


def no_buttons(page: Page) -> None:
    for word in ("Pause", "Resume", "Purge", "Skip", "Replay", "End session", "Add"):
        pattern = re.compile(rf"^{word}\b")
        expect(page.locator("#content").get_by_role("button", name=pattern)).to_have_count(0)
        expect(page.locator("#content").get_by_role("link", name=pattern)).to_have_count(0)


def test_a_viewers_forged_requests_are_refused(people: People, site: Site, name: Name) -> None:
    """With their own session and a token that is good: only the permission is missing."""
    user = name("forged")
    [id] = waiting(site, user, 1)
    page = people.open("viewer", pipeline(user))
    token = page.locator('#logout-form input[name="csrfmiddlewaretoken"]').input_value()
    for action in ("pause", "resume", "purge", "skip", "end-session"):
        answer = page.request.post(
            pipeline(user, action),
            form={"csrfmiddlewaretoken": token, "confirmed": "yes", "reason": "x", "shown": "1", "head": id},
            headers={"Referer": page.url},
        )
        assert answer.status == 403, action
        assert "CSRF" not in answer.text()
    assert site.api.status(id) == "pending"
    assert site.api.pipeline(user)["paused"]
    site.api.purge(user)
