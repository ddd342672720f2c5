"""Backlogs stored once and copied for every turn: the same rows, however many turns."""

import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.ours.worker import CHECKOUT
from benchmarks.programs import run_module
from benchmarks.servers import Servers
from benchmarks.shapes import Shape

KEPT_SECONDS = 1800
"""Nothing in a backlog may come near its deadline of an hour."""


@dataclass(frozen=True, slots=True)
class _Stored:
    database: str
    at: float


class Backlogs:
    """Databases of this project with a shape's engagements in them, to be named as templates."""

    def __init__(self, servers: Servers, receiver: str) -> None:
        self.servers = servers
        self.receiver = receiver
        self._empty = self._key = ""
        self._stored: dict[Shape, _Stored] = {}

    def empty(self) -> str:
        """Migrated, with channels and no engagement."""
        if not self._empty:
            self._empty = self.servers.create()
            migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            subprocess.run(migrate, cwd=CHECKOUT, env=self.servers.environment(self._empty), check=True)
            spec = {"prepare": True, "receiver": self.receiver}
            environment = self.servers.environment(self._empty)
            self._key = run_module("benchmarks.ours.store", spec, environment=environment)["key"]
        return self._empty

    def key(self) -> str:
        """Of an operator, in every database that was copied from these."""
        self.empty()
        return self._key

    def of(self, shape: Shape) -> str:
        """With this backlog, of which no worker has taken anything."""
        stored = self._stored.get(shape)
        if stored and time.monotonic() - stored.at > KEPT_SECONDS:
            self.servers.drop(stored.database)
            stored = None
        if not stored:
            began = time.monotonic()
            database = self.servers.create(self.empty())
            self._store(database, shape)
            stored = self._stored[shape] = _Stored(database, began)
        return stored.database

    def _store(self, database: str, shape: Shape) -> None:
        run_module("benchmarks.ours.store", shape.spec(), environment=self.servers.environment(database))
