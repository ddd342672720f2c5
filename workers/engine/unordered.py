"""The course of unordered engagements: claimed row by row, attempted at once, settled in groups; no pipeline."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from time import monotonic
from uuid import UUID

import psycopg

from engagements import conf
from engagements.store import unordered
from engagements.store.heads import Grant
from workers.engine.agenda import BUSY_SECONDS, TIMER_SLACK_SECONDS
from workers.engine.attempts import attempt, attempt_now
from workers.engine.channelset import ChannelSet, Loaded
from workers.engine.course import (
    CLAIM_USERS,
    DATABASE_PAUSE_SECONDS,
    LEASE_MARGIN_SECONDS,
    SETTLE_USERS,
)
from workers.engine.flight import Ended, Flight, settlement_of
from workers.engine.lane import Lane
from workers.engine.trust import Trust

logger = logging.getLogger("workers.engine")


class UnorderedCourse:
    """The unordered engagements that this engine works on, at most `limit` at a time; the rest stays stored."""

    def __init__(
        self,
        *,
        worker: str,
        channels: ChannelSet,
        trust: Trust,
        claims: Lane,
        limit: int,
        settled: Callable[[Sequence[UUID]], None],
    ) -> None:
        self.worker = worker
        self.limit = limit
        self.flights: dict[UUID, Flight] = {}
        self._channels = channels
        self._trust = trust
        self._claims = claims
        self._settled = settled
        self._ended: list[Ended] = []
        self._has_work = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._stopping = False
        self._settling = 0
        self._usable_lease = conf.lease_seconds() - LEASE_MARGIN_SECONDS

    def look(self) -> None:
        """There may be work: announced, or time for the poll."""
        if not self._stopping:
            self._has_work.set()

    async def claim_forever(self) -> None:
        while True:
            await self._has_work.wait()
            free = self.limit - len(self.flights)
            if free <= 0 or not self._trust.holds():
                await asyncio.sleep(0.01)
                continue
            self._has_work.clear()
            asked = monotonic()
            limit = min(CLAIM_USERS, free)
            try:
                grants = await self._claims.run(unordered.claim, limit=limit)
            except psycopg.OperationalError as error:
                logger.warning("claim of unordered work failed, trying again: %s", error)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)
                continue
            if len(grants) == limit:
                self._has_work.set()
            for grant in grants:
                self._serve(grant, asked)

    def _serve(self, grant: Grant, asked: float) -> None:
        lapsed = self.flights.get(grant.id)
        if lapsed is not None:  # its lease ran out, and we were the next to claim it
            lapsed.cut()
        flight = Flight(grant.user_id, grant, asked)
        self.flights[grant.id] = flight
        flight.deadline = monotonic() + grant.expires_in
        flight.lease_until = asked + self._usable_lease
        if self._stopping or not self._trust.holds():
            now = monotonic()
            self._end(Ended(flight, grant, "interrupted", "not sent: the worker stopped", 0.0, now, now))
            return
        channel = self._channels[grant.channel]
        if channel.immediate:
            self._end(attempt_now(channel, flight, grant, unordered=True))
        else:
            flight.cut_at = math.inf
            flight.attempt = asyncio.ensure_future(self._attempt(channel, flight, grant))

    async def _attempt(self, channel: Loaded, flight: Flight, grant: Grant) -> None:
        ended = await attempt(channel, flight, grant, unordered=True)
        if flight.attempt is asyncio.current_task():  # else it was abandoned
            flight.attempt = None
            self._end(ended)

    def _end(self, ended: Ended) -> None:
        self._ended.append(ended)
        self._has_ended.set()

    async def settle_forever(self, lane: Lane) -> None:
        while True:
            await self._has_ended.wait()
            batch, self._ended = self._ended[:SETTLE_USERS], self._ended[SETTLE_USERS:]
            if not self._ended:
                self._has_ended.clear()
            if batch:
                self._settling += 1
                try:
                    await self._write(lane, batch)
                finally:
                    self._settling -= 1

    async def _write(self, lane: Lane, batch: list[Ended]) -> None:
        while True:
            now = monotonic()
            settlements = [settlement_of(ended, now) for ended in batch]
            try:
                settled = await lane.run(unordered.settle, settlements, worker=self.worker)
                break
            except psycopg.OperationalError as error:
                logger.warning("settle of unordered work failed, trying again: %s", error)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)
        busy = set(settled.busy)
        if busy:
            held = [ended for ended in batch if ended.grant.id in busy]
            asyncio.get_running_loop().call_later(BUSY_SECONDS, self._end_again, held)
        for ended in batch:
            if ended.grant.id not in busy and self.flights.get(ended.grant.id) is ended.flight:
                del self.flights[ended.grant.id]
        if not self._stopping:
            loop = asyncio.get_running_loop()
            for seconds in {round(max(0.0, seconds), 3) for seconds in settled.again.values()}:
                loop.call_later(seconds + TIMER_SLACK_SECONDS, self.look)
        if settled.ids:
            self._settled(settled.ids)

    def _end_again(self, batch: list[Ended]) -> None:
        self._ended.extend(batch)
        self._has_ended.set()

    def held(self, *, older_than: float) -> dict[UUID, int]:
        """Id → token of what has been attempted for at least `older_than` seconds."""
        before = monotonic() - older_than
        return {
            id: flight.grant.token
            for id, flight in self.flights.items()
            if flight.grant is not None and flight.granted_at <= before
        }

    def keep(self, still_held: set[UUID], asked: dict[UUID, int]) -> None:
        """End the attempts among `asked` whose lease is gone: expired, purged, or taken over."""
        for id in asked.keys() - still_held:
            flight = self.flights.get(id)
            if flight is not None:
                flight.cut()

    def cut_all(self) -> None:
        for flight in self.flights.values():
            flight.cut()

    def abandon(self) -> None:
        """Go on without the attempts that were cut off and do not end."""
        for flight in list(self.flights.values()):
            ended = flight.abandon()
            if ended is not None:
                logger.error("channel %s did not let go of an attempt", ended.grant.channel)
                self._end(ended)

    def idle(self) -> bool:
        return not self.flights and not self._ended and not self._settling

    def stop(self) -> None:
        """Start nothing any more; what runs may end."""
        self._stopping = True
        self._has_work.clear()
