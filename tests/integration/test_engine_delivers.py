"""The engine in its own thread: order, one at a time, retries in place, parents, unordered work, lost wake-ups."""

import asyncio
from uuid import UUID, uuid4

from engagements.models import Attempt, Engagement, Rollup, SettledCount
from engagements.services import produce, produce_bulk
from engagements.store.connection import Connection, fetch
from engagements.store.rollups import COARSE_SECONDS, FINE_SECONDS
from tests.support.channels import Gate, delivered, never
from tests.support.engines import OpenDesk, StartEngine
from tests.support.history import settled, start_counting
from tests.support.store import engagement, pipeline, status, until
from workers.channels.base import Delivered, Delivery, Failed, Outcome, Retry
from workers.engine.course import DEEP


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, channel="desk", **fields).engagement.id


def test_a_users_engagements_come_one_by_one_in_order(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    async def slowly(delivery: Delivery) -> Outcome:
        await asyncio.sleep(0)
        return Delivered()

    desk = open_desk(slowly)
    engine = start_engine()
    items = produce_bulk([{"user_id": "ann", "payload": {"n": n}, "channel": "desk"} for n in range(200)])
    engine.submit(["ann"])
    until(lambda: pipeline("ann").depth == 0, "all to be settled")

    assert desk.ids == [item.id for item in items]
    assert [call.delivery.sequence for call in desk.calls] == list(range(1, 201))
    assert desk.most_at_once == 1
    first = desk.calls[0].delivery
    assert (first.user_id, first.attempt, first.payload, first.unordered, first.late) == (
        "ann",
        1,
        '{"n": 0}',
        False,
        False,
    )
    assert first.fencing_token == pipeline("ann").lease_token
    assert set(Engagement.objects.values_list("status", "attempts")) == {("delivered", 1)}
    assert Attempt.objects.filter(outcome="delivered", answer="", worker="w1").count() == 200


def test_one_with_many_waiting_is_settled_apart_from_the_others_groups(
    open_desk: OpenDesk, start_engine: StartEngine, conn: Connection
) -> None:
    def lanes() -> set[str]:
        names = fetch(conn, "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'engine w1 %'")
        return {name.removeprefix("engine w1 ") for (name,) in names}

    desk = open_desk()
    engine = start_engine()
    produce_bulk([{"user_id": "bob", "payload": {}, "channel": "desk"} for _ in range(DEEP - 1)])
    engine.submit(["bob"])
    until(lambda: pipeline("bob").depth == 0, "all of the shallow one to be settled")
    assert lanes() & {"settle-1", "settle-2", "settle-deep"} <= {"settle-1", "settle-2"}

    desk.calls.clear()
    items = produce_bulk([{"user_id": "ann", "payload": {}, "channel": "desk"} for _ in range(DEEP + 1)])
    engine.submit(["ann"])
    until(lambda: pipeline("ann").depth == 0, "all of the deep one to be settled")
    assert "settle-deep" in lanes()
    assert desk.ids == [item.id for item in items]


def test_users_do_not_wait_for_each_other(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    """One hangs, one fails for ever, and the others go on."""

    async def by_user(delivery: Delivery) -> Outcome:
        if delivery.user_id == "hangs":
            return await never(delivery)
        if delivery.user_id == "poisoned":
            return Retry("503")
        return Delivered()

    open_desk(by_user)
    engine = start_engine()
    users = ["hangs", "poisoned", *(f"u{n}" for n in range(50))]
    produce_bulk([{"user_id": user, "payload": {}, "channel": "desk"} for user in users for _ in range(3)])
    engine.submit(users)
    until(lambda: Engagement.objects.filter(status="delivered").count() == 150, "the others' deliveries")
    assert Engagement.objects.filter(status="pending", user_id__in=("hangs", "poisoned")).count() == 6


def test_a_retry_is_in_place_and_keeps_its_number(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    async def third_time(delivery: Delivery) -> Outcome:
        if delivery.sequence == 1 and delivery.attempt < 3:
            return Retry("not now", after_seconds=0.01)
        return Delivered()

    desk = open_desk(third_time)
    engine = start_engine()
    one, two = make(), make()
    engine.submit(["ann"])
    until(lambda: pipeline("ann").depth == 0, "both to be settled")

    assert desk.ids == [one, one, one, two]
    assert [(call.delivery.sequence, call.delivery.attempt) for call in desk.calls] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    tokens = [call.delivery.fencing_token or 0 for call in desk.calls]
    assert tokens == sorted(tokens)
    assert (engagement(one).attempts, engagement(one).last_error) == (3, "")


def test_a_failed_one_makes_way(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    async def refuse_the_first(delivery: Delivery) -> Outcome:
        return Failed("410 gone") if delivery.sequence == 1 else Delivered()

    open_desk(refuse_the_first)
    engine = start_engine()
    one, two = make(), make()
    engine.submit(["ann"])
    until(lambda: status(two) == "delivered", "the second")
    assert (engagement(one).status, engagement(one).last_error) == ("failed", "410 gone")


def test_what_nobody_announced_is_found(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    open_desk()
    start_engine()
    ordered, loose = make(), make("bob", unordered=True)
    until(lambda: status(ordered) == status(loose) == "delivered", "the poll's deliveries")


def test_what_waited_before_the_worker_started_is_found(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    open_desk()
    one = make()
    start_engine()
    until(lambda: status(one) == "delivered", "the delivery")
    assert pipeline("ann").worker == "w1"


def test_a_child_follows_its_parent_across_users_and_workers(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    gate = Gate()

    async def parent_waits(delivery: Delivery) -> Outcome:
        if delivery.causal_parent is None:
            await gate.wait()
        return Delivered()

    desk = open_desk(parent_waits)
    for name in ("w1", "w2"):
        start_engine(name)
    parent = make("p")
    chain = [parent]
    for number in range(6):
        chain.append(make(f"c{number}", causal_parent=chain[-1]))
    until(lambda: desk.running, "the parent's attempt")
    assert desk.ids == [parent]
    gate.open()
    until(lambda: status(chain[-1]) == "delivered", "the last of the chain")
    assert desk.ids == chain
    workers = set(Attempt.objects.values_list("worker", flat=True))
    assert workers <= {"w1", "w2"}


def test_a_parent_that_comes_last_is_waited_for(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    desk = open_desk()
    engine = start_engine()
    parent = uuid4()
    child = make("ann", causal_parent=parent)
    behind = make("ann")
    engine.submit(["ann"])
    make("bob", id=parent)
    engine.submit(["bob"])
    until(lambda: status(behind) == status(child) == "delivered", "the child and what stood behind it")
    assert desk.ids.index(parent) < desk.ids.index(child)


def test_unordered_ones_run_side_by_side(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    gate = Gate()

    async def wait(delivery: Delivery) -> Outcome:
        await gate.wait()
        return Delivered()

    desk = open_desk(wait)
    engine = start_engine()
    ids = {make(unordered=True) for _ in range(5)}
    engine.submit_unordered()
    until(lambda: len(desk.running) == 5, "all at once")
    gate.open()
    until(lambda: {status(id) for id in ids} == {"delivered"}, "their deliveries")
    assert {(call.delivery.sequence, call.delivery.fencing_token) for call in desk.calls} == {(None, None)}


def test_an_unordered_retry_waits_alone(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    async def second_time(delivery: Delivery) -> Outcome:
        return Delivered() if delivery.attempt == 2 else Retry("503")

    open_desk(second_time)
    engine = start_engine()
    one = make(unordered=True)
    engine.submit_unordered()
    until(lambda: status(one) == "delivered", "the second attempt")
    assert list(Attempt.objects.order_by("number").values_list("number", "outcome")) == [(1, "retry"), (2, "delivered")]


def test_late_ones_are_flagged(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    gate = Gate()

    async def first_waits(delivery: Delivery) -> Outcome:
        await gate.wait()
        return Delivered()

    desk = open_desk(first_waits)
    engine = start_engine()
    make()
    engine.submit(["ann"])
    until(lambda: desk.running, "the first attempt")
    late = make(produced_at="2026-01-01T00:00:00Z")
    gate.open()
    until(lambda: status(late) == "delivered", "the late one")
    assert [call.delivery.late for call in desk.calls] == [False, True]


def test_channels_that_never_wait_are_called_at_once(start_engine: StartEngine, open_desk: OpenDesk) -> None:
    open_desk()
    engine = start_engine()
    one = produce(user_id="ann", payload={}).engagement.id  # the default channel: the log
    engine.submit(["ann"])
    until(lambda: status(one) == "delivered", "the log's line")
    assert delivered is not never


def test_what_has_settled_is_counted_without_anybody_asking(start_engine: StartEngine, conn: Connection) -> None:
    start_counting(conn, ago=60)
    settled(conn, 3, ago=30)
    start_engine()
    start_engine("w2")
    until(lambda: SettledCount.objects.get(status="delivered").total > 0, "an engine to count")
    assert SettledCount.objects.get(status="delivered").total == 3
    assert {row.width_seconds: row.settled for row in Rollup.objects.all()} == {FINE_SECONDS: 3, COARSE_SECONDS: 3}
