"""Work on pipelines whose row was found locked again and again: one after the other it waits for the row, in a lane of
its own, so that nobody else waits with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

import psycopg

from engagements.store import crowd
from engagements.store.connection import Connection
from workers.engine.lane import Lane

logger = logging.getLogger("workers.engine")

P = ParamSpec("P")
R = TypeVar("R")

Job = Callable[[], Awaitable[None]]


class Crowd:
    """Jobs by kind and user, first come, first served."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._jobs: dict[tuple[str, str], Job] = {}
        self._has_jobs = asyncio.Event()

    def add(self, kind: str, user: str, job: Job) -> None:
        """Do this for the user when all who came before had their turn; once, however often it is added."""
        self._jobs.setdefault((kind, user), job)
        self._has_jobs.set()

    async def run(
        self, user: str, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """`work(connection, …)` with the user's pipeline locked; None when its turn has not come."""

        def bound(conn: Connection) -> R:
            return work(conn, *args, **kwargs)

        return await self.lane.run(crowd.in_line, user, bound)

    async def serve_forever(self) -> None:
        while True:
            await self._has_jobs.wait()
            key = next(iter(self._jobs))
            job = self._jobs.pop(key)
            if not self._jobs:
                self._has_jobs.clear()
            try:
                await job()
            except psycopg.OperationalError as error:
                logger.warning("database not reached, a locked pipeline is tried again later: %s", error)
