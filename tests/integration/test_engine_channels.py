"""Channels are other people's code: whatever one does, its engagements end properly and the others go on."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest

from engagements.models import Attempt, Channel
from engagements.services import produce
from tests.support.channels import Desk, delivered, desks
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import engagement, pipeline, status, until
from workers.channels.base import Delivered, Delivery, Failed, Outcome, Retry


def make(user: str = "ann", channel: str = "desk", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, channel=channel, **fields).engagement.id


class Strange(Exception):
    """Even its text cannot be stored as it is."""

    def __str__(self) -> str:
        return "half a \ud800 pair and a \0"


def raising(error: Callable[[], BaseException]) -> Callable[[Delivery], Any]:
    async def answer(delivery: Delivery) -> Outcome:
        if delivery.attempt == 1:
            raise error()
        return Delivered()

    return answer


@pytest.mark.parametrize(
    "error",
    [
        lambda: ValueError("no"),
        lambda: TimeoutError("the receiver's own"),
        lambda: OSError(111, "refused"),
        Strange,
        lambda: asyncio.CancelledError("nobody asked for it"),
        lambda: ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
    ],
)
@pytest.mark.parametrize("unordered", [False, True])
def test_an_exception_counts_as_a_retry(
    open_desk: OpenDesk, start_engine: StartEngine, error: Callable[[], BaseException], unordered: bool
) -> None:
    desk = open_desk(raising(error))
    engine = start_engine()
    one = make(unordered=unordered)
    engine.submit(["ann"])
    engine.submit_unordered()
    until(lambda: status(one) == "delivered", "the second attempt")
    assert len(desk.calls) == 2
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == ["retry", "delivered"]


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        True,
        "delivered",
        Delivered,
        Delivered(answer=None),  # type: ignore[arg-type]
        Delivered(answer=b"bytes"),  # type: ignore[arg-type]
        Failed(error=7),  # type: ignore[arg-type]
        Retry(error=None),  # type: ignore[arg-type]
        Retry(error="later", after_seconds="5"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("unordered", [False, True])
def test_an_answer_that_is_no_outcome_counts_as_a_retry(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int], nonsense: Any, unordered: bool
) -> None:
    """And says so in its record; the engine goes on."""

    async def answer(delivery: Delivery) -> Any:
        return nonsense if delivery.attempt == 1 else Delivered()

    open_desk(answer)
    engine = start_engine()
    one = make(unordered=unordered)
    engine.submit(["ann"])
    engine.submit_unordered()
    until(lambda: status(one) == "delivered", "the second attempt")
    [first, _] = Attempt.objects.order_by("number")
    assert (first.outcome, "outcome" in first.answer) == ("retry", True)
    assert terminations == []


@pytest.mark.parametrize("wish", [float("inf"), float("nan"), -1.0, 1e300, pytest.param(10**400, id="huge")])
def test_any_pause_that_a_receiver_asks_for_can_be_stored(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int], wish: float
) -> None:
    async def answer(delivery: Delivery) -> Outcome:
        return Retry("later", after_seconds=wish)

    desk = open_desk(answer)
    engine = start_engine()
    one, loose = make(timeout_seconds=1), make(timeout_seconds=1, unordered=True)
    engine.submit(["ann"])
    engine.submit_unordered()
    until(lambda: status(one) == status(loose) == "expired", "their deadline")
    assert {call.delivery.id for call in desk.calls} == {one, loose}
    assert terminations == []


def test_a_channel_that_answers_its_cancellation_with_an_error_is_cut_all_the_same(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    async def answer(delivery: Delivery) -> Outcome:
        if delivery.sequence != 1:
            return Delivered()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("cancelled") from None
        raise AssertionError("unreachable")

    open_desk(answer)
    engine = start_engine()
    one, two = make(timeout_seconds=0.5), make()
    engine.submit(["ann"])
    until(lambda: status(two) == "delivered", "the next")
    assert (status(one), Attempt.objects.get(engagement_id=one).outcome) == ("expired", "cut")


def test_a_channel_that_answers_at_its_cancellation_is_believed(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    """It has been delivered after all: the first settle to commit wins."""

    async def answer(delivery: Delivery) -> Outcome:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return Delivered("in the last moment")
        raise AssertionError("unreachable")

    open_desk(answer)
    engine = start_engine()
    one = make(timeout_seconds=0.5)
    engine.submit(["ann"])
    until(lambda: status(one) != "pending", "its end")
    assert (engagement(one).status, pipeline("ann").depth) == ("delivered", 0)


def test_a_channel_that_cannot_be_made_fails_its_own_engagements_only(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int]
) -> None:
    open_desk()
    open_desk(name="broken", kind="broken-at-once")
    Channel.objects.create(name="unheard-of", kind="no-such-kind")
    engine = start_engine()
    ids = {name: make(name, channel=name) for name in ("desk", "broken", "unheard-of")}
    engine.submit(list(ids))
    until(lambda: all(status(id) != "pending" for id in ids.values()), "their ends")
    assert {name: status(id) for name, id in ids.items()} == {
        "desk": "delivered",
        "broken": "failed",
        "unheard-of": "failed",
    }
    assert "a mistake in somebody's channel" in engagement(ids["broken"]).last_error
    assert terminations == []


def test_a_channel_made_while_the_engine_runs_is_used(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    open_desk()
    engine = start_engine()
    new = open_desk(name="new")
    one = make(channel="new")
    engine.submit(["ann"])
    until(lambda: status(one) == "delivered", "its delivery")
    assert new.ids == [one]


def test_a_changed_channel_is_used_from_then_on_and_the_old_one_closed(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    old = open_desk()
    engine = start_engine()
    one = make()
    engine.submit(["ann"])
    until(lambda: status(one) == "delivered", "the first")
    new = desks["elsewhere"] = Desk(delivered)
    Channel.objects.update(url="elsewhere")
    until(lambda: old.closed == 1, "the change")
    two = make()
    engine.submit(["ann"])
    until(lambda: status(two) == "delivered", "the second")
    assert (old.ids, new.ids) == ([one], [two])


def test_a_channel_that_cannot_be_closed_keeps_nothing_from_going_on(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int]
) -> None:
    desk = open_desk(kind="broken-at-close")
    engine = start_engine()
    first = make()
    until(lambda: status(first) == "delivered", "the first")
    desks["again"] = desk
    Channel.objects.update(url="again")  # so that it is made anew
    until(lambda: desk.closed == 1, "the change")
    second = make()
    engine.submit(["ann"])
    until(lambda: status(second) == "delivered", "the second")
    engine.stop()
    assert (terminations, desk.closed) == ([], 2)


def test_a_channel_that_does_not_let_go_holds_nobody(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int]
) -> None:
    """It swallows its cancellation. A second after the deadline the attempt is given up for what it is."""
    over = threading.Event()

    async def answer(delivery: Delivery) -> Outcome:
        while delivery.id != two and not over.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        return Delivered()

    open_desk(answer)
    engine = start_engine()
    two = uuid4()
    one, loose = make(timeout_seconds=0.5), make(timeout_seconds=0.5, unordered=True)
    make(id=two)
    engine.submit(["ann"])
    engine.submit_unordered()
    try:
        until(lambda: status(two) == "delivered", "the next")
        until(lambda: status(loose) == "expired", "the unordered one's end")
        assert status(one) == "expired"
        began = monotonic()
    finally:
        over.set()
    engine.stop()
    assert monotonic() - began < 3
    assert terminations == []
