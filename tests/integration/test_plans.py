"""The hot statements keep to their indexes: as they run, on an engine's connection, in a large table.

PostgreSQL itself tells how each ran (auto_explain), with its own choice between a prepared statement's plans.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from benchmarks.explain import Ran
from benchmarks.hot import Hot
from benchmarks.large import load
from benchmarks.plans import measure, too_much
from engagements.store.connection import Connection, dedicated
from tests.support.databases import Databases

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
    settings = connection.settings_dict
    name = settings["NAME"]
    with django_db_blocker.unblock():
        settings["NAME"] = urlsplit(databases.migrated()).path.removeprefix("/")
        try:
            with dedicated(application_name="plans") as conn:
                load(conn, users=USERS, engagements=ENGAGEMENTS)
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


def test_all_hot_work_is_looked_at(large: Connection) -> None:
    assert tuple(work.name for work in Hot(large, batch=BATCH)) == NAMES
