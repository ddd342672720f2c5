"""Pipelines that somebody always has locked, because several produce for one user at all times.

Whoever skips locked rows meets such a one free by luck only. Here its row is waited for in PostgreSQL's own line, in
the transaction of the work. Lock order: one pipeline; the work then locks nothing but it and its engagements.
"""

from collections.abc import Callable
from typing import TypeVar

from psycopg.errors import LockNotAvailable

from engagements.store.connection import Connection, fetch, run

R = TypeVar("R")

WAIT_SECONDS = 1.0
"""For the row: some producers of a busy user. A caller that keeps its transaction open for longer keeps its users."""


def in_line(conn: Connection, user: str, work: Callable[[Connection], R]) -> R | None:
    """`work(conn)` with this user's pipeline locked; None when its turn has not come within WAIT_SECONDS.

    Raises what the work raises, and psycopg.OperationalError when the connection is lost, as the work itself would.
    """
    try:
        with conn.transaction():
            run(conn, f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
            fetch(conn, "SELECT 1 FROM engagements_pipeline WHERE user_id = %s FOR NO KEY UPDATE", [user])
            return work(conn)
    except LockNotAvailable:
        return None
