"""The engine: one asyncio loop in a thread of the Celery worker process that delivers for all of its users.

A crash at any point leaves leases that run out and heads marked in service; nothing lives here that PostgreSQL lacks.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine, Sequence
from time import monotonic, sleep
from typing import Any

import psycopg
import uvloop

from engagements import wakeups
from engagements.store import lease, unordered, workers
from engagements.store.connection import Connection
from engagements.store.expire import Expired
from workers.engine.channelset import ChannelSet
from workers.engine.course import Course
from workers.engine.crowd import Crowd
from workers.engine.keeper import (
    BEAT_SECONDS,
    CHANNELS_SECONDS,
    COUNT_SECONDS,
    CUT_SECONDS,
    FORGOTTEN_SECONDS,
    OPERATE_SECONDS,
    POLL_SECONDS,
    RENEW_SECONDS,
    RESUME_SECONDS,
    REVOKE_SECONDS,
    SWEEP_SECONDS,
    Keeper,
    every,
)
from workers.engine.lane import Lane
from workers.engine.operator import Operator
from workers.engine.parents import Parents
from workers.engine.plans import Plans
from workers.engine.trust import Trust
from workers.engine.unordered import UnorderedCourse

logger = logging.getLogger("workers.engine")

LANES = (
    *("beat", "keep", "sweep", "wake", "crowd"),
    *("claim", "settle-1", "settle-2", "settle-deep"),
    *("unordered", "unordered-settle-1", "unordered-settle-2"),
)
"""One database connection each. Two settle, of either kind: while one commits, the other's statement runs."""

USERS_IN_FLIGHT = 10_000
"""The bound of back-pressure: about 10 kB of memory each; the rest stays in the queue and in PostgreSQL."""

UNORDERED_IN_FLIGHT = 2_000
"""The same for unordered ones, a row each: fewer, so that they leave sockets to the users in line."""

SUBMIT_WAIT_SECONDS = 5.0
"""How long a wake-up waits for room before it is dropped: the poll finds its users."""

PLANS_SECONDS = 0.5
"""How often the size of the tables is looked at, by which the statements are planned."""

GRACE_SECONDS = 0.7
"""At a stop: for attempts that run to end by themselves. The users should go on elsewhere within 2 s."""

STOP_SECONDS = 5.0
"""At a stop: for the database to take what has ended. After that the leases run out by themselves."""


