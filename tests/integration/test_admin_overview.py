"""The admin's index: figures, curves, what needs attention with a list of exactly that, and who is stuck."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import F
from django.test import Client
from django.urls import reverse

from benchmarks.console_pages import STATEMENTS
from engagements import services
from engagements.admin.attention import Notice
from engagements.admin.overview import Page
from engagements.models import Engagement
from engagements.services import produce
from engagements.store import beat, everything, rollups, workers
from engagements.store.connection import current, run
from tests.support.console import attempt, console_of, counted_statements, failed, operator, take, viewer
from tests.support.history import settled, start_counting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker_url")]


def overview(console: Client, query: str = "") -> tuple[Page, str]:
    answer = console.get(f"{reverse('admin:index')}{query}")
    assert answer.status_code == 200
    page = answer.context["overview"]
    assert isinstance(page, Page)
    return page, answer.content.decode()


def notice(page: Page, key: str) -> Notice | None:
    return next((one for one in page.notices if one.key == key), None)


def listed(console: Client, page: Page, key: str) -> set[str]:
    """The primary keys on the list that the notice leads to."""
    found = notice(page, key)
    assert found is not None, [one.text for one in page.notices]
    answer = console.get(found.address)
    assert answer.status_code == 200
    return {str(row.pk) for row in answer.context["cl"].result_list}


def figures(page: Page) -> dict[str, str]:
    return {figure.label: figure.value for figure in page.figures}


def cells(page: Page, chart: str) -> dict[str, tuple[str, ...]]:
    [found] = [one for one in page.charts if one.name == chart]
    return {curve.name: curve.cells for curve in found.curves}


def all_well() -> None:
    """A worker that lives for the whole test, and a beat that is heard of all the while."""
    workers.start(current(), "w1")
    run(current(), "UPDATE engagements_worker SET heartbeat_at = heartbeat_at + interval '1 h' WHERE name = 'w1'")
    beat.tick(current())
    run(current(), "UPDATE engagements_beattick SET at = clock_timestamp() + interval '1 h'")


def ago(user: str, **times: float) -> None:
    """Move times of this user's pipeline into the past (s)."""
    for column, seconds in times.items():
        sql = f"UPDATE engagements_pipeline SET {column} = clock_timestamp() - %s WHERE user_id = %s"  # noqa: S608
        assert run(current(), sql, [timedelta(seconds=seconds), user]) == 1


def fresh(user: str) -> None:
    """What is pending of this user has just come in, however long the test takes."""
    sql = "UPDATE engagements_engagement SET received_at = clock_timestamp() + interval '1 h' WHERE user_id = %s"
    assert run(current(), sql, [user]) == 1


# --- figures and curves ---


def test_rates_and_latencies_of_the_span_stand_as_text_and_as_curves() -> None:
    all_well()
    start_counting(current(), ago=2000)
    settled(current(), 90, ago=300, latency=0.2)
    settled(current(), 10, ago=300, latency=4.0)
    settled(current(), 900, ago=1500, latency=0.0019)  # of the hour, not of these 15 minutes
    settled(current(), 7, ago=400, status="expired")
    settled(current(), 3, ago=100, status="failed")
    # In the middle of their ten seconds: none of them fall apart at a bound.
    middle = "date_bin('10 s', settled_at, 'epoch') + interval '5 s'"
    run(
        current(),
        f"UPDATE engagements_engagement SET received_at = received_at + ({middle} - settled_at), settled_at = {middle}",  # noqa: S608
    )
    rollups.catch_up(current(), seconds=30)
    console = viewer()

    page, html = overview(console)
    assert cells(page, "delivered")["delivered"] == ("0", "0.11", "10", "100")
    assert cells(page, "lost")["expired"][2:] == ("0.7", "7")
    assert cells(page, "lost")["failed"][2:] == ("0.3", "3")
    told = figures(page)
    assert [told[f"p{share} to delivery"] for share in (50, 95, 99)] == ["200 ms", "3.8 s", "3.8 s"]  # of 0.2 and 4 s
    assert (html.count('<svg viewBox="0 0 100 100"'), html.count("delivery-swatch")) == (3, 6)
    for chart in page.charts:
        assert f'<title id="chart-{chart.name}-title">{chart.title}</title>' in html
        assert chart.summary.startswith("The last 15 minutes.")

    hour, _ = overview(console, "?span=1h")
    assert cells(hour, "delivered")["delivered"][3] == "1\u202f000"
    assert figures(hour)["p50 to delivery"] == "1.8 ms"
    day, _ = overview(console, "?span=24h")
    assert cells(day, "delivered")["delivered"][3] == "1\u202f000"
    unknown, _ = overview(console, "?span=fortnight")
    assert [span.title for span in unknown.spans if span.chosen] == ["last 15 minutes"]


