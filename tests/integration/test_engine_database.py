"""The engine and a database that goes away in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from engagements import conf
from engagements.models import Attempt, Engagement, Pipeline
from engagements.services import produce, produce_bulk
from engagements.store import workers
from engagements.store.connection import Connection, fetch
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import Connect, until
from workers.engine.engine import LANES

USERS = [f"u{n}" for n in range(20)]


def cut_connections(conn: Connection, like: str = "engine %") -> int:
    """End all of the engines' sessions that there are; how many."""
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s"
    return len(fetch(conn, sql, [like]))


def accepted(desk_calls: list[tuple[int, UUID]]) -> list[UUID]:
    """What a receiver keeps that ignores every sequence which it has had."""
    last, kept = 0, []
    for sequence, id in desk_calls:
        if sequence > last:
            last = sequence
            kept.append(id)
    return kept


def test_connections_that_are_cut_again_and_again_lose_and_reorder_nothing(
    open_desk: OpenDesk, start_engine: StartEngine, conn: Connection, terminations: list[int]
) -> None:
    """Whatever was under way: claims, settles, heartbeats. Nor does anybody wait until a lease has run out."""
    desk = open_desk()
    engine = start_engine()
    items = produce_bulk(
        [
            {"user_id": user, "payload": {}, "channel": "desk", "timeout_seconds": 300}
            for _ in range(30)
            for user in USERS
        ]
    )
    engine.submit(USERS)
    cuts = 0
    while cuts < 5:
        seen = len(desk.calls)
        until(lambda seen=seen: len(desk.calls) > seen + 20 or not pending(), "some deliveries")  # type: ignore[misc]
        assert cut_connections(conn) > 0
        cuts += 1
    began = monotonic()
    until(lambda: not pending(), "all to be settled")
    assert monotonic() - began < conf.lease_seconds()

    assert set(Engagement.objects.values_list("status", flat=True)) == {"delivered"}
    for user in USERS:
        calls = [(call.delivery.sequence or 0, call.delivery.id) for call in desk.of(user)]
        assert accepted(calls) == [item.id for item in items if USERS[item.index % len(USERS)] == user]
    assert Attempt.objects.filter(outcome="delivered").count() == 600
    assert terminations == []


def pending() -> bool:
    return Pipeline.objects.filter(depth__gt=0).exists()


def test_an_engine_waits_for_a_database_that_is_away_and_goes_on(
    open_desk: OpenDesk, start_engine: StartEngine, connect: Connect, terminations: list[int]
) -> None:
    """Nobody may connect for a while; the engine does not end."""
    desk = open_desk()
    observer = connect()
    start_engine()
    one = produce(user_id="ann", payload={}, channel="desk").engagement.id
    until(lambda: desk.ids == [one], "the first delivery")
    with away(observer):
        two = produce(user_id="ann", payload={}, channel="desk").engagement.id
    until(lambda: desk.ids == [one, two], "the second delivery")
    assert terminations == []


@contextmanager
def away(observer: Connection) -> Iterator[None]:
    """A database that the engines cannot reach; the sessions that are no engine's stay."""
    [(name,)] = fetch(observer, "SELECT current_database()")
    info = observer.info
    with psycopg.connect(info.dsn, dbname="postgres", password=info.password, autocommit=True) as other:
        other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        try:
            cut_connections(observer)
            until(lambda: not _engines(observer), "the engines' last session to end")
            yield
        finally:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())


def _engines(conn: Connection) -> int:
    return len(fetch(conn, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'engine %'"))


@pytest.mark.parametrize("lane", sorted({*LANES} - {"crowd", "settle-deep"}))  # those are not used here
def test_each_of_its_connections_is_replaced(
    open_desk: OpenDesk, start_engine: StartEngine, conn: Connection, terminations: list[int], lane: str
) -> None:
    desk = open_desk()
    engine = start_engine()
    first = produce_bulk(
        [{"user_id": user, "payload": {}, "channel": "desk"} for user in USERS]
        + [{"user_id": "loose", "payload": {}, "channel": "desk", "unordered": True}]
    )
    engine.submit(USERS)
    engine.submit_unordered()
    until(lambda: len(desk.calls) == len(first), "the first deliveries")
    if lane.endswith("-2"):  # the first of the two may have done it all
        cut_connections(conn, f"engine w1 {lane}")
    else:
        until(lambda: cut_connections(conn, f"engine w1 {lane}") == 1, "its connection")
    second = produce_bulk(
        [{"user_id": user, "payload": {}, "channel": "desk"} for user in USERS]
        + [{"user_id": "loose", "payload": {}, "channel": "desk", "unordered": True}]
    )
    engine.submit(USERS)
    engine.submit_unordered()
    until(
        lambda: Engagement.objects.filter(status="delivered").count() == len(first) + len(second),
        "the second deliveries",
    )
    assert terminations == []


def test_a_database_that_was_away_moves_no_users(
    open_desk: OpenDesk, start_engine: StartEngine, connect: Connect, terminations: list[int]
) -> None:
    """Everybody's heartbeat is old when it is back: who writes the first one must not take the others for dead."""
    open_desk()
    observer = connect()
    for name in ("w1", "w2"):
        start_engine(name)
    items = produce_bulk([{"user_id": user, "payload": {}, "channel": "desk"} for user in USERS])
    until(lambda: Engagement.objects.filter(status="delivered").count() == len(items), "the deliveries")
    pins = dict(Pipeline.objects.values_list("user_id", "worker"))
    assert set(pins.values()) == {"w1", "w2"}

    with away(observer):
        until(lambda: not workers.alive(observer), "their heartbeats to be old")
        produce_bulk([{"user_id": user, "payload": {}, "channel": "desk"} for user in USERS])
    until(lambda: Engagement.objects.filter(status="delivered").count() == 2 * len(items), "the later deliveries")

    assert dict(Pipeline.objects.values_list("user_id", "worker")) == pins
    assert terminations == []
