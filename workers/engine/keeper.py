"""What an engine does time and again: heartbeat, leases, poll, failover, sweep, channels, counting; broker or not."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from uuid import UUID

import psycopg

from engagements.domain.ring import queue_of
from engagements.store import children, everything, expire, lease, rollups, unordered, workers
from engagements.store.expire import Expired
from workers.engine.channelset import ChannelSet, read_configs
from workers.engine.course import Course
from workers.engine.crowd import Crowd
from workers.engine.lane import Lane
from workers.engine.trust import Trust
from workers.engine.unordered import UnorderedCourse

logger = logging.getLogger("workers.engine")

BEAT_SECONDS = 1.0
"""Five may be missed before the worker is taken for dead."""

RENEW_SECONDS = 1.0
"""How often held leases are renewed and looked at: a purge is noticed within this plus a statement."""

CUT_SECONDS = 0.25
"""How late an attempt is cut whose lease could not be renewed: well within the margin that leases and trust keep."""

REVOKE_SECONDS = 0.25
"""How often it is tried to revoke a lease of the process before that it had locked when this one started."""

POLL_SECONDS = 1.0
"""How long a lost wake-up can delay work."""

POLL_USERS = 2000
"""Users per look of the poll: some milliseconds of PostgreSQL's work, four claims' worth."""

SWEEP_SECONDS = 0.25
"""What nobody cuts is left alone for half a second and then settled within this plus a statement: within its 1 s."""

FULL_SWEEP_REST = 20.0
"""A sweep walks past what stands overdue in paused pipelines. Where that takes long, it is done for a twentieth of the
time only, and what fell due lately is swept in between."""

FORGOTTEN_SECONDS = 3.0
"""How long a child can wait whose waking was lost in a crash. The look costs one index probe per sleeping pipeline."""

RESUME_SECONDS = 1.0
"""How often it is looked whether everything is being resumed and nobody is at it."""

OPERATE_SECONDS = 1.0
"""How often it is looked whether an action on many is under way and nobody is at it."""

CHANNELS_SECONDS = 1.0
"""How long a changed channel goes unnoticed."""

COUNT_SECONDS = 2.0
"""How often what has settled is counted, by whichever worker comes first. The poll waits meanwhile."""

COUNTING_SECONDS = 0.1
"""Spent on that at a time; after a stop it goes on with the next."""


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` again and again, `seconds` apart; a database that is away is waited for."""
    while True:
        began = monotonic()
        try:
            await work()
        except psycopg.OperationalError as error:
            logger.warning("database not reached, trying again: %s", error)
        await asyncio.sleep(max(0.0, seconds - (monotonic() - began)))


class Keeper:
    """The periodic duties of one engine."""

    def __init__(
        self,
        *,
        worker: str,
        started: workers.Started,
        course: Course,
        free: UnorderedCourse,
        channels: ChannelSet,
        trust: Trust,
        crowd: Crowd,
        superseded: Callable[[], None],
        settled: Callable[[Expired], None],
        moved: Callable[[dict[str, list[str]]], None],
    ) -> None:
        """superseded: another process started under this name. settled: a sweep expired something. moved: worker →
        users taken from dead workers."""
        self.worker = worker
        self.incarnation = started.incarnation
        self._old_leases = started.left
        self._course = course
        self._free = free
        self._channels = channels
        self._trust = trust
        self._crowd = crowd
        self._superseded = superseded
        self._settled = settled
        self._moved = moved
        self._next_full_sweep = 0.0

    async def beat(self, lane: Lane) -> None:
        sent = monotonic()
        if await lane.run(workers.beat, self.worker, self.incarnation):
            self._trust.renew(sent)
        else:
            self._superseded()

    async def renew(self, lane: Lane) -> None:
        asked = monotonic()
        held = self._course.held(older_than=RENEW_SECONDS)
        if held:
            renewed = await lane.run(lease.renew, held)
            self._course.renewed({user: held[user] for user in renewed.kept}, asked)
            self._course.cut(renewed.revoked)
        free = self._free.held(older_than=RENEW_SECONDS)
        if free:
            self._free.keep(await lane.run(unordered.renew, free), free)

    async def cut_lost(self) -> None:
        """Without the database: end what is no longer ours to send, and go on without what should have ended."""
        self._course.cut(self._course.overdue())
        if not self._trust.holds():
            self._course.cut(list(self._course.flights))
            self._free.cut_all()
        self._course.abandon()
        self._free.abandon()

    async def revoke(self, lane: Lane) -> None:
        """Go on with what the start could not revoke, until nothing is left of it."""
        if self._old_leases:
            users, self._old_leases = await lane.run(workers.revoke, self._old_leases, worker=self.worker)
            self._course.want(users)

    async def poll(self, lane: Lane) -> None:
        """Find due pipelines that nobody works on: lost wake-ups, retries, what a full engine left lying."""
        while True:
            while self._course.load > self._course.limit // 2:
                await asyncio.sleep(0.005)
            room = min(POLL_USERS, self._course.limit - self._course.load)
            users = await lane.run(workers.due, self.worker, limit=room)
            known = self._course.flights.keys() | self._course.agenda.users.keys()
            fresh = [user for user in users if user not in known]
            self._course.want(fresh)
            if len(users) < room or not fresh:
                break
            while len(self._course.agenda.users) > POLL_USERS // 4:
                await asyncio.sleep(0.005)
        self._free.look()

    async def fail_over(self, lane: Lane) -> None:
        if not self._trust.may_judge():
            return
        live = await lane.run(workers.alive)
        moved = await lane.run(workers.move_orphans, live)
        if moved:
            for worker, users in moved.items():
                logger.info("%d users move to %s: their worker is gone", len(users), queue_of(worker))
            self._moved(moved)

    async def remember(self, lane: Lane) -> None:
        users = await lane.run(workers.forgotten, self.worker, limit=POLL_USERS)
        if users:
            await lane.run(children.wake, users)
            self._course.want(users)

    async def sweep(self, lane: Lane) -> None:
        began, after = monotonic(), None
        recent = began < self._next_full_sweep
        while True:
            expired = await lane.run(expire.sweep, after=after, recent=recent)
            if expired.ids:
                self._settled(expired)
            for user, ids in expired.skipped.items():
                self._crowd.add("expire", user, partial(self._expire_in_line, user, ids))
            after = expired.after
            if after is None:
                break
        if not recent:
            self._next_full_sweep = monotonic() + FULL_SWEEP_REST * (monotonic() - began)

    async def _expire_in_line(self, user: str, ids: Sequence[UUID]) -> None:
        expired = await self._crowd.run(user, expire.expire_locked_by_caller, user, ids)
        if expired is not None and expired.ids:
            self._settled(expired)

    async def resume(self, lane: Lane) -> None:
        """Go on with resuming everything, where whoever began it has left off; the poll finds who can move."""
        while (await lane.run(everything.resume_some)).more:
            pass

    async def count(self, lane: Lane) -> None:
        await lane.run(rollups.catch_up, seconds=COUNTING_SECONDS)

    async def read_new_channels(self, lane: Lane) -> None:
        """Read the channels at once when an attempt is for one that is not known yet."""
        while True:
            await self._channels.unread.wait()
            self._channels.unread.clear()
            try:
                await self.read_channels(lane)
            except psycopg.OperationalError as error:
                logger.warning("database not reached, the channels are read again later: %s", error)

    async def read_channels(self, lane: Lane) -> None:
        await self._channels.replace(await lane.run(read_configs))
