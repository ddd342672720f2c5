"""Simulated time: one clock for PostgreSQL and for the engines' processes, moved by the test alone.

The product asks PostgreSQL for the time by clock_timestamp() and statement_timestamp(), in plain SQL. A schema that
stands before pg_catalog in the search path has functions of the same names that answer what the session was told: the
statements run as they are in production, at a time that stands still until the test moves it.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import psycopg

import workers.engine
from engagements import liveness
from engagements.store.connection import Connection, run

_SETTING = "simulation.now"

_SCHEMA = f"""
CREATE SCHEMA IF NOT EXISTS simulation;
CREATE OR REPLACE FUNCTION simulation.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT current_setting('{_SETTING}')::timestamptz $$;
CREATE OR REPLACE FUNCTION simulation.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('{_SETTING}')::timestamptz $$;
CREATE OR REPLACE FUNCTION simulation.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('{_SETTING}')::timestamptz $$;
"""

TICK_SECONDS = 0.000_010
"""How much later each statement comes than the one before: no two moments are the same, as in life."""

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _modules_with_a_clock() -> list[ModuleType]:
    """The engine's modules that read the monotonic clock."""
    names = [module.name for module in pkgutil.iter_modules(workers.engine.__path__, "workers.engine.")]
    modules = [importlib.import_module(name) for name in names]
    return [module for module in modules if hasattr(module, "monotonic")]


class Clock:
    """Seconds since the beginning of the simulation; never goes back."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    @property
    def now(self) -> datetime:
        return self.at(self.seconds)

    def at(self, seconds: float) -> datetime:
        return BEGIN + timedelta(seconds=seconds)

    def seconds_of(self, moment: datetime) -> float:
        return (moment - BEGIN).total_seconds()

    def move_to(self, seconds: float) -> None:
        self.seconds = max(self.seconds, seconds)

    def tell(self, conn: Connection) -> None:
        """Let this connection's statements run at this moment, a tick after the last."""
        self.seconds += TICK_SECONDS
        run(conn, "SELECT set_config(%s, %s, false)", [_SETTING, self.now.isoformat()])

    @contextmanager
    def installed(self, conn: Connection) -> Iterator[None]:
        """This connection and the engines' modules live in simulated time."""
        psycopg.Cursor(conn).execute(_SCHEMA)
        run(conn, "SET search_path = simulation, pg_catalog, public")
        self.tell(conn)
        [(told,)] = psycopg.Cursor(conn).execute("SELECT clock_timestamp()").fetchall()
        assert told == self.now, "PostgreSQL does not read the simulated clock"
        patches: list[Any] = [
            mock.patch.object(module, "monotonic", self.monotonic) for module in _modules_with_a_clock()
        ]
        patches.append(mock.patch.object(liveness, "time", SimpleNamespace(monotonic=self.monotonic)))
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()
