"""Several producers of one user at all times: each lets go of the pipeline's row to the next one, and never for long.

Whoever skips locked rows would wait for its luck; deliveries and deadlines must not.
"""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction

from engagements.services import produce
from engagements.store.connection import Connection
from tests.support.channels import delivered
from tests.support.engines import OpenDesk, StartEngine
from tests.support.store import overdue, status, until

HOLD_SECONDS = 0.05
"""Of each producer's transaction; four of them leave no gap."""

PRODUCERS = 4

DELIVERIES = 60
"""In the time that a test waits for a fact; by luck alone there are about one in a second."""


@pytest.fixture
def crowd() -> Iterator[Callable[[str], None]]:
    """Call it with a user for whom several producers are at it until the test ends."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def keep_producing(user: str) -> None:
        try:
            while not over.is_set():
                with transaction.atomic():
                    produce(user_id=user, payload={}, channel="desk")
                    over.wait(HOLD_SECONDS)
        finally:
            connection.close()

    def start(user: str) -> None:
        for _ in range(PRODUCERS):
            threads.append(threading.Thread(target=keep_producing, args=[user]))
            threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join()


def test_a_crowded_pipeline_is_delivered(
    conn: Connection, start_engine: StartEngine, open_desk: OpenDesk, crowd: Callable[[str], None]
) -> None:
    desk = open_desk(delivered)
    start_engine()
    crowd("busy")
    until(lambda: len(desk.calls) >= DELIVERIES, f"{DELIVERIES} deliveries")


def test_a_crowded_pipeline_expires_in_time(
    conn: Connection, start_engine: StartEngine, open_desk: OpenDesk, crowd: Callable[[str], None]
) -> None:
    open_desk(delivered)
    start_engine()
    parent = "00000000-0000-4000-8000-000000000000"
    old = produce(user_id="busy", payload={}, channel="desk", causal_parent=parent).engagement.id
    crowd("busy")
    overdue(conn, old)
    until(lambda: status(old) == "expired", "the old one expires")