def test_curves_end_where_counting_stands_still() -> None:
    all_well()
    start_counting(current(), ago=400)
    produce(user_id="ada", payload={})
    console = viewer()
    page, html = overview(console)
    assert 399 < (page.activity.behind_seconds or 0) < 430
    assert "Not counted for 6 min" in html
    known = [point.rates["delivered"] is not None for point in page.activity.points]
    assert known[0]
    assert not known[-1]
    assert len(known) == 90
    rollups.catch_up(current(), seconds=30)
    page, html = overview(console)
    assert page.activity.behind_seconds is None
    assert "Not counted" not in html


def test_figures_say_what_is_pending_and_whose_is_the_oldest() -> None:
    all_well()
    produce(user_id="ada/1", payload={})
    produce(user_id="bob", payload={})
    run(
        current(),
        "UPDATE engagements_engagement SET received_at = received_at - interval '70 s' WHERE user_id = 'ada/1'",
    )
    services.pause("carl", actor="test")
    produce(user_id="carl", payload={})
    console = viewer()
    page, html = overview(console)
    assert figures(page)["pending"] == "3"
    assert figures(page)["pipelines at work"] == "2"
    assert figures(page)["worker alive"] == "1"
    assert figures(page)["beat"] == "alive"
    [oldest] = [figure for figure in page.figures if figure.label == "oldest pending"]
    assert (oldest.value[:6], oldest.note) == ("1 min ", "of ada/1")
    assert console.get(oldest.address).context["pipeline"].user_id == "ada/1"
    assert "and 1 paused" in html


def test_what_is_live_has_an_id() -> None:
    all_well()
    _, html = overview(viewer())
    live = re.findall(r"<\w+ id=\"([\w-]+)\"[^>]*data-live", html)
    assert {"delivery-attention", "delivery-figures", "delivery-stuck", "delivery-charts"} <= set(live)
    assert "<script>" not in html
    assert " style=" not in html[html.index('id="content-main"') :]


def test_an_empty_system_says_what_to_do_next() -> None:
    _, html = overview(operator())
    assert "Nothing has been accepted yet" in html
    assert reverse("admin:engagements_engagement_add") in html[html.index("delivery-fresh") : html.index("app-engage")]
    _, html = overview(viewer())
    assert "Nothing has been accepted yet" in html
    assert "by the form here" not in html


def test_a_span_without_deliveries_says_so() -> None:
    all_well()
    produce(user_id="ada", payload={})
    _, html = overview(viewer())
    assert "Nothing was delivered in the last 15 minutes." in html
    assert html.count("None in the last 15 minutes.") == 2


# --- attention ---


def test_nothing_needs_attention_when_all_is_well() -> None:
    all_well()
    produce(user_id="ada", payload={})
    fresh("ada")
    page, html = overview(viewer())
    assert page.notices == []
    assert "Nothing needs attention." in html


def test_no_worker_alive_is_the_first_thing_said() -> None:
    console = viewer()
    page, _ = overview(console)
    assert [one.text for one in page.notices] == ["No worker has ever started"]
    workers.start(current(), "w1")
    run(current(), "UPDATE engagements_worker SET heartbeat_at = heartbeat_at - interval '1 min'")
    page, _ = overview(console)
    assert [one.key for one in page.notices] == ["workers", "worker-w1"]
    assert page.notices[0].text == "No worker is alive"
    all_well()
    workers.start(current(), "w2")
    run(current(), "UPDATE engagements_worker SET heartbeat_at = heartbeat_at - interval '1 min' WHERE name = 'w2'")
    page, _ = overview(console)
    assert [one.key for one in page.notices] == ["worker-w2"]
    run(current(), "UPDATE engagements_worker SET stopped_at = clock_timestamp() WHERE name = 'w2'")
    page, _ = overview(console)
    assert page.notices == []


def test_beat_is_missed_when_its_messages_stay_away() -> None:
    all_well()
    console = viewer()
    assert overview(console)[0].notices == []
    run(current(), "UPDATE engagements_beattick SET at = clock_timestamp() - interval '3 min'")
    page, _ = overview(console)
    assert [one.text[:36] for one in page.notices] == ["Beat has not been heard of for 3 min"]
    assert figures(page)["beat"] == "silent"
    run(current(), "DELETE FROM engagements_beattick")
    page, _ = overview(console)
    assert [one.text for one in page.notices] == ["Beat has never been heard of"]


