"""Lists: pages that neither lose nor repeat anything, filters, and what they cost."""

from itertools import product
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection, transaction

from engagements.models import Channel, Engagement
from engagements.services import pause, produce, produce_bulk
from engagements.store import read_engagements, read_pipelines
from engagements.store.connection import current
from tests.support.api import Answer, Caller
from tests.support.console import attempt

pytestmark = pytest.mark.django_db


def walk(caller: Caller, path: str, link: str = "next") -> list[list[Any]]:
    """The results of this page and of all that follow it."""
    pages = []
    while True:
        answer = caller.get(path)
        assert answer.status == 200, answer.body
        pages.append(answer.body["results"])
        if answer.body[link] is None:
            return pages
        assert len(pages) < 100
        path = below_api(answer, link)


def below_api(answer: Answer, link: str) -> str:
    url = urlsplit(answer.body[link])
    assert (url.scheme, url.netloc) == ("http", "testserver")
    return f"{url.path.removeprefix('/api/v1/')}?{url.query}"


def test_pages_go_from_the_newest_to_the_oldest_and_back() -> None:
    items = produce_bulk([{"user_id": f"u{n % 3}", "payload": {"n": n}} for n in range(10)])
    newest_first = [str(item.id) for item in reversed(items)]
    viewer = Caller("viewer")
    pages = walk(viewer, "engagements/?page_size=4")
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [one["id"] for page in pages for one in page] == newest_first

    second = viewer.get(below_api(viewer.get("engagements/?page_size=4"), "next"))
    third = viewer.get(below_api(second, "next"))
    back = walk(viewer, below_api(third, "previous"), "previous")
    assert back == [pages[1], pages[0]]
    assert viewer.get("engagements/?page_size=4").body["previous"] is None


def test_a_page_stands_still_while_more_is_produced() -> None:
    items = produce_bulk([{"user_id": "a", "payload": {"n": n}} for n in range(6)])
    viewer = Caller("viewer")
    first = viewer.get("engagements/?page_size=3")
    produce(user_id="a", payload={})
    second = viewer.get(below_api(first, "next"))
    seen = [one["id"] for one in first.body["results"] + second.body["results"]]
    assert seen == [str(item.id) for item in reversed(items)]


@pytest.fixture
def mixed() -> dict[str, list[Engagement]]:
    """Engagements that differ in everything that can be filtered by."""
    Channel.objects.create(name="other", kind="log")
    for user in ("a", "b"):
        for channel in ("log", "other"):
            produce(user_id=user, payload={}, channel=channel)
    attempt("a", "failed", answer="no")
    attempt("a", "delivered")
    produce(user_id="a", payload={}, produced_at="2026-01-31T12:00:00Z")
    return {"all": list(Engagement.objects.order_by("-arrival"))}


def test_every_combination_of_filters_yields_what_matches(mixed: dict[str, list[Engagement]]) -> None:
    viewer = Caller("viewer")
    for user_id, status, channel, late in product(
        [None, "a", "b", "nobody"],
        [None, "pending", "delivered", "failed", "purged"],
        [None, "log", "other"],
        [None, "true", "false"],
    ):
        given = {"user_id": user_id, "status": status, "channel": channel, "late": late}
        query = "&".join(f"{name}={value}" for name, value in given.items() if value is not None)
        expected = [
            str(one.id)
            for one in mixed["all"]
            if (user_id is None or one.user_id == user_id)
            and (status is None or one.status == status)
            and (channel is None or one.channel_id == channel)
            and (late is None or one.late == (late == "true"))
        ]
        pages = walk(viewer, f"engagements/?page_size=2&{query}")
        assert [one["id"] for page in pages for one in page] == expected, query


def test_a_search_for_rare_matches_is_cut_into_bounded_steps() -> None:
    items = produce_bulk([{"user_id": "a", "payload": {"n": n}} for n in range(50)])
    Engagement.objects.filter(id=str(items[3].id)).update(channel_id="rare")
    found, start, steps = [], None, 0
    while True:
        step = read_engagements.walk(current(), {"channel": "rare"}, start=start, forwards=False, limit=10, scan=10)
        found += [row["id"] for row in step.rows]
        steps += 1
        if step.scanned_to is None:
            break
        start = step.scanned_to
    assert found == [items[3].id]
    assert 5 <= steps <= 6


