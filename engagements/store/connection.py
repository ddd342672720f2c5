"""How the store's statements reach PostgreSQL: bound by the server, on Django's connection or one of the engine's.

docs/adr/0031-fewer-ways-to-postgresql.md.
"""

import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.db import connection
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow, dict_row

Connection = psycopg.Connection[Any]

Params = Sequence[Any] | Mapping[str, Any] | None

KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""A database host that vanished is noticed within about ten seconds (the last is in milliseconds)."""

STANDSTILL_SECONDS = 5
"""How long an engine's transaction may stand still: by then its worker has missed enough heartbeats to be dead."""


def current() -> Connection:
    """Django's connection of this thread, so that a statement takes part in the caller's transaction."""
    spare_health_check()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    raw = connection.connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def spare_health_check() -> None:
    """Before a transaction: find a connection that died between two requests by looking at its socket.

    Django asks PostgreSQL at the first use in each request, which takes as long as a statement. It does so only where
    the socket has something to say: one that was closed from the other side is readable, and so is a last message.
    """
    django: Any = connection
    raw = django.connection
    if raw is not None and not raw.closed and not django.health_check_done:
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN)
        django.health_check_done = not waiting.poll(0)


SESSION = f"""
SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '{STANDSTILL_SECONDS}s';
SET plan_cache_mode = 'force_generic_plan'; SET jit = 'off'
"""
"""How an engine's connection works. Left to itself PostgreSQL plans the large statements anew at every run, which costs
more than running them for a user or two; for what it knows of an array's length the plan is the same."""


def dedicated(*, application_name: str) -> Connection:
    """A connection of its own beside Django's, in autocommit mode, that prepares and plans what it repeats once.

    PostgreSQL ends it when a transaction on it stands still: a frozen process must not keep its locks. Its plans are
    made for tables of the size that they had then: replan() when that has changed.
    Raises psycopg.OperationalError while the database cannot be reached.
    """
    params = connection.get_connection_params()
    for option in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(option, None)
    raw: Connection = psycopg.connect(
        **{**KEEPALIVE, **params, "application_name": application_name},
        autocommit=True,
        prepare_threshold=3,
    )
    raw.execute(SESSION)
    return raw


def replan(conn: Connection) -> None:
    """Let this connection's statements be planned anew."""
    conn.execute("DISCARD PLANS")


_SIZES = "SELECT pg_relation_size('engagements_pipeline'), pg_relation_size('engagements_engagement')"


def sizes(conn: Connection) -> tuple[int, ...]:
    """How large the tables are (bytes) by which plans can go wrong."""
    return tuple(fetch(conn, _SIZES)[0])


@contextmanager
def pipeline(conn: Connection) -> Iterator[None]:
    """What is sent inside goes out together: each way to PostgreSQL and back costs more than a small statement does.

    A connection that ends in the middle is closed: it would stay in pipeline mode, and refuse everything.
    """
    try:
        with conn.pipeline():
            yield
    except BaseException:
        if conn.pgconn.pipeline_status != PipelineStatus.OFF:
            conn.close()
        raise


@contextmanager
def transaction(conn: Connection) -> Iterator[None]:
    """A transaction of few statements on a connection of its own: BEGIN goes out with the first, COMMIT with the last.

    What is sent by `send` is read after the block; what `fetch` reads is waited for. Inside a transaction of the
    caller's it is a savepoint.
    """
    if conn.info.transaction_status != TransactionStatus.IDLE:
        with conn.transaction():
            yield
        return
    try:
        with pipeline(conn):
            conn.execute("BEGIN", prepare=False)
            yield
            conn.execute("COMMIT", prepare=False)
    except BaseException:
        with suppress(psycopg.Error):  # lost: nothing is left to be undone
            conn.rollback()
        raise


def send(conn: Connection, sql: str, params: Params = None) -> psycopg.Cursor[TupleRow]:
    """Run one statement whose rows are read later; inside transaction(), once it has ended."""
    return psycopg.Cursor(conn).execute(sql, params)


def fetch(conn: Connection, sql: str, params: Params = None) -> list[TupleRow]:
    """All rows of one statement, as tuples."""
    with psycopg.Cursor(conn) as cursor:
        return cursor.execute(sql, params).fetchall()


def fetch_dicts(conn: Connection, sql: str, params: Params = None) -> list[dict[str, Any]]:
    """All rows of one statement, by column name."""
    with psycopg.Cursor(conn, row_factory=dict_row) as cursor:
        return cursor.execute(sql, params).fetchall()


def run(conn: Connection, sql: str, params: Params = None) -> int:
    """Run one statement; the number of rows it touched, which is not known yet (-1) inside pipeline()."""
    with psycopg.Cursor(conn) as cursor:
        return cursor.execute(sql, params).rowcount
