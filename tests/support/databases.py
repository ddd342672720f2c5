"""Databases of a test's own, for tests whose processes commit."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

CHECKOUT = Path(__file__).resolve().parent.parent.parent


class Databases:
    """Makes databases in the session's PostgreSQL; a migrated one costs a copy, not a migration."""

    def __init__(self, database_url: str) -> None:
        self._url = urlsplit(database_url)
        self._template: str | None = None
        self._made: list[str] = []

    def url(self, name: str) -> str:
        return self._url._replace(path=f"/{name}").geturl()

    def empty(self) -> str:
        """The URL of a new database with nothing in it."""
        return self.url(self._create())

    def migrated(self) -> str:
        """The URL of a new database with all tables of the project, and no rows of its own."""
        if self._template is None:
            template = self._create()
            migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            environment = {**os.environ, "DATABASE_URL": self.url(template)}
            subprocess.run(migrate, cwd=CHECKOUT, env=environment, check=True)
            self._template = template
        return self.url(self._create(template=self._template))

    def drop_all(self) -> None:
        with self._connect() as connection:
            for name in self._made:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _create(self, template: str = "template0") -> str:
        name = f"test_{secrets.token_hex(6)}"
        with self._connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        self._made.append(name)
        return name

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres"), autocommit=True)


@pytest.fixture(scope="session")
def databases(database_url: str) -> Iterator[Databases]:
    """Makes databases; all of them are dropped when the session ends."""
    made = Databases(database_url)
    yield made
    made.drop_all()


@pytest.fixture
def migrated_database(databases: Databases) -> str:
    """The URL of a database of this test's own, with all tables."""
    return databases.migrated()


@pytest.fixture(scope="session")
def new_database(databases: Databases) -> Callable[[], str]:
    """Call it for the URL of one more migrated database."""
    return databases.migrated
