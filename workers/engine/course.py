"""The course of every ordered user: wanted → claimed → attempted → settled → next, in groups.

Statements are grouped over users (group commit): a claim or a settle carries some hundred of them, while each user
still waits for their own settle before their next attempt. Everything here runs in the loop's thread; SQL in lanes.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic
from uuid import UUID

import psycopg

from engagements import conf
from engagements.store import lease, settle
from engagements.store.heads import Claim, Grant
from engagements.store.settle import FEW, Settled
from workers.engine.agenda import BUSY_SECONDS, Agenda
from workers.engine.attempts import attempt, attempt_now
from workers.engine.channelset import ChannelSet, Loaded
from workers.engine.crowd import Crowd
from workers.engine.flight import Ended, Flight, settlement_of
from workers.engine.lane import Lane
from workers.engine.trust import Trust

logger = logging.getLogger("workers.engine")

CLAIM_USERS = 500
"""Users per claim: some ten milliseconds of PostgreSQL's work."""

SETTLE_USERS = 500
"""Users per settle. Larger groups cost less per engagement and let each wait longer."""

DEEP = 100
"""A user with so many waiting is not kept waiting for the others' groups, while there are few of those users."""

DATABASE_PAUSE_SECONDS = 0.2
"""After a lost connection, until the next try."""

CROWDED_TRIES = 8
"""Settles that found their user's row locked, some ten milliseconds apart, before the row is waited for."""

LEASE_MARGIN_SECONDS = 1.0
"""Nothing is sent in the last part of a lease."""