def test_pipelines_are_listed_by_user_with_filters() -> None:
    users = ["", "/", "B", "a", "a/b", "b", "é", "文"]
    users = [f"u{user}" for user in users]
    for user in users[::2]:
        produce(user_id=user, payload={})
    for user in users[1::2]:
        pause(user, actor="test")
    viewer = Caller("viewer")

    def listed(query: str) -> list[str]:
        return [one["user_id"] for page in walk(viewer, f"pipelines/?page_size=3{query}") for one in page]

    ordered = sorted(users, key=str.encode)
    assert listed("") == ordered
    assert listed("&paused=true") == [user for user in ordered if user in users[1::2]]
    assert listed("&paused=false") == [user for user in ordered if user in users[::2]]
    assert listed("&pending=true") == [user for user in ordered if user in users[::2]]
    assert listed("&paused=true&pending=true") == []
    assert listed("&worker=nobody") == []
    last = viewer.get(f"pipelines/?page_size=3&cursor={'bnU='}")
    assert last.body["previous"] is not None
    back = walk(viewer, below_api(viewer.get(below_api(viewer.get("pipelines/?page_size=3"), "next")), "previous"))
    assert [one["user_id"] for page in back for one in page] == ordered
    assert read_pipelines.walk(current(), {"pending": True}, start=None, backwards=False, limit=9, scan=2).scanned_to


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("engagements/?status=done", "status"),
        ("engagements/?status=", "status"),
        ("engagements/?status=pending&status=failed", "status"),
        ("engagements/?late=1", "late"),
        ("engagements/?user_id=", "user_id"),
        (f"engagements/?user_id={'x' * 201}", "user_id"),
        ("engagements/?user_id=%00", "user_id"),
        ("engagements/?channel=%00", "channel"),
        (f"engagements/?channel={'x' * 101}", "channel"),
        ("engagements/?page_size=0", "page_size"),
        ("engagements/?page_size=501", "page_size"),
        ("engagements/?page_size=ten", "page_size"),
        (f"engagements/?page_size={quote('٣')}", "page_size"),
        (f"engagements/?page_size={'9' * 5000}", "page_size"),
        ("engagements/?cursor=", "cursor"),
        ("engagements/?cursor=x", "cursor"),
        ("engagements/?cursor=bnh4", "cursor"),  # nxx
        ("engagements/?cursor=bi0x", "cursor"),  # n-1
        ("engagements/?cursor=bjk5OTk5OTk5OTk5OTk5OTk5OTk5", "cursor"),  # n and twenty nines
        ("engagements/?cursor=bgA=", "cursor"),  # n and NUL
        ("engagements/?page=2", "page"),
        ("engagements/?users=a", "users"),
        ("pipelines/?paused=yes", "paused"),
        ("pipelines/?user=a", "user"),
        ("pipelines/?cursor=bgA=", "cursor"),
        ("pipelines/a/?x=1", "x"),
        ("pipelines/a/order-proof/?x=1", "x"),
        ("queues/?x=1", "x"),
        ("channels/?x=1", "x"),
        ("channels/?cursor=bgA=", "cursor"),
        ("channels/log/?x=1", "x"),
        ("engagements/00000000-0000-0000-0000-000000000001/?x=1", "x"),
    ],
)
def test_a_wrong_or_unknown_parameter_is_named(path: str, field: str) -> None:
    answer = Caller("viewer").get(path)
    assert answer.status == 400
    assert field in answer.fields


def test_reading_does_not_write() -> None:
    produce(user_id="a", payload={})
    viewer = Caller("viewer")
    before = transaction.savepoint()
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    for path in ("engagements/", "pipelines/", "pipelines/a/", "queues/", "channels/", "pipelines/a/order-proof/"):
        assert viewer.get(path).status == 200
    transaction.savepoint_rollback(before)
