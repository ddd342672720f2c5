"""The engine and time: attempts that hang, deadlines, pauses."""

from uuid import UUID, uuid4

from engagements import services
from engagements.models import Attempt, Engagement
from engagements.services import produce
from engagements.store.connection import Connection
from tests.support.channels import Gate, never
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import engagement, pipeline, status, until
from workers.channels.base import Delivered, Delivery, Outcome, Retry


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, channel="desk", **fields).engagement.id


def overrun(id: UUID) -> float:
    """Seconds from the deadline to the settling."""
    row = Engagement.objects.get(id=id)
    assert row.settled_at is not None
    return (row.settled_at - row.expires_at).total_seconds()


def test_a_hung_receiver_is_cut_at_the_deadline_and_the_next_moves_up(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    async def first_hangs(delivery: Delivery) -> Outcome:
        return await never(delivery) if delivery.sequence == 1 else Delivered()

    desk = open_desk(first_hangs)
    engine = start_engine()
    one, two = make(timeout_seconds=0.6), make()
    engine.submit(["ann"])
    until(lambda: status(two) == "delivered", "the second")

    assert desk.calls[0].cancelled
    assert (engagement(one).status, engagement(one).attempts, engagement(one).sequence) == ("expired", 1, 1)
    assert 0 <= overrun(one) < 1
    assert list(Attempt.objects.order_by("id").values_list("outcome", flat=True)) == ["cut", "delivered"]


def test_an_unordered_one_is_cut_at_its_deadline(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    desk = open_desk(never)
    engine = start_engine()
    one = make(unordered=True, timeout_seconds=0.6)
    engine.submit_unordered()
    until(lambda: status(one) == "expired", "its expiry")
    assert desk.calls[0].cancelled
    assert 0 <= overrun(one) < 1


def test_what_is_retried_until_its_deadline_expires_then(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    async def retry(delivery: Delivery) -> Outcome:
        return Retry("503", after_seconds=0.05)

    desk = open_desk(retry)
    engine = start_engine()
    one = make(timeout_seconds=0.7)
    engine.submit(["ann"])
    until(lambda: status(one) == "expired", "its expiry")
    assert engagement(one).last_error == "503"
    assert engagement(one).attempts == len(desk.calls) > 2
    assert 0 <= overrun(one) < 1


def test_what_never_came_to_its_turn_expires_within_a_second(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    """Behind a hung head, or waiting for a parent that never comes."""
    open_desk(never)
    engine = start_engine()
    head, behind = make("ann"), make("ann", timeout_seconds=0.5)
    child = make("bob", causal_parent=uuid4(), timeout_seconds=0.5)
    engine.submit(["ann", "bob"])
    until(lambda: status(behind) == status(child) == "expired", "their expiry")
    assert 0 <= overrun(behind) < 1
    assert 0 <= overrun(child) < 1
    assert (engagement(behind).sequence, engagement(child).sequence) == (None, None)
    assert status(head) == "pending"


def test_a_running_attempt_may_finish_while_paused_and_nothing_starts(
    open_desk: OpenDesk, start_engine: StartEngine, conn: Connection
) -> None:
    gate = Gate()

    async def wait(delivery: Delivery) -> Outcome:
        await gate.wait()
        return Delivered()

    desk = open_desk(wait)
    engine = start_engine()
    one, two = make(), make()
    engine.submit(["ann"])
    until(lambda: desk.running, "the attempt")
    services.pause("ann", actor="test")
    gate.open()
    until(lambda: status(one) == "delivered", "its end")
    engine.submit(["ann"])
    until(lambda: pipeline("ann").lease_worker is None, "the lease's end")
    assert (desk.ids, status(two)) == ([one], "pending")
    services.resume("ann", actor="test")
    engine.submit(["ann"])
    until(lambda: status(two) == "delivered", "the second")


def test_an_attempt_that_hangs_while_paused_is_cut_at_its_deadline_and_stays_pending(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    async def first_hangs(delivery: Delivery) -> Outcome:
        return await never(delivery) if delivery.attempt == 1 else Delivered()

    desk = open_desk(first_hangs)
    engine = start_engine()
    one = make(timeout_seconds=0.8)
    engine.submit(["ann"])
    until(lambda: desk.running, "the attempt")
    services.pause("ann", actor="test")
    until(lambda: Attempt.objects.filter(outcome="cut").exists(), "the cut")
    assert (status(one), desk.calls[0].cancelled) == ("pending", True)
    services.resume("ann", actor="test")
    engine.submit(["ann"])
    until(lambda: status(one) != "pending", "its end")
    assert (engagement(one).status, engagement(one).attempts, engagement(one).sequence) == ("delivered", 2, 1)
