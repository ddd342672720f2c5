"""The lists: found by index, filtered, bounded, and at a fixed number of statements whatever their length."""

from uuid import UUID, uuid4

import pytest
from django.test import Client

from engagements import channels, services
from engagements.admin import bounded, engagement_list
from engagements.models import Engagement, Worker
from engagements.services import produce, produce_bulk
from engagements.store import workers
from engagements.store.connection import current
from tests.support.console import address, attempt, counted_statements, failed, operator, take

pytestmark = pytest.mark.django_db

STATEMENTS = 12
"""The most that a page may send to PostgreSQL, session, user and permissions included."""


@pytest.fixture
def console() -> Client:
    return operator()


@pytest.fixture
def traffic(broker_url: str) -> None:
    """Some hundred users and engagements in every state."""
    channels.create("crm", "webhook", "https://crm.example/hook", actor="test")
    workers.start(current(), "w1")
    parent = uuid4()
    produce_bulk(
        [{"user_id": f"user-{n % 150:03}", "payload": {"n": n}, "channel": ("log", "crm")[n % 2]} for n in range(300)]
        + [{"user_id": f"child-{n}", "payload": {}, "causal_parent": parent} for n in range(60)]
        + [{"user_id": f"free-{n}", "payload": {}, "unordered": True} for n in range(30)]
    )
    for n in range(40):
        take(f"user-{n:03}")
    for n in range(40, 80):
        attempt(f"user-{n:03}", ("delivered", "failed")[n % 2])
    for n in range(80, 110):
        services.pause(f"user-{n:03}", actor="test")
    services.purge("user-110", actor="test")


def ids(console: Client, **query: str) -> list[UUID]:
    return [row.id for row in console.get(address("engagement"), query).context["cl"].result_list]


def users(console: Client, **query: str) -> list[str]:
    return [row.user_id for row in console.get(address("pipeline"), query).context["cl"].result_list]


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize(
    "page",
    [
        "/admin/",
        address("engagement"),
        address("engagement", "?status=pending"),
        address("engagement", "?status=failed&channel=crm"),
        address("engagement", "?channel=crm&late=0&unordered=0"),
        address("engagement", "?q=user-041"),
        address("engagement", "?q=user-0&status=pending"),
        address("engagement", "?p=3"),
        address("pipeline"),
        address("pipeline", "?state=work"),
        address("pipeline", "?state=paused"),
        address("pipeline", "?worker=w1"),
        address("pipeline", "?q=child"),
        address("pipeline", "?o=-2"),
        address("worker"),
        address("channel"),
        address("auditentry"),
    ],
)
def test_a_page_costs_few_statements(console: Client, page: str) -> None:
    with counted_statements() as statements:
        assert console.get(page).status_code == 200
    assert len(statements) <= STATEMENTS, "\n".join(statements)


@pytest.mark.usefixtures("traffic")
def test_the_pages_of_one_cost_few_statements(console: Client) -> None:
    produce_bulk([{"user_id": "user-000", "payload": {}, "causal_parent": uuid4()} for _ in range(200)])
    broken = Engagement.objects.filter(status="failed").order_by("arrival")[0]
    for n in range(30):
        produce(user_id=f"after-{n}", payload={}, causal_parent=broken.id)
    for page in (
        address("pipeline", "user-000/change/"),
        address("pipeline", "user-041/change/"),
        address("pipeline", "user-000/purge/"),
        address("pipeline", "user-000/skip/"),
        address("engagement", f"{broken.id}/change/"),
        address("engagement", "add/"),
        address("channel", "crm/change/"),
    ):
        with counted_statements() as statements:
            assert console.get(page).status_code == 200
        assert len(statements) <= STATEMENTS, (page, "\n".join(statements))


