"""Running a transaction again that PostgreSQL ended to break a deadlock."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

T = TypeVar("T")

SQLSTATE = "40P01"

TRIES = 5
"""By the next try the other side has gone on; more tries would only hide callers that lock in another order."""


def retried(work: Callable[[], T]) -> T:
    """Run `work`, a transaction on Django's connection, again when it was the victim; inside a caller's atomic() once.

    There the whole transaction is gone, and the caller's to repeat. Raises Django's errors, also for the store's own
    statements.
    """
    tries = 1 if connection.in_atomic_block else TRIES
    for attempt in range(1, tries + 1):
        try:
            with connection.wrap_database_errors:
                return work()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != SQLSTATE or attempt == tries:
                raise
            time.sleep(0.01 * attempt)
    raise AssertionError("unreachable")
