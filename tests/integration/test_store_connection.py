"""How the store's statements reach PostgreSQL: few ways there and back, and nothing left behind by an error."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg.pq import TransactionStatus

from engagements.store.connection import Connection, current, fetch, send, spare_health_check, transaction
from tests.support.store import Connect, until

pytestmark = pytest.mark.usefixtures("database")


def test_what_was_sent_is_read_after_the_commit(conn: Connection, connect: Connect) -> None:
    with transaction(conn):
        first = fetch(conn, "SELECT 1")
        last = send(conn, "INSERT INTO engagements_beattick (id, at) VALUES (1, now()) RETURNING id")
    assert (first, last.fetchall()) == ([(1,)], [(1,)])
    assert fetch(connect(), "SELECT id FROM engagements_beattick") == [(1,)]


def _sent(own: Connection) -> None:
    send(own, "SELECT 1 / 0")


def _fetched(own: Connection) -> None:
    fetch(own, "SELECT 1 / 0")


def _raised(own: Connection) -> None:
    raise KeyError


def _insert_and(fail: Callable[[Connection], None], own: Connection) -> None:
    with transaction(own):
        send(own, "INSERT INTO engagements_beattick (id, at) VALUES (1, now())")
        fail(own)


@pytest.mark.parametrize(
    ("fail", "error"),
    [(_sent, psycopg.errors.DivisionByZero), (_fetched, psycopg.errors.DivisionByZero), (_raised, KeyError)],
)
def test_an_error_undoes_everything_and_the_connection_goes_on(
    conn: Connection, fail: Callable[[Connection], None], error: type[Exception]
) -> None:
    with pytest.raises(error):
        _insert_and(fail, conn)
    assert conn.info.transaction_status == TransactionStatus.IDLE
    assert fetch(conn, "SELECT count(*) FROM engagements_beattick") == [(0,)]


def test_inside_a_transaction_it_is_a_savepoint(conn: Connection) -> None:
    with conn.transaction():
        send(conn, "DELETE FROM engagements_beattick")
        with pytest.raises(psycopg.errors.DivisionByZero):
            _insert_and(_sent, conn)
        send(conn, "INSERT INTO engagements_beattick (id, at) VALUES (1, now())")
    assert fetch(conn, "SELECT count(*) FROM engagements_beattick") == [(1,)]


@pytest.mark.parametrize("then", [_sent, _fetched])
def test_a_connection_that_is_ended_in_the_middle_is_closed(
    conn: Connection, connect: Connect, then: Callable[[Connection], None]
) -> None:
    """Left open it would refuse everything for ever, for it is in pipeline mode."""
    own = connect()

    def end(own: Connection) -> None:
        fetch(own, "SELECT 1")
        fetch(conn, "SELECT pg_terminate_backend(%s, 5000)", [own.info.backend_pid])
        then(own)

    with pytest.raises(psycopg.Error):
        _insert_and(end, own)
    assert own.closed
    assert fetch(conn, "SELECT count(*) FROM engagements_beattick") == [(0,)]


def test_one_that_stands_still_between_two_statements_is_ended(conn: Connection, connect: Connect) -> None:
    """A frozen process must not keep its locks. PostgreSQL's clock runs only when it has been sent a Sync."""
    own = connect()
    own.execute("SET idle_in_transaction_session_timeout = '20ms'")

    def stand_still(own: Connection) -> None:
        fetch(own, "SELECT 1")
        gone = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        until(lambda: not fetch(conn, gone, [own.info.backend_pid]), "PostgreSQL's end of the session")
        fetch(own, "SELECT 1")

    with pytest.raises(psycopg.Error):
        _insert_and(stand_still, own)
    assert own.closed


def test_a_connection_that_died_is_noticed_without_asking(conn: Connection) -> None:
    """Django asks by a statement, once a request; that is spared where the socket is silent."""
    django: Any = connection
    pid = current().info.backend_pid
    django.health_check_done = False
    spare_health_check()
    assert not django.health_check_done  # nobody knows for how long it was idle
    spare_health_check()
    assert django.health_check_done

    django.health_check_done = False
    fetch(conn, "SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert fetch(current(), "SELECT pg_backend_pid()") != [(pid,)]