def test_search_finds_an_engagement_by_its_id_in_any_spelling(console: Client) -> None:
    wanted = produce(user_id="alice", payload={}).engagement
    produce(user_id="bob", payload={})
    for term in (str(wanted.id), wanted.id.hex, str(wanted.id).upper(), f" {wanted.id} "):
        assert ids(console, q=term) == [wanted.id]


def test_search_finds_a_user_whose_id_is_a_uuid(console: Client) -> None:
    user = str(uuid4())
    wanted = produce(user_id=user, payload={}).engagement
    assert ids(console, q=user) == [wanted.id]


def test_search_prefers_the_whole_user_id_and_then_takes_it_as_a_beginning(console: Client) -> None:
    [first, second, other] = [produce(user_id=user, payload={}).engagement.id for user in ("ann", "ann", "anna")]
    assert ids(console, q="ann") == [second, first]
    assert ids(console, q="an") == [first, second, other]
    assert ids(console, q="nn") == []


@pytest.mark.parametrize("term", ["%", "_", "\\", "a%b", "' OR 1=1 --", "x" * 5000])
def test_search_takes_every_character_as_it_is(console: Client, term: str) -> None:
    produce(user_id="alice", payload={})
    assert ids(console, q=term) == []
    assert users(console, q=term) == []


def test_a_nul_in_the_search_is_no_server_error(console: Client) -> None:
    for model in ("engagement", "pipeline", "auditentry"):
        assert console.get(address(model), {"q": "a\0b"}).status_code == 200


def test_filters_select_by_status_channel_late_and_unordered(console: Client) -> None:
    channels.create("crm", "webhook", "https://crm.example/hook", actor="test")
    broken = failed("alice")
    crm = produce(user_id="bob", payload={}, channel="crm").engagement
    free = produce(user_id="bob", payload={}, unordered=True).engagement
    late = produce(user_id="alice", payload={}, produced_at="2026-01-01T00:00:00Z").engagement
    assert late.late
    assert ids(console, status="failed") == [broken.id]
    assert ids(console, channel="crm") == [crm.id]
    assert ids(console, late="1") == [late.id]
    assert ids(console, unordered="1") == [free.id]
    assert ids(console, unordered="0", channel="log", status="pending") == [late.id]
    assert ids(console, q="bob", unordered="1") == [free.id]
    assert set(ids(console, status="nonsense")) == {broken.id, crm.id, free.id, late.id}


def test_filters_of_pipelines(console: Client) -> None:
    workers.start(current(), "w1")
    for user in ("ann", "ben", "cleo"):
        produce(user_id=user, payload={})
    attempt("cleo", "delivered")
    services.pause("ben", actor="test")
    assert users(console) == ["ann", "ben", "cleo"]
    assert users(console, state="work") == ["ann"]
    assert users(console, state="paused") == ["ben"]
    assert users(console, q="be") == ["ben"]
    assert users(console, worker="w1") == [user for user in ("ann",) if pinned("ann") == "w1"]
    assert users(console, worker="nobody") == ["ann", "ben", "cleo"]


def pinned(user: str) -> str | None:
    [(worker,)] = current().execute("SELECT worker FROM engagements_pipeline WHERE user_id = %s", [user]).fetchall()
    return str(worker) if worker else None


@pytest.mark.parametrize("lookup", ["user_id__icontains", "payload__x", "channel__secret__startswith", "user_id"])
def test_a_look_up_that_is_no_filter_is_refused(console: Client, lookup: str) -> None:
    assert console.get(address("engagement"), {lookup: "x"}).status_code == 400
    assert console.get(address("pipeline"), {lookup: "x"}).status_code == 400


@pytest.mark.parametrize("query", [{"p": "0"}, {"p": "-3"}, {"p": "many"}, {"p": "999999"}, {"o": "99"}, {"o": "x.-"}])
def test_a_senseless_page_or_order_is_no_server_error(console: Client, query: dict[str, str]) -> None:
    produce_bulk([{"user_id": "alice", "payload": {}} for _ in range(120)])
    for model in ("engagement", "pipeline", "auditentry"):
        assert console.get(address(model), query, follow=True).status_code == 200


