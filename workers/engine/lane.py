"""A thread with a database connection of its own: how the loop runs statements without standing still."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg

from engagements.store.connection import Connection, dedicated, replan

P = ParamSpec("P")
R = TypeVar("R")


class Lane:
    """Runs one call after the other. A connection that broke is replaced at the next call."""

    def __init__(self, name: str, *, application_name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{name}")
        self._application_name = application_name
        self._conn: Connection | None = None
        self._replan = False

    def replan(self) -> None:
        """Have the statements planned anew, before the next call."""
        self._replan = True

    async def run(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`work(connection, …)` in this lane's thread.

        Raises psycopg.OperationalError when the database cannot be reached or the connection was lost on the way: what
        became of the transaction is unknown then.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(self._call, work, *args, **kwargs))

    async def close(self) -> None:
        """Close the connection and end the thread, after what still runs in it."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disconnect)
        self._executor.shutdown(wait=False)

    def _call(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._conn is None:
            self._conn = dedicated(application_name=self._application_name)
        try:
            if self._replan:
                self._replan = False
                replan(self._conn)
            return work(self._conn, *args, **kwargs)
        except psycopg.Error as error:
            if self._lost() and not isinstance(error, psycopg.OperationalError):
                # Such as the end of a transaction that stood still too long, by PostgreSQL's hand.
                raise psycopg.OperationalError(str(error)) from error
            raise
        finally:
            if self._lost():
                self._disconnect()

    def _lost(self) -> bool:
        return self._conn is not None and (self._conn.broken or self._conn.closed)

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None