def test_blocked_users_are_counted_explained_and_listed() -> None:
    all_well()
    parent = uuid4()
    for user in ("ada", "bob"):
        produce(user_id=user, payload={}, causal_parent=parent)
        ago(user, due_at=-60)  # it sleeps until its deadline
    produce(user_id="carl", payload={})
    fresh("carl")
    console = viewer()
    page, html = overview(console)
    found = notice(page, "blocked")
    assert found is not None
    assert found.text == "2 users are blocked"
    assert listed(console, page, "blocked") == {"ada", "bob"}
    assert [state.user_id for state in page.stuck] == ["ada", "bob"]
    assert "which has not arrived" in html


def test_due_pipelines_that_nobody_is_at_are_listed_as_such() -> None:
    all_well()
    for user in ("stands", "fresh", "leased", "paused", "sleeps"):
        produce(user_id=user, payload={})
        ago(user, due_at=10)
    take("leased")
    ago("leased", due_at=10)
    ago("sleeps", due_at=-60)
    services.pause("paused", actor="test")
    console = viewer()
    ago("fresh", due_at=0)
    page, _ = overview(console)
    found = notice(page, "unleased")
    assert found is not None
    assert found.severe
    assert found.text == "1 pipeline has work to do that no worker does"
    ago("fresh", due_at=0)
    assert listed(console, page, "unleased") == {"stands"}
    ago("leased", lease_until=10)
    ago("fresh", due_at=0)
    page, _ = overview(console)
    assert listed(console, page, "unleased") == {"stands", "leased"}


def test_what_is_pending_beyond_its_deadline_is_listed_as_such() -> None:
    all_well()
    ids = {user: produce(user_id=user, payload={}).engagement.id for user in ("old", "young", "paused")}
    free = produce(user_id="free", payload={}, unordered=True).engagement.id
    services.pause("paused", actor="test")
    late = [ids["old"], ids["paused"], free]
    sql = "UPDATE engagements_engagement SET expires_at = clock_timestamp() - interval '5 s' WHERE id = ANY(%s)"
    run(current(), sql, [late])
    console = viewer()
    page, _ = overview(console)
    found = notice(page, "overdue")
    assert found is not None
    assert found.text == "2 engagements are pending beyond the deadline"
    assert listed(console, page, "overdue") == {str(ids["old"]), str(free)}
    everything.pause(current())
    page, _ = overview(console)
    assert listed(console, page, "overdue") == {str(free)}
    assert notice(page, "everything") is not None


def test_what_failed_in_the_last_hour_is_listed_until_it_is_replayed() -> None:
    all_well()
    recent, old = failed("ada"), failed("bob")
    produce(user_id="carl", payload={})
    attempt("carl", "delivered")
    Engagement.objects.filter(id=old.id).update(settled_at=F("settled_at") - timedelta(hours=2))
    console = viewer()
    page, _ = overview(console)
    found = notice(page, "failed")
    assert found is not None
    assert found.text == "1 engagement failed in the last hour"
    assert listed(console, page, "failed") == {str(recent.id)}
    services.replay(recent.id, actor="test")
    assert notice(overview(console)[0], "failed") is None


# --- who may see it, and what it costs ---


@pytest.mark.parametrize("missing", ["engagement", "pipeline", "worker"])
def test_who_may_not_view_all_of_it_sees_none_of_it(missing: str) -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    names = [f"view_{model}" for model in ("engagement", "pipeline", "worker") if model != missing]
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="engagements", codename__in=names))
    answer = console_of(user).get(reverse("admin:index"))
    assert answer.context["overview"] is None
    assert "delivery-figures" not in answer.content.decode()


@pytest.mark.parametrize("span", ["15m", "1h", "24h"])
def test_the_page_costs_few_statements_however_much_there_is_to_say(span: str) -> None:
    workers.start(current(), "w1")
    run(current(), "UPDATE engagements_worker SET heartbeat_at = heartbeat_at + interval '1 h'")
    workers.start(current(), "w2")
    run(current(), "UPDATE engagements_worker SET heartbeat_at = heartbeat_at - interval '1 min' WHERE name = 'w2'")
    start_counting(current(), ago=600)
    for n in range(30):
        produce(user_id=f"u{n}", payload={}, causal_parent=uuid4())
        ago(f"u{n}", due_at=-60)
        settled(current(), 5, ago=20 * n)
        failed(f"f{n}")
    rollups.catch_up(current(), seconds=30)
    console = viewer()
    with counted_statements() as statements:
        page, _ = overview(console, f"?span={span}")
    assert len(page.notices) == 4
    assert len(statements) <= STATEMENTS, "\n".join(statements)
