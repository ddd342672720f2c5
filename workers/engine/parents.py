"""Waking the children of what was settled, after its commit: this engine's own at once, others by a wake-up."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from uuid import UUID

import psycopg

from engagements import wakeups
from engagements.store import children
from workers.engine.lane import Lane

logger = logging.getLogger("workers.engine")

IDS = 5000
"""Settled engagements per look; nearly all have no children, and an index without entries answers at once."""

BUSY_SECONDS = 0.02


class Parents:
    """Collects settled ids and wakes who waited for them. What a crash leaves out is found by the poll."""

    def __init__(self, *, worker: str, want: Callable[[Sequence[str]], None]) -> None:
        self.worker = worker
        self._want = want
        self._ids: list[UUID] = []
        self._has_ids = asyncio.Event()

    def settled(self, ids: Sequence[UUID]) -> None:
        self._ids.extend(ids)
        self._has_ids.set()

    async def wake_forever(self, lane: Lane) -> None:
        while True:
            await self._has_ids.wait()
            ids, self._ids = self._ids[:IDS], self._ids[IDS:]
            if not self._ids:
                self._has_ids.clear()
            try:
                users = await lane.run(children.users_of, ids)
            except psycopg.OperationalError as error:
                logger.warning("children not looked up, trying again: %s", error)
                await asyncio.sleep(0.2)
                self.settled(ids)
                continue
            await self._wake(lane, users)

    async def _wake(self, lane: Lane, users: Sequence[str]) -> None:
        while users:
            try:
                woken = await lane.run(children.wake, users)
            except psycopg.OperationalError as error:
                logger.warning("children not woken, trying again: %s", error)
                await asyncio.sleep(0.2)
                continue
            self._want(woken.wake.pop(self.worker, []))
            wakeups.wake(woken.wake)
            users = woken.busy
            if users:
                await asyncio.sleep(BUSY_SECONDS)
