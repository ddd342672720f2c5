"""A lane: one thread, one connection, and what becomes of it when the connection is lost."""

import asyncio
import threading

import psycopg
import pytest

from engagements.store.connection import Connection, fetch
from tests.support.store import until
from workers.engine.lane import Lane

pytestmark = pytest.mark.usefixtures("database")


def pid(conn: Connection) -> int:
    return conn.info.backend_pid


def test_calls_share_a_connection_until_it_is_lost(conn: Connection) -> None:
    async def story() -> None:
        lane = Lane("test", application_name="lane")
        first = await lane.run(pid)
        assert await lane.run(pid) == first
        conn.execute("SELECT pg_terminate_backend(%s)", [first])
        with pytest.raises(psycopg.OperationalError):
            await lane.run(fetch, "SELECT 1")
        assert await lane.run(pid) != first
        await lane.close()

    asyncio.run(story())


def test_a_transaction_that_stood_still_too_long_counts_as_a_lost_connection(conn: Connection) -> None:
    """PostgreSQL names it otherwise; the engine must go on all the same."""

    def stand_still(own: Connection) -> None:
        own.execute("SET idle_in_transaction_session_timeout = '20ms'")
        with own.transaction():
            own.execute("SELECT 1")
            gone = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
            until(lambda: not fetch(conn, gone, [own.info.backend_pid]), "PostgreSQL's end of the session")
            own.execute("SELECT 1")

    async def story() -> None:
        lane = Lane("test", application_name="lane")
        with pytest.raises(psycopg.OperationalError):
            await lane.run(stand_still)
        assert await lane.run(fetch, "SELECT 1") == [(1,)]
        await lane.close()

    asyncio.run(story())


def test_a_call_whose_caller_has_gone_is_not_made(conn: Connection) -> None:
    made: list[str] = []

    async def story() -> None:
        lane = Lane("test", application_name="lane")
        begun, go_on = threading.Event(), threading.Event()

        def first(own: Connection) -> None:
            begun.set()
            assert go_on.wait(10)

        running = asyncio.ensure_future(lane.run(first))
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.ensure_future(lane.run(lambda own: made.append("second")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await running
        await lane.run(lambda own: made.append("third"))
        await lane.close()

    asyncio.run(story())
    assert made == ["third"]


def test_an_error_of_the_statement_is_not_a_lost_connection(conn: Connection) -> None:
    async def story() -> None:
        lane = Lane("test", application_name="lane")
        first = await lane.run(pid)
        with pytest.raises(psycopg.errors.UndefinedTable):
            await lane.run(fetch, "SELECT * FROM nowhere")
        assert await lane.run(pid) == first
        await lane.close()

    asyncio.run(story())
