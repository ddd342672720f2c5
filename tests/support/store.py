"""The database of the settings for tests that really commit, on as many connections as they need."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from engagements import liveness
from engagements.models import Engagement, Pipeline
from engagements.store import lease, workers
from engagements.store.connection import Connection, current, dedicated, fetch, run
from engagements.store.heads import Grant
from engagements.store.settle import Settlement
from tests.support.databases import Databases

T = TypeVar("T")

Connect = Callable[[], Connection]

WAIT_SECONDS = 20.0
"""How long a fact is waited for before the test fails; reached only when something is broken."""

_EMPTY = """
DELETE FROM engagements_attempt; DELETE FROM engagements_engagement; DELETE FROM engagements_pipeline;
DELETE FROM engagements_worker; DELETE FROM engagements_globalpause;
DELETE FROM engagements_ratebucket; DELETE FROM engagements_rollup; DELETE FROM engagements_settledcount;
DELETE FROM engagements_beattick; DELETE FROM engagements_importfile; DELETE FROM engagements_operation;
DELETE FROM engagements_channel WHERE name <> 'log';
INSERT INTO engagements_channel (name, kind, url, secret, previous_secret, active, created_at)
VALUES ('log', 'log', '', '', '', true, now()) ON CONFLICT DO NOTHING;
DO $$ BEGIN
    IF EXISTS (SELECT FROM engagements_auditentry) THEN TRUNCATE engagements_auditentry; END IF;
END $$
"""

_LET_THE_AUDIT_BE_EMPTIED = "ALTER TABLE engagements_auditentry DISABLE TRIGGER engagements_audit_is_not_emptied"


@pytest.fixture(scope="session")
def store_url(databases: Databases) -> str:
    """A database for all tests of a session that commit."""
    url = databases.migrated()
    with psycopg.connect(url, autocommit=True) as conn:
        let_the_audit_be_emptied(conn)
    return url


@pytest.fixture
def database(store_url: str, broker_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Django's database in every thread: tables that are empty at the start of the test, and commits that are real."""
    settings = connection.settings_dict
    name = settings["NAME"]
    connections.close_all()
    with django_db_blocker.unblock():
        settings["NAME"] = urlsplit(store_url).path.removeprefix("/")
        try:
            empty_tables(current())
            liveness.forget()
            yield
        finally:
            connections.close_all()
            settings["NAME"] = name
            liveness.forget()


def let_the_audit_be_emptied(conn: Connection) -> None:
    """For a database that tests share and empty by TRUNCATE, as Django does; to change or delete stays refused."""
    run(conn, _LET_THE_AUDIT_BE_EMPTIED)


def empty_tables(conn: Connection) -> None:
    """No row but the default channel's."""
    run(conn, _EMPTY)


@pytest.fixture
def connect(database: None) -> Iterator[Connect]:
    """Call it for one more connection of an engine's kind."""
    opened: list[Connection] = []

    def one_more() -> Connection:
        opened.append(dedicated(application_name=f"test {len(opened)}"))
        return opened[-1]

    yield one_more
    for conn in opened:
        conn.close()


@pytest.fixture
def conn(connect: Connect) -> Connection:
    """A connection beside Django's, as an engine's."""
    return connect()


def start_worker(conn: Connection, name: str) -> int:
    """A worker that has just started under this name and lives for the whole test; its incarnation."""
    incarnation = workers.start(conn, name).incarnation
    run(conn, "UPDATE engagements_worker SET heartbeat_at = clock_timestamp() + interval '1 h' WHERE name = %s", [name])
    liveness.forget()
    return incarnation


def kill_worker(conn: Connection, name: str) -> None:
    """As if the worker had been killed a while ago: its heartbeat is old."""
    run(
        conn,
        "UPDATE engagements_worker SET heartbeat_at = clock_timestamp() - interval '1 min' WHERE name = %s",
        [name],
    )
    liveness.forget()


def claim_one(conn: Connection, user: str, *, worker: str = "w1") -> Grant:
    """The grant of this user's head, which must be there to be had."""
    claim = lease.claim(conn, [user], worker=worker)
    assert len(claim.grants) == 1, claim
    return claim.grants[0]


def settlement(grant: Grant, outcome: str = "delivered", *, answer: str = "", delay: float = 0.0) -> Settlement:
    return Settlement(grant.user_id, grant.token, grant.id, outcome, answer, delay, 0.0, 0.001)


def overdue(conn: Connection, *ids: UUID, seconds: float = 10.0) -> None:
    """As if these had been produced so much earlier that their deadline passed `seconds` ago."""
    sql = (
        "UPDATE engagements_engagement SET expires_at = clock_timestamp() - %s * interval '1 second' WHERE id = ANY(%s)"
    )
    assert run(conn, sql, [seconds, list(ids)]) == len(ids)


def pipeline(user: str) -> Pipeline:
    return Pipeline.objects.get(user_id=user)


def engagement(id: UUID) -> Engagement:
    return Engagement.objects.get(id=id)


def status(id: UUID) -> str:
    return Engagement.objects.get(id=id).status


def line(user: str) -> list[UUID]:
    """The ids that are pending for this user, in the order in which they will be attempted."""
    pending = Engagement.objects.filter(user_id=user, status="pending", unordered=False)
    return list(pending.order_by("order_time", "arrival").values_list("id", flat=True))


def in_thread(work: Callable[[], T]) -> "Future[T]":
    """Run it beside the test; the future's result() raises what it raised."""
    future: Future[T] = Future()

    def body() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the test by the future
            future.set_exception(error)
        finally:
            connections.close_all()

    threading.Thread(target=body, daemon=True).start()
    return future


def until(fact: Callable[[], T], what: str) -> T:
    """Look again and again until the fact is there, and return it."""
    limit = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < limit:
        found = fact()
        if found:
            return found
        time.sleep(0.005)
    pytest.fail(f"waited {WAIT_SECONDS:g} s in vain for: {what}")


def lock_waits(observer: Connection) -> int:
    """How many sessions of this database wait for a lock at the moment."""
    sql = """
    SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND a.datname = current_database()
    """
    return int(fetch(observer, sql)[0][0])


def until_lock_wait(observer: Connection) -> None:
    """Until some session of this database waits for a lock."""
    until(lambda: lock_waits(observer), "a session that waits for a lock")
