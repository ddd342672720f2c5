"""The engine's end: asked to stop, superseded, or gone."""

from time import monotonic
from uuid import UUID

from engagements.models import Attempt, Pipeline, Worker
from engagements.services import produce, produce_bulk
from engagements.store import workers
from engagements.store.connection import Connection
from tests.support.channels import never
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import pipeline, status, until
from workers.channels.base import Delivered, Delivery, Outcome

STOP_SECONDS = 2.0


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, channel="desk", **fields).engagement.id


async def first_attempt_hangs(delivery: Delivery) -> Outcome:
    return await never(delivery) if delivery.attempt == 1 else Delivered()


def test_a_stop_gives_everything_back_within_two_seconds(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    """Attempts that hang are cut and recorded; nobody has to wait for a lease to run out."""
    desk = open_desk(never)
    engine = start_engine()
    ordered, loose = make(), make("bob", unordered=True)
    engine.submit(["ann"])
    engine.submit_unordered()
    until(lambda: len(desk.running) == 2, "both attempts")

    began = monotonic()
    engine.stop()

    assert monotonic() - began < STOP_SECONDS
    assert [call.cancelled for call in desk.calls] == [True, True]
    assert desk.closed == 1
    assert (status(ordered), status(loose)) == ("pending", "pending")
    row = pipeline("ann")
    assert (row.lease_worker, row.in_service, row.sequence) == (None, ordered, 1)
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"interrupted"}
    assert Worker.objects.get(name="w1").stopped_at is not None


def test_another_worker_goes_on_at_once(open_desk: OpenDesk, start_engine: StartEngine) -> None:
    """With what was being attempted, and its number."""
    desk = open_desk(first_attempt_hangs)
    first = start_engine("w1")
    one = make()
    first.submit(["ann"])
    until(lambda: desk.running, "the attempt")
    start_engine("w2")
    two = make()

    began = monotonic()
    first.stop()
    until(lambda: len(desk.calls) > 1, "the second attempt")

    assert desk.calls[1].began - began < STOP_SECONDS + 1
    assert (desk.ids[1], desk.calls[1].delivery.sequence) == (one, 1)
    until(lambda: len(desk.calls) > 2, "the next one's first attempt, which hangs")
    assert (pipeline("ann").worker, desk.ids[2], status(one)) == ("w2", two, "delivered")


def test_a_stop_in_the_middle_of_a_stream_loses_and_reorders_nothing(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    desk = open_desk()
    engine = start_engine()
    items = produce_bulk([{"user_id": "ann", "payload": {}, "channel": "desk"} for _ in range(300)])
    engine.submit(["ann"])
    until(lambda: len(desk.calls) > 20, "some deliveries")
    engine.stop()
    assert pipeline("ann").lease_worker is None
    assert 0 < pipeline("ann").depth < 300
    start_engine("w1")
    until(lambda: pipeline("ann").depth == 0, "the rest")
    accepted: list[UUID] = []
    last = 0
    for call in desk.calls:
        sequence = call.delivery.sequence or 0
        if sequence > last:
            accepted.append(call.delivery.id)
            last = sequence
    assert accepted == [item.id for item in items]


def test_stopping_twice_and_before_the_start_of_anything_is_harmless(
    open_desk: OpenDesk, start_engine: StartEngine
) -> None:
    open_desk()
    engine = start_engine()
    engine.ask_to_stop()
    engine.stop()
    engine.stop()
    engine.submit(["ann"])
    engine.submit_unordered()


def test_a_superseded_engine_steps_aside(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int], conn: Connection
) -> None:
    """Another process started under its name: it cuts what it does, takes nothing, and asks its worker to end."""
    desk = open_desk(never)
    engine = start_engine("w1")
    one = make()
    engine.submit(["ann"])
    until(lambda: desk.running, "the attempt")

    incarnation = workers.start(conn, "w1").incarnation
    until(lambda: terminations, "its farewell")
    engine.stop()

    assert desk.calls[0].cancelled
    assert workers.beat(conn, "w1", incarnation)  # it has not ended the new one's life
    assert Worker.objects.get(name="w1").stopped_at is None
    assert (status(one), pipeline("ann").in_service) == ("pending", one)


def test_two_engines_of_one_name_never_attempt_two_of_a_user_at_once(
    open_desk: OpenDesk, start_engine: StartEngine, terminations: list[int]
) -> None:
    """The old one and the new one share a name for a second."""
    desk = open_desk()
    first = start_engine("w1")
    produce_bulk([{"user_id": "ann", "payload": {}, "channel": "desk"} for _ in range(400)])
    first.submit(["ann"])
    until(lambda: len(desk.calls) > 10, "some deliveries")
    second = start_engine("w1")
    second.submit(["ann"])
    until(lambda: pipeline("ann").depth == 0, "the rest")
    until(lambda: terminations, "the old one's farewell")
    settled = list(Attempt.objects.filter(outcome="delivered").order_by("sequence").values_list("sequence", flat=True))
    assert settled == list(range(1, 401))
    assert not Pipeline.objects.exclude(lease_worker=None).exists()
