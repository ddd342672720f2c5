"""Back-pressure: a bound on the users in flight; the rest stays in the queue and in PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from engagements.services import produce_bulk
from engagements.store.connection import Connection
from tests.support.channels import Gate
from tests.support.engines import OpenDesk
from tests.support.store import pipeline, start_worker
from workers.channels.base import Delivered, Delivery, Outcome
from workers.engine.channelset import ChannelSet, read_configs
from workers.engine.course import Course
from workers.engine.crowd import Crowd
from workers.engine.lane import Lane
from workers.engine.trust import Trust


async def fact(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 - the facts are of the engine and of the database
            await asyncio.sleep(0.005)


async def with_course(limit: int, story: Callable[[Course], Awaitable[None]]) -> None:
    """Run the story beside a course of at most `limit` users."""
    channels, trust = ChannelSet(), Trust()
    lanes = [Lane(name, application_name="pressure") for name in ("claim", "settle")]
    trust.renew(monotonic() + 60)
    await channels.replace(await lanes[0].run(read_configs))
    course = Course(
        worker="w1",
        incarnation=1,
        channels=channels,
        trust=trust,
        claims=lanes[0],
        crowd=Crowd(lanes[0]),
        limit=limit,
        settled=lambda ids: None,
    )
    duties = [asyncio.ensure_future(work) for work in (course.claim_forever(), course.settle_forever(lanes[1]))]
    try:
        await story(course)
    finally:
        for duty in duties:
            duty.cancel()
            with suppress(asyncio.CancelledError):
                await duty
        for lane in lanes:
            await lane.close()


def test_no_more_users_are_in_flight_than_the_bound(open_desk: OpenDesk, conn: Connection) -> None:
    """Those beyond it are not even leased; they get their turn when others have had theirs."""
    gate = Gate()

    async def wait(delivery: Delivery) -> Outcome:
        await gate.wait()
        return Delivered()

    desk = open_desk(wait)
    start_worker(conn, "w1")
    users = [f"u{n:02}" for n in range(20)]
    produce_bulk([{"user_id": user, "payload": {}, "channel": "desk"} for user in users])

    async def story(course: Course) -> None:
        course.want(users)
        await fact(lambda: len(desk.running) == 5)
        assert course.load == 20
        leased = conn.execute("SELECT count(*) FROM engagements_pipeline WHERE lease_worker IS NOT NULL").fetchone()
        assert leased == (5,)
        gate.open()
        await fact(lambda: len(desk.calls) == 20 and not desk.running)
        await fact(lambda: course.load == 0)

    asyncio.run(with_course(5, story))
    assert desk.most_at_once <= 5
    assert {pipeline(user).depth for user in users} == {0}


def test_who_is_wanted_twice_is_worked_on_once(open_desk: OpenDesk, conn: Connection) -> None:
    """Repeated wake-ups cost a look, not a second attempt."""
    gate = Gate()

    async def wait(delivery: Delivery) -> Outcome:
        await gate.wait()
        return Delivered()

    desk = open_desk(wait)
    start_worker(conn, "w1")
    produce_bulk([{"user_id": "ann", "payload": {}, "channel": "desk"}])

    async def story(course: Course) -> None:
        for _ in range(50):
            course.want(["ann"])
        await fact(lambda: len(desk.running) == 1)
        for _ in range(50):
            course.want(["ann", "stranger"])
        gate.open()
        await fact(lambda: course.load == 0)

    asyncio.run(with_course(5, story))
    assert len(desk.calls) == 1
