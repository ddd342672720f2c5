"""The servers of a whole run: one PostgreSQL and the brokers, with the same settings for everybody who is measured."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from deliveryproject.local.ports import free_port
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey

RABBITMQ_URL = "amqp://guest:guest@127.0.0.1:5672//"


class Servers:
    """Embedded PostgreSQL (synchronous_commit on, as `up` runs it) and Valkey, and a RabbitMQ where one answers.

    Every turn gets a database of its own. Nothing is left behind.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        password = secrets.token_urlsafe(24)
        self.postgres = Postgres(
            directory / "postgres", port=free_port(), password=password, log=directory / "postgres.log"
        )
        # Counts nothing (it would slow down everybody) but in databases whose settings say so: see benchmarks/costs.py.
        preload = ("-c", "shared_preload_libraries=pg_stat_statements", "-c", "pg_stat_statements.track=none")
        self.postgres.part.argv = [*self.postgres.part.argv, *preload]
        self.valkey = Valkey(directory / "broker", port=free_port(), password=password, log=directory / "broker.log")
        self.rabbitmq = os.environ.get("TEST_RABBITMQ_URL", RABBITMQ_URL)
        self.secret_key = secrets.token_urlsafe(64)
        self._made = 0

    def start(self) -> None:
        self.postgres.start()
        self.valkey.start()

    def stop(self) -> None:
        self.valkey.part.stop()
        self.postgres.part.stop()

    def rabbitmq_missing(self) -> str:
        """Why there is no RabbitMQ; empty where there is."""
        address = urlsplit(self.rabbitmq)
        try:
            socket.create_connection((address.hostname or "127.0.0.1", address.port or 5672), 3).close()
        except OSError as error:
            return (
                f"no RabbitMQ at {address.hostname}:{address.port or 5672} ({error}); TEST_RABBITMQ_URL names another"
            )
        return ""

    def version(self) -> str:
        with self.connect() as connection:
            [(version,)] = connection.execute("SHOW server_version").fetchall()
        return str(version)

    def url(self, database: str) -> str:
        return self.postgres.url(database)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(database), autocommit=True)

    def create(self, template: str | None = None) -> str:
        """A new database, a copy of the template where one is named, with everything before it on disk."""
        self._made += 1
        name = f"bench_{self._made}"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        with self.connect() as connection:
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template or "template0")))
            connection.execute("CHECKPOINT")
        return name

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """A database for one turn, and a broker with nothing in it."""
        redis.Redis.from_url(self.valkey.url).flushall()
        name = self.create(template)
        try:
            yield name
        finally:
            self.drop(name)

    def environment(self, database: str) -> dict[str, str]:
        """What this project's programs are told."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "DATABASE_URL": self.url(database),
            "BROKER_URL": self.valkey.url,
            "DATA_DIR": str(self.directory / "data"),
            "SECRET_KEY": self.secret_key,
            "WEBHOOK_ALLOW_PRIVATE": "1",
            "DJANGO_SETTINGS_MODULE": "deliveryproject.settings",
        }


@contextmanager
def servers() -> Iterator[Servers]:
    """Started, and gone without a trace at the end."""
    directory = Path(tempfile.mkdtemp(prefix="ordered-delivery-bench-"))
    made = Servers(directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)
