"""Waking the children of what was settled, after its commit: this engine's own at once, others by a wake-up."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic
from uuid import UUID

import psycopg

from engagements import wakeups
from engagements.store import children
from workers.engine.lane import Lane

logger = logging.getLogger("workers.engine")

IDS = 5000
"""Settled engagements per look; nearly all have no children, and an index without entries answers at once."""

GATHER_SECONDS = 0.005
"""Between two looks while nothing that settles has children: one user's settles, one by one, would double in price."""

BUSY_SECONDS = 0.02
"""Until a pipeline that somebody had locked is tried again."""

BUSY_LONGEST_SECONDS = 0.5
"""A caller's open transaction may hold it for long; the pause doubles up to this."""

DATABASE_PAUSE_SECONDS = 0.2
"""After a lost connection, until the next try."""


class Parents:
    """Collects settled ids and wakes who waited for them. What a crash leaves out is found by the poll."""

    def __init__(self, *, worker: str, want: Callable[[Sequence[str]], None]) -> None:
        self.worker = worker
        self._want = want
        self._ids: list[UUID] = []
        self._users: dict[str, None] = {}
        self._pauses: dict[str, float] = {}
        self._has_work = asyncio.Event()
        self._looking = False

    def settled(self, ids: Sequence[UUID]) -> None:
        """The children of these can be looked at."""
        self._ids.extend(ids)
        self._has_work.set()

    def idle(self) -> bool:
        """Whether the children of all that was settled have been looked for."""
        return not self._ids and not self._users and not self._looking

    async def wake_forever(self, lane: Lane) -> None:
        next_look = 0.0
        while True:
            await self._has_work.wait()
            await asyncio.sleep(max(0.0, next_look - monotonic()))
            self._has_work.clear()
            self._looking = True
            try:
                while self._ids:
                    ids = self._ids[:IDS]
                    users = await lane.run(children.users_of, ids)
                    del self._ids[: len(ids)]
                    self._users.update(dict.fromkeys(users))
                    next_look = 0.0 if users else monotonic() + GATHER_SECONDS
                if self._users:
                    waiting, self._users = self._users, {}
                    await self._wake(lane, waiting)
            except psycopg.OperationalError as error:
                logger.warning("children not woken, trying again: %s", error)
                await asyncio.sleep(DATABASE_PAUSE_SECONDS)
                self._has_work.set()
            finally:
                self._looking = False

    async def _wake(self, lane: Lane, users: dict[str, None]) -> None:
        try:
            woken = await lane.run(children.wake, list(users))
        except psycopg.OperationalError:
            self._users.update(users)
            raise
        self._want(woken.wake.pop(self.worker, []))
        wakeups.wake(woken.wake)
        # Those that are locked are tried again by themselves: nobody else's children wait for them.
        busy: dict[float, list[str]] = {}
        for user in users:
            pause = self._pauses.pop(user, BUSY_SECONDS)
            if user in woken.busy:
                self._pauses[user] = min(pause * 2, BUSY_LONGEST_SECONDS)
                busy.setdefault(pause, []).append(user)
        for pause, again in busy.items():
            asyncio.get_running_loop().call_later(pause, self._try_again, again)

    def _try_again(self, users: Sequence[str]) -> None:
        self._users.update(dict.fromkeys(users))
        self._has_work.set()
