"""An operator purges and replays many at once: shown, confirmed with a reason, followed; a viewer looks on."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.browser import People, Site
from tests.support.receiver import Answer, Receiver

Name = Callable[[str], str]

PIPELINES, ENGAGEMENTS = "/admin/engagements/pipeline/", "/admin/engagements/engagement/"

MANY = 60
"""More than a page of a list."""


def waiting(site: Site, prefix: str, number: int = MANY, *, each: int = 2) -> list[str]:
    """Ids of engagements of so many users, who are paused."""
    users = [f"{prefix}-{n:04}" for n in range(number)]
    for user in users:
        site.api.pause(user)
    return [str(site.api.post(user, timeout_seconds=600)["id"]) for user in users for _ in range(each)]


def failed(site: Site, receiver: Receiver, prefix: str) -> list[str]:
    """Ids of engagements that their receiver has refused for good."""
    users = [f"{prefix}-{n:04}" for n in range(MANY)]
    for user in users:
        receiver.script(Answer(410), user=user)
    ids = [str(site.api.post(user, channel="hook")["id"]) for user in users]
    receiver.wait_for(lambda r: all(any(q.status for q in r.of_user(user)) for user in users), timeout=30)
    return ids


def choose(page: Page, action: str, *, all_that_match: bool) -> None:
    page.check("#action-toggle")
    if all_that_match:
        page.get_by_role("button", name=re.compile("^Select all that match")).click()
        expect(page.locator(".actions")).to_contain_text("also beyond this page")
    page.select_option("select[name=action]", label=action)
    page.get_by_role("button", name="Go", exact=True).click()


def test_all_that_match_are_purged_shown_first_followed_and_on_record(people: People, site: Site, name: Name) -> None:
    prefix = name("many")
    ids = waiting(site, prefix)
    [kept] = waiting(site, f"not-{prefix}", 1, each=1)
    page = people.open("operator", f"{PIPELINES}?q={prefix}")
    choose(page, "Purge…", all_that_match=True)
    expect(page.locator("h1")).to_contain_text(f"Purge {2 * MANY} engagements of {MANY} pipelines?")
    expect(page.locator("#content")).to_contain_text("causal parent")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".errorlist")).to_be_visible()  # no reason
    page.get_by_label("Reason").fill("a wrong campaign")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".delivery-progress")).to_contain_text("100 %")
    expect(page.locator("#content")).to_contain_text(f"{2 * MANY} engagements purged")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    assert {site.api.status(id) for id in ids} == {"purged"}
    assert site.api.status(kept) == "pending"
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator("#searchbar")).to_have_value(prefix)
    page.goto("/admin/engagements/auditentry/?action=purge+many")
    record = page.locator("#result_list tbody tr").first
    for told in ("operator", "purge many", prefix, str(2 * MANY), "a wrong campaign"):
        expect(record).to_contain_text(told)
    record.get_by_role("link", name=re.compile(prefix)).click()
    expect(page.locator("#content")).to_contain_text("a wrong campaign")
    site.api.purge(f"not-{prefix}-0000")


def test_a_purge_that_grew_is_refused_and_shown_anew(people: People, site: Site, name: Name) -> None:
    prefix = name("swells")
    ids = waiting(site, prefix, 3)
    page = people.open("operator", f"{PIPELINES}?q={prefix}")
    choose(page, "Purge…", all_that_match=False)
    page.get_by_label("Reason").fill("a wrong campaign")
    ids += waiting(site, prefix, 3)
    page.get_by_role("button", name="Purge").click()
    expect(page.locator(".messagelist")).to_contain_text("Nothing was purged: it is 12 by now, and 6 were shown")
    expect(page.locator("h1")).to_contain_text("Purge 12 engagements")
    assert {site.api.status(id) for id in ids} == {"pending"}
    page.get_by_label("Reason").fill("a wrong campaign")
    page.get_by_role("button", name="Purge").dblclick()
    expect(page.locator("#content")).to_contain_text("12 engagements purged")


def test_all_that_match_are_replayed_and_delivered(people: People, site: Site, receiver: Receiver, name: Name) -> None:
    prefix = name("again")
    ids = failed(site, receiver, prefix)
    page = people.open("operator", f"{ENGAGEMENTS}?q={prefix}&status=failed")
    choose(page, "Replay…", all_that_match=True)
    expect(page.locator("h1")).to_contain_text(f"Replay {MANY} engagements?")
    for n in range(MANY):
        receiver.script(Answer(200), user=f"{prefix}-{n:04}")
    page.get_by_label("Reason").fill("the receiver is mended")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#content")).to_contain_text(f"{MANY} engagements replayed")
    page.goto(f"{ENGAGEMENTS}?q={prefix}&status=delivered")
    expect(page.locator(".paginator")).to_contain_text(f"{MANY} engagements")
    assert {site.api.status(id) for id in ids} == {"delivered"}


def test_a_queue_is_shown_before_it_is_purged(people: People, site: Site, name: Name) -> None:
    user = name("queued")
    waiting(site, user, 1)
    page = people.open("operator", "/admin/engagements/worker/")
    page.get_by_role("button", name=re.compile(r"^Purge deliver\.")).first.click()
    expect(page.locator("h1")).to_contain_text(re.compile(r"^Purge \d+ engagements?\?"))
    expect(page.locator("#content")).to_contain_text("deliver.w")
    page.get_by_role("link", name="No, take me back").click()
    expect(page.locator("h1")).to_contain_text("Queues")
    site.api.purge(f"{user}-0000")


def test_a_viewer_follows_an_operation_and_can_neither_begin_nor_stop_one(
    people: People, site: Site, name: Name
) -> None:
    prefix = name("watched")
    ids = waiting(site, prefix, 2)
    page = people.open("operator", f"{PIPELINES}?q={prefix}")
    choose(page, "Purge…", all_that_match=False)
    asked = page.url
    looks = people.open("viewer", f"{PIPELINES}?q={prefix}")
    expect(looks.locator("select[name=action]")).to_have_count(0)
    token = looks.locator('#logout-form input[name="csrfmiddlewaretoken"]').input_value()
    user = f"{prefix}-0000"
    forged: list[tuple[str, dict[str, str]]] = [
        (PIPELINES, {"action": "purge_selected", "index": "0", "select_across": "1", "_selected_action": user}),
        (asked, {"confirmed": "yes", "reason": "x", "shown": "4"}),
        (asked.replace("/change/", "/stop/"), {}),
        ("/admin/engagements/worker/unordered/purge/", {}),
    ]
    for address, fields in forged:
        answer = looks.request.post(
            address, form={"csrfmiddlewaretoken": token, **fields}, headers={"Referer": looks.url}
        )
        assert answer.status == 403, address
        assert "CSRF" not in answer.text()
    assert {site.api.status(id) for id in ids} == {"pending"}
    page.get_by_label("Reason").fill("a wrong campaign")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator("#content")).to_contain_text("4 engagements purged")
    looks.goto(page.url)
    expect(looks.locator("#content")).to_contain_text("4 engagements purged")
    expect(looks.locator("#content").get_by_role("button")).to_have_count(0)