def test_a_long_list_is_counted_up_to_a_bound(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "COUNT_LIMIT", 100)
    produce_bulk([{"user_id": "alice", "payload": {}} for _ in range(130)])
    page = console.get(address("engagement"))
    assert page.context["cl"].result_count == 100
    assert "the first 100 of many engagements" in " ".join(page.content.decode().split())
    assert len(console.get(address("engagement"), {"p": "2"}).context["cl"].result_list) == 50
    assert console.get(address("engagement"), {"p": "3"}).status_code == 302


@pytest.mark.parametrize("search", ["", "alice", "ali"])
def test_a_filter_beside_the_index_looks_at_a_bounded_number_of_rows(
    console: Client, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    monkeypatch.setattr(engagement_list, "RECENT", 10)
    old = produce(user_id="alice", payload={}, unordered=True).engagement
    produce_bulk([{"user_id": "alice", "payload": {}} for _ in range(8)])
    assert ids(console, q=search, unordered="1") == [old.id]
    produce_bulk([{"user_id": "alice", "payload": {}} for _ in range(8)])
    if search == "ali":  # a beginning is looked through in the order of its index
        assert ids(console, q=search, unordered="1") == [old.id]
        return
    assert ids(console, q=search, unordered="1") == []
    page = console.get(address("engagement"), {"q": search, "unordered": "1"}).content.decode()
    assert "among the newest" in page


def test_one_in_service_shows_its_number_and_attempt(console: Client) -> None:
    produce_bulk([{"user_id": "alice", "payload": {}} for _ in range(2)])
    take("alice")
    rows = console.get(address("engagement")).context["cl"].result_list
    assert [(row.sequence, row.attempts) for row in rows] == [(None, 0), (1, 1)]


def test_the_queues_show_workers_alive_and_dead_and_what_waits(console: Client, broker_url: str) -> None:
    workers.start(current(), "w1")
    workers.start(current(), "w2")
    Worker.objects.filter(name="w2").update(heartbeat_at="2026-01-01T00:00:00Z")
    produce_bulk([{"user_id": "alice", "payload": {}} for _ in range(3)])
    current().execute("UPDATE engagements_pipeline SET worker = 'w1'")
    produce(user_id="bob", payload={}, unordered=True)
    rows = {row.queue.name: row.queue for row in console.get(address("worker")).context["rows"]}
    assert rows["deliver.w1"].alive
    assert (rows["deliver.w1"].users, rows["deliver.w1"].pending) == (1, 3)
    assert rows["unordered"].pending == 1
    Worker.objects.filter(name="w2").update(heartbeat_at=Worker.objects.get(name="w1").heartbeat_at)
    workers.stop(current(), "w2", 1)
    page = console.get(address("worker")).content.decode()
    assert ">alive<" in page
    assert ">stopped<" in page


def test_a_worker_that_fell_silent_is_reported_for_an_hour_and_then_taken_for_gone(console: Client) -> None:
    workers.start(current(), "w1")
    assert "no heartbeat" not in console.get("/admin/").content.decode()
    for age, reported in (("8 seconds", True), ("2 hours", False)):
        current().execute("UPDATE engagements_worker SET heartbeat_at = clock_timestamp() - %s::interval", [age])
        assert ("Worker w1 has sent no heartbeat" in console.get("/admin/").content.decode()) is reported


def test_the_queues_say_when_nothing_can_be_delivered(console: Client, broker_url: str) -> None:
    assert "No worker is alive" in console.get(address("worker")).content.decode()
    assert "No worker" in console.get("/admin/").content.decode()


def test_empty_lists_say_what_to_do(console: Client) -> None:
    assert "Add one here" in console.get(address("engagement")).content.decode()
    assert "Nothing matches" in console.get(address("engagement"), {"status": "failed"}).content.decode()
