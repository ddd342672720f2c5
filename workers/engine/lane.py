"""A thread with a database connection of its own: how the loop runs statements without standing still."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg

from engagements.store.connection import Connection, dedicated, replan

P = ParamSpec("P")
R = TypeVar("R")


_Call = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Lane:
    """Runs one call after the other. A connection that broke is replaced at the next call.

    The hand-over is its own: an executor's, through two kinds of future, takes as long as a small statement.
    """

    def __init__(self, name: str, *, application_name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"engine-{name}", daemon=True)
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
        return await self._hand_over(partial(self._call, work, *args, **kwargs))

    async def close(self) -> None:
        """Close the connection and end the thread, after what still runs in it."""
        if self._thread.ident is not None:
            await self._hand_over(self._disconnect)
            self._calls.put(None)

    async def _hand_over(self, work: Callable[[], R]) -> R:
        if self._thread.ident is None:
            self._thread.start()
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._calls.put((work, answer))
        return await answer

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            work, answer = call
            if answer.cancelled():
                continue
            try:
                result, error = work(), None
            except BaseException as caught:  # noqa: BLE001 - the caller's, whatever it is
                result, error = None, caught
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                answer.get_loop().call_soon_threadsafe(_answer, answer, result, error)
            del call, work, answer, result, error

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


def _answer(answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if answer.cancelled():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