class Course:
    """All ordered users that this engine works on, at most `limit` at a time."""

    def __init__(
        self,
        *,
        worker: str,
        incarnation: int,
        channels: ChannelSet,
        trust: Trust,
        claims: Lane,
        crowd: Crowd,
        limit: int,
        settled: Callable[[Sequence[UUID]], None],
    ) -> None:
        """settled: is told the ids that were settled or raised, whose children have to be looked at."""
        self.worker = worker
        self.incarnation = incarnation
        self.limit = limit
        self.flights: dict[str, Flight] = {}
        self.agenda = Agenda()
        self._channels = channels
        self._trust = trust
        self._claims = claims
        self._crowd = crowd
        self._settled = settled
        self._ended: list[Ended] = []
        self._has_ended = asyncio.Event()
        self._deep: list[Ended] = []
        self._has_deep = asyncio.Event()
        self._stopping = False
        self._settling = 0
        self._usable_lease = conf.lease_seconds() - LEASE_MARGIN_SECONDS

    def want(self, users: Iterable[str]) -> None:
        """Look at these users soon; one that is being worked on is looked at again when that ends."""
        for user in users:
            flight = self.flights.get(user)
            if flight is None:
                self.agenda.add(user)
            else:
                flight.again = True

    @property
    def load(self) -> int:
        """Users worked on or about to be."""
        return len(self.flights) + len(self.agenda.users)

    # --- Claiming ---

    async def claim_forever(self) -> None:
        while True:
            await self.agenda.wait()
            free = self.limit - len(self.flights)
            if free <= 0 or not self._trust.holds():
                await asyncio.sleep(0.01)
                continue
            users = self.agenda.take(min(CLAIM_USERS, free))
            self.want(user for user in users if user in self.flights)
            free_users = [user for user in users if user not in self.flights]
            if free_users:
                await self._claim(free_users)

    async def _claim_in_line(self, user: str) -> None:
        if self._stopping or user in self.flights:
            return
        if self._trust.holds():
            self.agenda.drop(user)
            await self._claim([user], in_line=True)
        else:
            self.agenda.add_busy(user)

    async def _claim(self, users: list[str], *, in_line: bool = False) -> None:
        """in_line: wait for the row of the only user. A user has one flight: two would settle in each other's name."""
        for user in users:
            assert user not in self.flights, user
            self.flights[user] = Flight(user)
        asked = monotonic()
        try:
            if in_line:
                claim = await self._crowd.run(users[0], lease.claim, users, worker=self.worker) or Claim(busy=users)
            else:
                claim = await self._claims.run(lease.claim, users, worker=self.worker)
        except psycopg.OperationalError as error:
            logger.warning("claim failed, trying again: %s", error)
            await self._disclaim(users)
            for user in users:
                self._land(user, want=True)
            return
        for grant in claim.grants:
            self.agenda.not_busy(grant.user_id)
            self._serve(self.flights[grant.user_id], grant, asked)
        for user, seconds in claim.asleep.items():
            self._land(user, asleep=seconds)
        for user in claim.busy:
            self._land(user, busy=True)
        granted = {grant.user_id for grant in claim.grants}
        for user in users:
            if user not in granted and user in self.flights:
                self._land(user)
        if claim.expired or claim.raised:
            self._settled([*claim.expired, *claim.raised])

    async def _disclaim(self, users: list[str]) -> None:
        """The claim may have been committed: its leases would stand for nothing until they run out."""
        while True:
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            try:
                await self._claims.run(lease.disclaim, users, worker=self.worker, incarnation=self.incarnation)
                return
            except psycopg.OperationalError as error:
                logger.warning("waiting for the database: %s", error)

    def _land(self, user: str, *, asleep: float | None = None, busy: bool = False, want: bool = False) -> None:
        """The flight ends; what was announced meanwhile is looked at."""
        flight = self.flights.pop(user)
        if want or flight.again:
            self.agenda.add(user)
        elif busy and self.agenda.is_crowded(user):
            self._crowd.add("claim", user, partial(self._claim_in_line, user))
        elif busy:
            self.agenda.add_busy(user)
        elif asleep is not None:
            self.agenda.add_later(user, asleep)
        else:
            self.agenda.not_busy(user)

    # --- Attempting ---

    def _serve(self, flight: Flight, grant: Grant, asked: float) -> None:
        """asked: when the statement that gave the grant was sent; the lease runs out here before it does there."""
        flight.grant = grant
        flight.granted_at = asked
        flight.deadline = monotonic() + grant.expires_in
        flight.lease_until = asked + self._usable_lease
        if self._stopping or not self._trust.holds() or monotonic() >= flight.lease_until:
            self._give_up(flight, grant)
            return
        channel = self._channels[grant.channel]
        if channel.immediate:
            self._end(attempt_now(channel, flight, grant, unordered=False))
        else:
            flight.cut_at = math.inf
            flight.attempt = asyncio.ensure_future(self._attempt(channel, flight, grant))

    async def _attempt(self, channel: Loaded, flight: Flight, grant: Grant) -> None:
        ended = await attempt(channel, flight, grant, unordered=False)
        if flight.attempt is asyncio.current_task():  # else it was abandoned
            flight.attempt = None
            self._end(ended)

    def _give_up(self, flight: Flight, grant: Grant) -> None:
        now = monotonic()
        self._end(Ended(flight, grant, "interrupted", "not sent: the worker stopped or lost its lease", 0.0, now, now))

    def _end(self, ended: Ended) -> None:
        if ended.grant.waiting >= DEEP and len(self._deep) < FEW:
            self._deep.append(ended)
            self._has_deep.set()
        else:
            self._ended.append(ended)
            self._has_ended.set()

    def cut(self, users: Iterable[str]) -> None:
        """End the attempts of these users now: their leases are gone."""
        for user in users:
            flight = self.flights.get(user)
            if flight is not None:
                flight.cut()

    def held(self, *, older_than: float = 0.0) -> dict[str, int]:
        """User → token of the leases held for at least `older_than` seconds."""
        before = monotonic() - older_than
        return {
            user: flight.grant.token
            for user, flight in self.flights.items()
            if flight.grant is not None and flight.granted_at <= before
        }

    def renewed(self, held: dict[str, int], asked: float) -> None:
        """These leases (user → token) were extended by a statement sent at `asked`."""
        until = asked + self._usable_lease
        for user, token in held.items():
            flight = self.flights.get(user)
            if flight is not None and flight.grant is not None and flight.grant.token == token:
                flight.lease_until = until

    def overdue(self) -> list[str]:
        """Users whose attempt runs though its lease could not be renewed."""
        now = monotonic()
        return [user for user, flight in self.flights.items() if flight.attempt and now >= flight.lease_until]

    # --- Settling ---

    async def settle_forever(self, lane: Lane) -> None:
        while True:
            await self._has_ended.wait()
            batch, self._ended = self._ended[:SETTLE_USERS], self._ended[SETTLE_USERS:]
            if not self._ended:
                self._has_ended.clear()
            if batch:
                self._settling += 1
                try:
                    await self._record(lane, batch)
                finally:
                    self._settling -= 1

    async def settle_deep_forever(self, lane: Lane) -> None:
        """The same for those with many waiting, each of whom waits for their own settle only."""
        while True:
            await self._has_deep.wait()
            self._has_deep.clear()
            batch, self._deep = self._deep, []
            self._settling += 1
            try:
                await self._record(lane, batch)
            finally:
                self._settling -= 1

    async def _record(self, lane: Lane, batch: list[Ended]) -> None:
        final = [ended for ended in batch if ended.outcome in ("delivered", "failed")]
        other = [ended for ended in batch if ended.outcome not in ("delivered", "failed")]
        if final:
            await self._write(lane, final, final=True)
        if other:
            await self._write(lane, other, final=False)

    async def _settle_in_line(self, ended: Ended) -> None:
        final = ended.outcome in ("delivered", "failed")
        await self._write(self._crowd.lane, [ended], final=final, in_line=True)

    async def _write(self, lane: Lane, batch: list[Ended], *, final: bool, in_line: bool = False) -> None:
        """in_line: wait for the row of the only user."""
        while True:
            asked = monotonic()
            settlements = [settlement_of(ended, asked) for ended in batch]
            write = partial(settle.settle, serve_next=not self._stopping) if final else settle.postpone
            try:
                if in_line:
                    user = batch[0].flight.user_id
                    answer = await self._crowd.run(user, write, settlements, worker=self.worker)
                    result = answer or Settled(busy=[user])
                else:
                    result = await lane.run(write, settlements, worker=self.worker)
                break
            except psycopg.OperationalError as error:
                # The outcome is unknown. Settling again is safe: what was settled then comes back as lost.
                logger.warning("settle failed, trying again: %s", error)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)
        if result.lost:
            await self._lose(lane, batch, result)
        self._apply(batch, result, asked)

    def _apply(self, batch: list[Ended], result: Settled, asked: float) -> None:
        flights = self.flights
        for grant in result.grants:
            self._serve(flights[grant.user_id], grant, asked)
        for user in result.done:
            self._land(user)
        for user, seconds in result.asleep.items():
            self._land(user, asleep=seconds)
        if result.busy:
            busy = set(result.busy)
            self._try_again([ended for ended in batch if ended.flight.user_id in busy])
        if result.ids:
            self._settled(result.ids)

    def _try_again(self, busy: list[Ended]) -> None:
        """Soon, with others; where that has been in vain for a while, by waiting for the row."""
        for ended in busy:
            ended.tries += 1
            if ended.tries >= CROWDED_TRIES:
                self._crowd.add("settle", ended.flight.user_id, partial(self._settle_in_line, ended))
        again = [ended for ended in busy if ended.tries < CROWDED_TRIES]
        if again:
            asyncio.get_running_loop().call_later(BUSY_SECONDS, self._end_again, again)

    def _end_again(self, batch: list[Ended]) -> None:
        self._ended.extend(batch)
        self._has_ended.set()

    async def _lose(self, lane: Lane, batch: list[Ended], result: Settled) -> None:
        """The lease was revoked, or the settle had happened: free what is left of the lease, and look again."""
        tokens = {ended.flight.user_id: ended.grant.token for ended in batch}
        lost = {user: tokens[user] for user in result.lost}
        try:
            await lane.run(lease.release, lost, worker=self.worker, incarnation=self.incarnation)
        except psycopg.OperationalError as error:
            logger.warning("release failed, the leases will run out: %s", error)
        for user in result.lost:
            self._land(user, want=True)

    # --- Stopping ---

    def abandon(self) -> None:
        """Go on without the attempts that were cut off and do not end."""
        for flight in list(self.flights.values()):
            ended = flight.abandon()
            if ended is not None:
                logger.error("channel %s did not let go of an attempt", ended.grant.channel)
                self._end(ended)

    def idle(self) -> bool:
        """Whether nothing is attempted or waits to be settled."""
        return not self.flights and not self._ended and not self._deep and not self._settling

    def stop(self) -> None:
        """Start nothing any more; what runs may end."""
        self._stopping = True
        self.agenda.close()
