"""How the store's statements reach PostgreSQL: bound by the server, on Django's connection or one of the engine's.

docs/adr/0031-fewer-ways-to-postgresql.md.
"""

import math
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import TupleRow, dict_row

Connection = psycopg.Connection[Any]

Params = Sequence[Any] | Mapping[str, Any] | None

KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
"""A host that vanished is noticed within about ten seconds, on either side (the last is in milliseconds)."""

STANDSTILL_SECONDS = 5
"""How long an engine's transaction may stand still: by then its worker has missed enough heartbeats to be dead."""

TRANSACTION_SECONDS = 30
"""How long it may last, where PostgreSQL (17 and later) can say so: the clock above does not run between two statements
that go out together."""

QUIET_SECONDS = 5.0
"""A connection of Django's that was used so lately is taken for alive as long as its socket is silent."""

_looked_at: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
_open: WeakKeyDictionary[Connection, psycopg.Pipeline] = WeakKeyDictionary()


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

    Django asks PostgreSQL at the first use in each request, which takes as long as a statement. It is left to do so
    where the socket has something to say (one that was closed from the other side is readable, and so is a last
    message), and where the connection was idle: then a host or a firewall on the way may have silently forgotten it.
    """
    django: Any = connection
    raw = django.connection
    if raw is None or raw.closed or django.health_check_done:
        return
    if monotonic() < _looked_at.get(raw, -math.inf) + QUIET_SECONDS:
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN)
        django.health_check_done = not waiting.poll(0)
    _looked_at[raw] = monotonic()


_ALIVE = {
    "tcp_keepalives_idle": KEEPALIVE["keepalives_idle"],
    "tcp_keepalives_interval": KEEPALIVE["keepalives_interval"],
    "tcp_keepalives_count": KEEPALIVE["keepalives_count"],
    "tcp_user_timeout": KEEPALIVE["tcp_user_timeout"],
}

SESSION = f"""
SET TIME ZONE 'UTC'; SET idle_in_transaction_session_timeout = '{STANDSTILL_SECONDS}s';
SET plan_cache_mode = 'force_generic_plan'; SET jit = 'off';
{"; ".join(f"SET {name} = {value}" for name, value in _ALIVE.items())}
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
    if raw.info.server_version >= 17_00_00:
        raw.execute(f"SET transaction_timeout = '{TRANSACTION_SECONDS}s'")
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
    own = conn.pgconn.pipeline_status == PipelineStatus.OFF
    try:
        with conn.pipeline() as _open[conn]:
            yield
    except BaseException:
        if own and conn.pgconn.pipeline_status != PipelineStatus.OFF:
            conn.close()
        raise
    finally:
        if own:
            _open.pop(conn, None)


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
        cursor.execute(sql, params)
        _wait(conn)
        return cursor.fetchall()


def fetch_dicts(conn: Connection, sql: str, params: Params = None) -> list[dict[str, Any]]:
    """All rows of one statement, by column name."""
    with psycopg.Cursor(conn, row_factory=dict_row) as cursor:
        cursor.execute(sql, params)
        _wait(conn)
        return cursor.fetchall()


def _wait(conn: Connection) -> None:
    """Inside pipeline(): for all answers, by a Sync. Without it PostgreSQL takes the transaction for one at work, which
    no STANDSTILL_SECONDS end; psycopg itself would send a Flush."""
    sent = _open.get(conn)
    if sent is not None:
        sent.sync()


def run(conn: Connection, sql: str, params: Params = None) -> int:
    """Run one statement; the number of rows it touched, which is not known yet (-1) inside pipeline()."""
    with psycopg.Cursor(conn) as cursor:
        return cursor.execute(sql, params).rowcount