class Engine:
    """Delivers for one worker from start() to stop()."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._stop_asked: asyncio.Event | None = None
        self._course: Course | None = None
        self._free: UnorderedCourse | None = None
        self._superseded = False

    # --- Called from other threads ---

    def start(self) -> None:
        """Return at once; delivery begins as soon as the database answers."""
        self._thread.start()
        self._started.wait()

    def submit(self, users: Sequence[str]) -> None:
        """These users have work. Waits while the engine is full; after SUBMIT_WAIT_SECONDS the poll finds them."""
        until = monotonic() + SUBMIT_WAIT_SECONDS
        course = self._course
        while course is not None and course.load >= course.limit and monotonic() < until:
            sleep(0.02)
        if course is not None and course.load < course.limit:
            self._call(course.want, users)

    def offer(self, users: Sequence[str]) -> None:
        """The same without waiting: the poll finds those for whom there is no room."""
        course = self._course
        if course is not None and course.load < course.limit:
            self._call(course.want, users)

    def submit_unordered(self) -> None:
        """There is unordered work."""
        if self._free is not None:
            self._call(self._free.look)

    def stop(self, timeout: float = GRACE_SECONDS + STOP_SECONDS + 2.0) -> None:
        """Give everything back and return; safe to call twice and from any thread."""
        if self._stop_asked is not None:
            self._call(self._stop_asked.set)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def ask_to_stop(self) -> None:
        """Begin to stop, without waiting for it."""
        if self._stop_asked is not None:
            self._call(self._stop_asked.set)

    def _call(self, work: Any, *args: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(work, *args)
            except RuntimeError:  # closed just now
                logger.debug("the engine has stopped")

    # --- In the engine's thread ---

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except Exception:
            logger.exception("the engine failed; the worker stops so that its supervisor starts it again")
            self._started.set()
            os.kill(os.getpid(), signal.SIGTERM)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop_asked = asyncio.Event()
        lanes = {name: self._lane(name) for name in LANES}
        channels, trust, crowd = ChannelSet(), Trust(), Crowd(lanes["crowd"])
        self._started.set()
        started = await self._register(lanes["beat"], trust)
        if started is None:
            await _close(lanes)
            return
        incarnation = started.incarnation
        parents = Parents(worker=self.worker, want=lambda users: course.want(users))
        course = Course(
            worker=self.worker,
            incarnation=incarnation,
            channels=channels,
            trust=trust,
            claims=lanes["claim"],
            crowd=crowd,
            limit=USERS_IN_FLIGHT,
            settled=parents.settled,
        )
        free = UnorderedCourse(
            worker=self.worker,
            channels=channels,
            trust=trust,
            claims=lanes["unordered"],
            limit=UNORDERED_IN_FLIGHT,
            settled=parents.settled,
        )

        def swept(expired: Expired) -> None:
            parents.settled(expired.ids)
            course.want(expired.users)

        def took_over(users: dict[str, list[str]]) -> None:
            course.want(users.pop(self.worker, []))
            wakeups.wake(users)

        keeper = Keeper(
            worker=self.worker,
            started=started,
            course=course,
            free=free,
            channels=channels,
            trust=trust,
            crowd=crowd,
            superseded=self._step_aside,
            settled=swept,
            moved=took_over,
        )
        plans, operator = Plans(lanes.values()), Operator()
        await self._until(keeper.read_channels, lanes["keep"])
        tasks = [
            every(BEAT_SECONDS, lambda: keeper.beat(lanes["beat"])),
            every(RENEW_SECONDS, lambda: keeper.renew(lanes["beat"])),
            every(CUT_SECONDS, keeper.cut_lost),
            every(REVOKE_SECONDS, lambda: keeper.revoke(lanes["sweep"])),
            every(POLL_SECONDS, lambda: keeper.poll(lanes["keep"])),
            every(POLL_SECONDS, lambda: keeper.fail_over(lanes["sweep"])),
            every(FORGOTTEN_SECONDS, lambda: keeper.remember(lanes["sweep"])),
            every(PLANS_SECONDS, lambda: plans.look(lanes["keep"])),
            every(RESUME_SECONDS, lambda: keeper.resume(lanes["keep"])),
            every(OPERATE_SECONDS, lambda: operator.look(lanes["keep"])),
            every(SWEEP_SECONDS, lambda: keeper.sweep(lanes["sweep"])),
            every(CHANNELS_SECONDS, lambda: keeper.read_channels(lanes["keep"])),
            every(COUNT_SECONDS, lambda: keeper.count(lanes["keep"])),
            keeper.read_new_channels(lanes["keep"]),
            course.claim_forever(),
            course.settle_forever(lanes["settle-1"]),
            course.settle_forever(lanes["settle-2"]),
            course.settle_deep_forever(lanes["settle-deep"]),
            free.claim_forever(),
            free.settle_forever(lanes["unordered-settle-1"]),
            free.settle_forever(lanes["unordered-settle-2"]),
            parents.wake_forever(lanes["wake"]),
            crowd.serve_forever(),
        ]
        self._course, self._free = course, free
        logger.info("engine of %s delivers, incarnation %d", self.worker, incarnation)
        await self._watch(tasks)
        running = [task for task in asyncio.all_tasks() if task.get_name().startswith("engine-")]
        await self._shut_down(course, free, parents, keeper, lanes, running)
        operator.close()
        await channels.close()
        await _close(lanes)

    def _lane(self, name: str) -> Lane:
        return Lane(name, application_name=f"engine {self.worker} {name}"[:63])

    async def _register(self, lane: Lane, trust: Trust) -> workers.Started | None:
        """Begin the incarnation, however long the database takes to answer; None: asked to stop before."""
        assert self._stop_asked is not None
        while not self._stop_asked.is_set():
            sent = monotonic()
            try:
                started = await lane.run(workers.start, self.worker)
                trust.renew(sent)
                return started
            except psycopg.Error as error:  # also: not migrated yet
                logger.warning("waiting for the database: %s", error)
                await asyncio.sleep(0.5)
        return None

    async def _until(self, work: Any, lane: Lane) -> None:
        """Repeat until the database has answered once."""
        assert self._stop_asked is not None
        while not self._stop_asked.is_set():
            try:
                await work(lane)
                return
            except psycopg.OperationalError as error:
                logger.warning("waiting for the database: %s", error)
                await asyncio.sleep(0.5)

    async def _watch(self, works: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run until asked to stop. A duty that ends by itself is a bug: the worker then starts anew."""
        assert self._stop_asked is not None
        stop = asyncio.ensure_future(self._stop_asked.wait())
        tasks = [
            asyncio.get_running_loop().create_task(work, name=f"engine-{number}") for number, work in enumerate(works)
        ]
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            logger.critical("a duty of the engine ended", exc_info=task.exception())
            os.kill(os.getpid(), signal.SIGTERM)

    def _step_aside(self) -> None:
        """Another process runs under this name; it has revoked our leases."""
        logger.critical("another worker has started under the name %s: this one stops", self.worker)
        self._superseded = True
        assert self._stop_asked is not None
        self._stop_asked.set()
        os.kill(os.getpid(), signal.SIGTERM)

    async def _shut_down(
        self,
        course: Course,
        free: UnorderedCourse,
        parents: Parents,
        keeper: Keeper,
        lanes: dict[str, Lane],
        tasks: Sequence[asyncio.Task[Any]],
    ) -> None:
        """Let attempts end, cut the rest, give back what is left, leave the ring and hand the users on."""
        course.stop()
        free.stop()
        began = monotonic()

        def idle() -> bool:
            return course.idle() and free.idle() and parents.idle()

        while not idle() and monotonic() < began + GRACE_SECONDS:
            await asyncio.sleep(0.01)
        course.cut(list(course.flights))
        free.cut_all()
        while not idle() and monotonic() < began + GRACE_SECONDS + STOP_SECONDS:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._superseded:
            return
        try:
            moved = await lanes["beat"].run(
                _leave,
                self.worker,
                keeper.incarnation,
                course.held(),
                {id: flight.grant.token for id, flight in free.flights.items() if flight.grant},
            )
            wakeups.wake(moved)
        except psycopg.OperationalError as error:
            logger.warning("could not leave in order, the leases will run out: %s", error)


async def _close(lanes: dict[str, Lane]) -> None:
    for lane in lanes.values():
        await lane.close()


def _leave(
    conn: Connection, worker: str, incarnation: int, held: dict[str, int], free: dict[Any, int]
) -> dict[str, list[str]]:
    lease.release(conn, held, worker=worker, incarnation=incarnation)
    unordered.release(conn, free)
    workers.stop(conn, worker, incarnation)
    return workers.move_orphans(conn, workers.alive(conn))
