"""The hot statements keep to their indexes: as they run, on an engine's connection, in a large table.

PostgreSQL itself tells how each ran (auto_explain), with its own choice between a prepared statement's plans.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from benchmarks.explain import Ran, watched
from benchmarks.hot import Hot
from benchmarks.large import load
from benchmarks.plans import measure, too_much
from engagements.services import produce_bulk
from engagements.store import find_pipelines, lease, settle, unordered, workers
from engagements.store.connection import Connection, dedicated, replan, sizes
from engagements.store.find_pipelines import Order, Search, State
from tests.support.databases import Databases
from tests.support.store import settlement
from workers.engine.plans import FACTOR, PAGE_BYTES

USERS, ENGAGEMENTS = 20_000, 100_000

BATCH = 50
"""Small beside the tables, so that reading one as a whole is never the better plan."""

NAMES = (
    "claim",
    "claim one",
    "settle",
    "settle one",
    "retry",
    "renew",
    "release",
    "poll",
    "poll, nothing due",
    "forgotten",
    "fail over, nobody dead",
    "fail over",
    "sweep, nothing overdue",
    "sweep",
    "children of",
    "wake children",
    "produce one",
    "produce one, new user",
    "produce one with id and parent",
    "produce many",
    "unordered claim",
    "unordered settle",
    "purge",
    "resume",
    "replay",
    "retention",
)

Found = dict[tuple[str, str], tuple[Ran, int]]


@pytest.fixture(scope="module")
def large(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Connection]:
    """An engine's connection to a database with a long history."""
    with fresh(databases, django_db_blocker) as conn:
        load(conn, users=USERS, engagements=ENGAGEMENTS)
        yield conn


@contextmanager
def fresh(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Connection]:
    """An engine's connection to an empty database, which is Django's, too."""
    settings = connection.settings_dict
    name = settings["NAME"]
    with django_db_blocker.unblock():
        settings["NAME"] = urlsplit(databases.migrated()).path.removeprefix("/")
        try:
            with dedicated(application_name="plans") as conn:
                yield conn
        finally:
            connections.close_all()
            settings["NAME"] = name


@pytest.fixture(scope="module")
def found(large: Connection) -> Found:
    """Every statement's last run of several: by then a prepared one has the plan that it keeps."""
    return measure(large, batch=BATCH)


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_about_as_many_rows_as_it_is_about(found: Found, name: str) -> None:
    """No table from end to end, and no walk through everybody's pipelines."""
    ran = [(one, items) for (work, _), (one, items) in found.items() if work == name]
    assert ran
    assert [(too_much(one, items), one.sql) for one, items in ran if too_much(one, items)] == []


SEARCHES = [
    Search(),
    Search(user="user-1"),
    Search(user="user-1", order=Order.AGE),
    Search(late=True),
    Search(order=Order.AGE),
    Search(channel="log"),
    Search(order=Order.DEPTH),
    Search(worker="w1"),
    Search(worker="w1", channel="log", order=Order.DEPTH),
    *(Search(state=state, order=order) for state in State for order in Order),
]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_search_for_pipelines_looks_at_a_bounded_number_of_rows(
    search: Search, large: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds that are small beside the table: reading it as a whole would be seen."""
    for name, bound in (("CANDIDATES", 200), ("PENDING_SCAN", 500), ("SPREAD", 100)):
        monkeypatch.setattr(find_pipelines, name, bound)
    with watched(large) as ran:
        find_pipelines.find(large, search)
    [one] = [one for one in ran if "ranked" in one.sql]
    assert (one.whole_tables, one.rows_read <= 500 + 12 * 200) == ([], True), (one.rows_read, one.shape)


def test_all_hot_work_is_looked_at(large: Connection) -> None:
    assert tuple(work.name for work in Hot(large, batch=BATCH)) == NAMES


def test_plans_made_for_small_tables_are_made_anew_when_a_burst_has_come(
    databases: Databases, django_db_blocker: DjangoDbBlocker
) -> None:
    """Before PostgreSQL has analyzed them again: that may be a minute away."""
    with fresh(databases, django_db_blocker) as conn:
        for table in ("engagements_pipeline", "engagements_engagement"):
            conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        conn.execute("SET idle_in_transaction_session_timeout = 0")
        workers.start(conn, "w1")
        conn.execute("UPDATE engagements_worker SET heartbeat_at = clock_timestamp() + interval '1 h'")
        early = [f"early-{n}" for n in range(30)]
        produce_bulk([{"user_id": user, "payload": {}, "unordered": n > 3} for user in early for n in range(5)])
        conn.execute("VACUUM ANALYZE engagements_pipeline, engagements_engagement")
        for start in range(0, 30, 3):
            turn(conn, early[start : start + 3])
        before = sizes(conn)

        late = [f"late-{n}" for n in range(10_000)]
        for start in range(0, len(late), 500):
            users = late[start : start + 500]
            produce_bulk([{"user_id": user, "payload": {}, "unordered": n > 0} for user in users for n in range(2)])
        assert all(now > FACTOR * max(then, PAGE_BYTES) for now, then in zip(sizes(conn), before, strict=True))
        replan(conn)
        with watched(conn) as ran:
            turn(conn, late[:BATCH])

    hot = [one for one in ran if "engagements_" in one.sql]
    assert len(hot) > 5
    assert [(too_much(one, BATCH), one.sql) for one in hot if too_much(one, BATCH)] == []


def turn(conn: Connection, users: list[str]) -> None:
    """What an engine does for some users, and as many unordered ones."""
    claimed = lease.claim(conn, users, worker="w1").grants
    assert len(claimed) == len(users)
    lease.renew(conn, {grant.user_id: grant.token for grant in claimed})
    settle.settle(conn, [settlement(grant) for grant in claimed], worker="w1")
    free = unordered.claim(conn, limit=len(users))
    unordered.settle(conn, [settlement(grant) for grant in free], worker="w1")
