"""How channels do, tests sent by them, their secrets; everything paused and resumed; who did what."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.browser import People, Site
from tests.support.receiver import Answer, Hang, Received, Receiver

Name = Callable[[str], str]


@pytest.fixture
def hook(site: Site, receiver: Receiver, name: Name) -> tuple[str, str]:
    """A channel of this test's own, and its secret; it delivers to a path of its own, which has the same name."""
    channel = name("hook")
    return channel, site.api.create_channel(channel, "webhook", receiver.url(f"/{channel}"))


def page_of(channel: str) -> str:
    return f"/admin/engagements/channel/{channel}/change/"


def arrived(receiver: Receiver, channel: str) -> Received:
    """The last that this channel has sent."""

    def sent(r: Receiver) -> list[Received]:
        return [request for request in r.requests if request.path == f"/{channel}"]

    receiver.wait_for(lambda r: sent(r), timeout=15)
    return sent(receiver)[-1]


def valid(request: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(request.body, request.headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def test_a_failing_receivers_rate_and_last_error_come_up_without_a_reload(
    people: People, site: Site, receiver: Receiver, hook: tuple[str, str], name: Name
) -> None:
    channel, _ = hook
    page = people.open("viewer", page_of(channel))
    health = page.locator("#channel-health")
    expect(health).to_contain_text("No attempt")
    receiver.script(Answer(410, b"gone for good"), Answer(200), path=f"/{channel}")
    user = name("refused")
    broken = str(site.api.post(user, channel=channel)["id"])
    expect(health).to_contain_text("0.0 %")
    expect(health.locator("table")).to_contain_text("HTTP 410: gone for good")
    site.api.post(user, channel=channel)
    expect(health).to_contain_text("50.0 %")
    health.locator("table").get_by_role("link", name=broken[:8]).click()
    expect(page).to_have_url(re.compile(broken))
    page.goto("/admin/engagements/channel/")
    row = page.locator("#result_list tr", has_text=channel)
    for told in ("50.0 %", "of 2", "gone for good"):
        expect(row).to_contain_text(told)


def test_a_test_is_sent_and_its_answer_shown_without_a_reload(
    people: People, receiver: Receiver, hook: tuple[str, str]
) -> None:
    channel, secret = hook
    receiver.script(Answer(200, b"thanks"), Answer(404, b"nobody here"), path=f"/{channel}")
    page = people.open("operator", page_of(channel))
    last = page.locator("#channel-test")
    page.get_by_role("button", name="Send a test").click()
    expect(last.locator(".delivery-delivered")).to_be_visible()
    expect(last).to_contain_text("HTTP 200: thanks")
    sent = arrived(receiver, channel)
    assert sent.data["user_id"] == f"test:{channel}"
    assert sent.data["payload"]["test"] is True
    assert valid(sent, secret)
    page.get_by_role("button", name="Send a test").click()
    expect(last.locator(".delivery-failed")).to_be_visible()
    expect(last).to_contain_text("HTTP 404: nobody here")


def test_a_test_of_a_receiver_that_hangs_is_under_way_and_then_given_up(
    people: People, receiver: Receiver, hook: tuple[str, str]
) -> None:
    channel, _ = hook
    receiver.script(Hang(), path=f"/{channel}")
    page = people.open("operator", page_of(channel))
    last = page.locator("#channel-test")
    page.get_by_role("button", name="Send a test").click()
    expect(last).to_contain_text("under way")
    expect(last).to_contain_text("no answer before the deadline")
    expect(last.locator(".delivery-expired")).to_be_visible()
    receiver.release()


def test_a_rotated_secret_is_shown_once_and_the_one_before_stays_valid(
    people: People, site: Site, receiver: Receiver, hook: tuple[str, str]
) -> None:
    channel, old = hook
    page = people.open("operator", page_of(channel))
    page.get_by_role("link", name=re.compile("^Rotate secret")).click()
    expect(page.locator("#content")).to_contain_text("signatures of both")
    page.get_by_label("Reason").fill("it was in a ticket")
    page.get_by_role("button", name="Rotate the secret").click()
    secret = page.locator(".delivery-secret").inner_text()
    page.reload()
    expect(page.locator(".messagelist")).to_contain_text("not shown again")
    expect(page.get_by_text("whsec_")).to_have_count(0)
    page.go_back()
    expect(page.get_by_text("whsec_")).to_have_count(0)

    def signed_by_both() -> bool:
        """Workers read the channels once a second."""
        page.goto(page_of(channel))
        page.get_by_role("button", name="Send a test").click()
        expect(page.locator("#channel-test .delivery-delivered")).to_be_visible()
        request = arrived(receiver, channel)
        assert valid(request, old)
        return valid(request, secret)

    assert any(signed_by_both() for _ in range(5))
    page.goto(f"/admin/engagements/auditentry/?q={channel}&action=rotate+secret")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list tbody tr")).to_contain_text("it was in a ticket")


def test_everything_is_paused_and_resumed_and_a_test_goes_through_meanwhile(
    people: People, site: Site, hook: tuple[str, str], name: Name
) -> None:
    channel, _ = hook
    page = people.open("operator", "/admin/engagements/worker/")
    everything(page, "Pause everything", "the receiver is being moved")
    expect(page.locator(".delivery-all-paused")).to_contain_text("Everything is paused")
    user = name("held")
    id = site.api.post(user)["id"]
    try:
        page.goto(page_of(channel))
        page.get_by_role("button", name="Send a test").click()
        expect(page.locator("#channel-test .delivery-delivered")).to_be_visible()
        assert site.api.status(id) == "pending"
    finally:
        page.goto("/admin/engagements/worker/")
        everything(page, "Resume everything", "it has been moved")
    expect(page.locator(".delivery-all-paused")).to_have_count(0)
    page.goto(f"/admin/engagements/engagement/{id}/change/")
    expect(page.locator("#content .delivery-delivered").first).to_be_visible()


def everything(page: Page, verb: str, reason: str) -> None:
    page.locator("#content").get_by_role("link", name=verb).click()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=verb).click()
    expect(page.locator(".messagelist")).to_be_visible()


def test_the_audit_is_filtered_and_leads_to_what_it_is_about(people: People, site: Site, name: Name) -> None:
    user = name("watched/../by")
    site.api.post(user)
    site.api.pause(user)
    site.api.purge(user)
    page = people.open("viewer", "/admin/engagements/auditentry/")
    rows = page.locator("#result_list tbody tr")
    page.get_by_role("group", name="action").get_by_role("link", name="purge", exact=True).click()
    expect(rows.filter(has_text=user)).to_have_count(1)
    expect(rows.filter(has_text="pause")).to_have_count(0)
    page.get_by_role("group", name="in the last").get_by_role("link", name="hour", exact=True).click()
    expect(page).to_have_url(re.compile(r"action=purge&since=hour"))
    rows.filter(has_text=user).get_by_role("link", name=user).click()
    expect(page.locator("h1")).to_contain_text(user)
    page.goto("/admin/engagements/auditentry/")
    actor = rows.first.locator(".field-actor_link a")
    whose = actor.inner_text()
    actor.click()
    expect(page.get_by_role("group", name="actor").locator("li.selected")).to_have_text(whose)


def test_an_entry_of_the_audit_appears_without_a_reload(people: People, site: Site, name: Name) -> None:
    user = name("seen")
    page = people.open("viewer", "/admin/engagements/auditentry/")
    site.api.post(user)
    site.api.pause(user)
    expect(page.locator("#result_list tbody tr", has_text=user)).to_have_count(1)
