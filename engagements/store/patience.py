"""Statements that may take only so long: what somebody waits for in front of a page."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError
from psycopg.errors import QueryCanceled

from engagements.domain.errors import EngagementsError
from engagements.store.connection import Connection, run


class TooLong(EngagementsError):
    """There is too much to go through in time; narrow the filter."""


@contextmanager
def within(conn: Connection, seconds: float) -> Iterator[None]:
    """Each statement in it has so long. Raises TooLong.

    conn: Django's connection of this thread; Django's own statements are bound, too.
    """
    try:
        with conn.transaction():
            run(conn, f"SET LOCAL statement_timeout = '{int(seconds * 1000)}ms'")
            yield
            run(conn, "SET LOCAL statement_timeout TO DEFAULT")  # where this is a part of a caller's transaction
    except (QueryCanceled, OperationalError) as error:
        if isinstance(error, OperationalError) and not isinstance(error.__cause__, QueryCanceled):
            raise
        raise TooLong("there is too much to go through in time; narrow the filter or the search") from error
