"""What operators take away from a running attempt: purge, skip, and the purge of the unordered queue."""

from time import monotonic
from uuid import UUID

from engagements import services
from engagements.services import produce
from tests.support.channels import Desk, never
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import pipeline, status, until
from workers.channels.base import Delivered, Delivery, Outcome
from workers.engine.engine import Engine

NOTICE_SECONDS = 3.0


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, channel="desk", **fields).engagement.id


async def first_hangs(delivery: Delivery) -> Outcome:
    return await never(delivery) if delivery.sequence == 1 else Delivered()


def cut_after(desk: Desk, began: float) -> float:
    until(lambda: desk.calls[0].ended is not None, "the cut")
    assert desk.calls[0].cancelled
    assert desk.calls[0].ended is not None
    return desk.calls[0].ended - began


def hang(open_desk: OpenDesk, start_engine: StartEngine) -> tuple[Desk, Engine, UUID]:
    desk = open_desk(first_hangs)
    engine = start_engine()
    one = make()
    engine.submit(["ann"])
    until(lambda: desk.running, "the attempt")
    return desk, engine, one


def test_a_purge_cuts_the_attempt_and_nothing_is_attempted_before(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    desk, engine, one = hang(open_desk, start_engine)

    began = monotonic()
    assert services.purge("ann", actor="test") == 1
    assert status(one) == "purged"
    fresh = make()
    engine.submit(["ann"])

    assert cut_after(desk, began) < NOTICE_SECONDS
    until(lambda: status(fresh) == "delivered", "the one that came after the purge")
    assert desk.ids == [one, fresh]
    assert desk.calls[0].ended is not None
    assert desk.calls[1].began >= desk.calls[0].ended
    assert desk.calls[1].delivery.sequence == 2


def test_a_skip_cuts_the_attempt_and_the_next_moves_up_after_it(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    desk, _, one = hang(open_desk, start_engine)
    two = make()
    began = monotonic()
    services.skip("ann", one, actor="test")
    assert cut_after(desk, began) < NOTICE_SECONDS
    until(lambda: status(two) == "delivered", "the next")
    assert desk.calls[0].ended is not None
    assert desk.calls[1].began >= desk.calls[0].ended
    assert pipeline("ann").depth == 0


def test_a_purge_of_the_worker_s_queue_cuts_as_well(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    desk, _, _ = hang(open_desk, start_engine)
    began = monotonic()
    assert services.purge_queue("deliver.w1", actor="test") == 1
    assert cut_after(desk, began) < NOTICE_SECONDS
    until(lambda: pipeline("ann").lease_worker is None, "the barrier's end")


def test_a_purge_of_the_unordered_queue_cuts_what_runs(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    desk = open_desk(never)
    engine = start_engine()
    one = make(unordered=True)
    engine.submit_unordered()
    until(lambda: desk.running, "the attempt")
    began = monotonic()
    assert services.purge_queue("unordered", actor="test") == 1
    assert cut_after(desk, began) < NOTICE_SECONDS
    assert status(one) == "purged"
