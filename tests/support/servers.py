"""Servers of the test session: embedded PostgreSQL and broker, unless the environment names others.

Loaded by `-p` (see pyproject.toml), because DATABASE_URL and BROKER_URL must be known before pytest-django
reads the settings. The servers start when a test first needs one, so that the unit tests wait for nothing.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from deliveryproject.local.ports import free_port
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey


class Servers:
    """The servers of this session; each starts at its first use."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ordered-delivery-tests-"))
        self._password = secrets.token_urlsafe(24)
        self._postgres: Postgres | None = None
        self._broker = self._new_valkey()
        self._started: list[str] = []
        if not os.environ.get("DATABASE_URL"):
            self._postgres = Postgres(
                self.directory / "postgres",
                port=free_port(),
                password=self._password,
                log=self.directory / "postgres.log",
            )
            os.environ["DATABASE_URL"] = self._postgres.url()
        if not os.environ.get("BROKER_URL"):
            os.environ["BROKER_URL"] = self._broker.url
        os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))
        # Not the checkout's own: there a developer's `make up` may run.
        os.environ["DATA_DIR"] = str(self.directory / "data")

    def _new_valkey(self) -> Valkey:
        return Valkey(
            self.directory / "broker",
            port=free_port(),
            password=self._password,
            log=self.directory / "broker.log",
        )

    def database_url(self) -> str:
        """The database of this session's settings, in a server that runs."""
        if self._postgres is not None and not self._postgres.part.is_running():
            self._postgres.start()
        return os.environ["DATABASE_URL"]

    def valkey_url(self) -> str:
        """The embedded broker, running."""
        if not self._broker.part.is_running():
            self._broker.start()
        return self._broker.url

    def broker_url(self) -> str:
        """The broker of this session's settings, running."""
        url = os.environ["BROKER_URL"]
        return self.valkey_url() if url == self._broker.url else url

    def stop(self) -> None:
        self._broker.part.stop()
        if self._postgres is not None:
            self._postgres.part.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


_servers = pytest.StashKey[Servers]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    early_config.stash[_servers] = Servers()
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (servers := config.stash.get(_servers, None)) is not None:
        servers.stop()


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """The servers of this session, started one by one as they are asked for."""
    return pytestconfig.stash[_servers]


@pytest.fixture(scope="session")
def database_url(servers: Servers) -> str:
    """The database of this session's settings, in a server that runs."""
    return servers.database_url()


@pytest.fixture(scope="session")
def broker_url(servers: Servers) -> str:
    """The broker of this session's settings, running."""
    return servers.broker_url()


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory of this test's own, closed to others."""
    with tempfile.TemporaryDirectory(prefix="ordered-delivery-") as directory:
        yield Path(directory)
