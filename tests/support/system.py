"""A whole system of real processes, each of which a test can stop, kill or freeze.

`up` would start again what a test kills; here a worker that is dead stays so until the test starts it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import psycopg

from deliveryproject.local.part import Part
from deliveryproject.local.ports import free_port
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey
from tests.support.admin_session import AdminSession
from tests.support.client import Api
from tests.support.databases import CHECKOUT, Databases
from tests.support.receiver import Receiver
from tests.support.up import clean_environment, until

START_SECONDS = 60.0
"""For the slowest machine."""

HOOK = "hook"
"""The webhook channel that the tests deliver by."""

_DELIVERED = re.compile(r"delivered id=(\S+) user='([^']*)' sequence=(\S+) attempt=(\d+)")


class System:
    """Web server and workers on a database and a broker that are given; workers are named by the test."""

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str,
        broker_url: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """directory: for logs and secrets. settings: environment variables of all processes."""
        self.directory = directory
        self.environment = {
            **clean_environment(),
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "DATA_DIR": str(directory),
            "PYTHONUNBUFFERED": "1",
            "WEBHOOK_ALLOW_PRIVATE": "1",
            **(settings or {}),
        }
        self.port = free_port()
        self.parts: dict[str, Part] = {}
        self._hooks = 0
        self._log_starts: dict[str, int] = {}

    # --- Starting and stopping ---

    def start(self, *workers: str, beat: bool = False) -> None:
        """Start web and workers, and return when all of them serve."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.start_web(wait=False)
        for worker in workers:
            self.start_worker(worker, wait=False)
        if beat:
            self.start_beat(wait=False)
        key = self.manage("create_api_key", "acceptance", "--role", "operator").strip()
        self.api = Api(f"http://127.0.0.1:{self.port}", key)
        self.wait_for_web()
        self.wait_for_workers(*workers)
        if beat:
            self.wait_for_beat()

    def stop(self) -> None:
        """End every process, and fail if one did not end by itself when asked to."""
        running = [part for part in self.parts.values() if part.is_running()]
        for part in running:
            assert part.process is not None
            part.process.send_signal(signal.SIGCONT)
            part.ask_to_stop()
        for part in running:
            part.stop()
        stuck = [part.name for part in running if part.process and part.process.returncode == -signal.SIGKILL]
        assert not stuck, f"had to be killed: {stuck}"

    def start_web(self, *, wait: bool = True) -> None:
        program = ("uvicorn", "deliveryproject.asgi:application", "--port", str(self.port))
        self._start("web", *program, "--lifespan", "off", "--no-access-log")
        if wait:
            self.wait_for_web()

    def start_worker(self, worker: str, *, part: str = "", wait: bool = True) -> None:
        """part: another name for the process, when a second one runs under the same worker's name."""
        self._start(
            part or worker,
            *("celery", "--app", "deliveryproject", "worker", "--hostname", worker, "--loglevel", "INFO"),
            *("--without-gossip", "--without-mingle"),
        )
        if wait:
            self._wait_until_it_delivers(part or worker)
            self._wait_until_alive(worker)

    def start_beat(self, name: str = "beat", *, wait: bool = True) -> None:
        schedule = f"{name}-schedule"
        for old in self.directory.glob(f"{schedule}*"):
            old.unlink()
        self._start(
            name,
            *("celery", "--app", "deliveryproject", "beat", "--pidfile", ""),
            *("--schedule", str(self.directory / schedule)),
        )
        if wait:
            self.wait_for_beat(name)

    def _start(self, name: str, *module_and_arguments: str) -> None:
        part = Part(
            name=name,
            argv=[sys.executable, "-m", *module_and_arguments],
            log=self.directory / f"{name}.log",
            env=self.environment,
            cwd=CHECKOUT,
        )
        self._log_starts[name] = part.log.stat().st_size if part.log.exists() else 0
        part.start()
        self.parts[name] = part

    # --- Waiting ---

    def wait_for_web(self) -> None:
        def serves() -> bool:
            assert self.parts["web"].is_running(), self.parts["web"].end_of_log()
            try:
                return self.api.call("GET", "/queues/").status == 200
            except OSError:
                return False

        until(serves, seconds=START_SECONDS, what="the web server serves")

    def wait_for_workers(self, *workers: str) -> None:
        """Return when these are alive and announce themselves as running now, not from an earlier life."""
        for worker in workers:
            self._wait_until_it_delivers(worker)
        self._wait_until_alive(*workers)

    def _wait_until_it_delivers(self, name: str) -> None:
        part = self.parts[name]

        def delivers() -> bool:
            assert part.is_running(), part.end_of_log()
            return " delivers, incarnation" in self._log_since_start(part)

        until(delivers, seconds=START_SECONDS, what=f"{name} delivers")

    def _wait_until_alive(self, *workers: str) -> None:
        until(
            lambda: set(workers) <= self.api.workers_alive(),
            seconds=START_SECONDS,
            what=f"the API shows {workers} alive",
        )

    def wait_for_beat(self, name: str = "beat") -> None:
        until(
            lambda: any(self.directory.glob(f"{name}-schedule*")),
            seconds=START_SECONDS,
            what=f"{name} has written its schedule",
        )

    # --- Harming ---

    def kill(self, name: str) -> float:
        """SIGKILL; when (time.monotonic())."""
        self.parts[name].kill()
        return time.monotonic()

    def ask_to_stop(self, name: str) -> float:
        """SIGTERM; when (time.monotonic()). Returns at once."""
        self.parts[name].ask_to_stop()
        return time.monotonic()

    def freeze(self, name: str) -> None:
        """SIGSTOP; returns when the process stands still."""
        process = self.parts[name].process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def freeze_between_transactions(self, worker: str) -> None:
        """SIGSTOP at a moment when the worker has no transaction open.

        The users of one are kept until PostgreSQL ends it, 5 s later: that is tests/concurrency/test_frozen_worker.py.
        """
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            while True:
                self.freeze(worker)
                until(lambda: "active" not in _states(connection, worker), seconds=10, what="its statements have ended")
                if not any(state.startswith("idle in transaction") for state in _states(connection, worker)):
                    return
                self.thaw(worker)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        process = self.parts[name].process
        assert process is not None
        process.send_signal(signal.SIGCONT)

    # --- Using ---

    def manage(self, *arguments: str, settings: Mapping[str, str] | None = None) -> str:
        """What a management command prints; settings: environment variables for it alone."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env={**self.environment, **(settings or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, code: str, *, settings: Mapping[str, str] | None = None) -> str:
        """Run code in a process of its own that has this Django project set up, as a producer in Python has."""
        return self.manage("shell", "--no-imports", "-c", code, settings=settings)

    def admin(self) -> AdminSession:
        """The admin, logged in as a superuser."""
        self.manage(
            *("createsuperuser", "--noinput", "--username", "root", "--email", ""),
            settings={"DJANGO_SUPERUSER_PASSWORD": "of these tests"},
        )
        return AdminSession(self.api.url, name="root", password="of these tests")

    @contextmanager
    def python_in_background(self, code: str) -> Iterator[subprocess.Popen[str]]:
        """As `python`, while the block runs; talk to it by its standard input and output."""
        with subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def hook(self, receiver: Receiver) -> str:
        """The name of a new webhook channel to this receiver, which checks its signatures."""
        self._hooks += 1
        name = HOOK if self._hooks == 1 else f"{HOOK}-{self._hooks}"
        receiver.trust(self.api.create_channel(name, "webhook", receiver.url()))
        return name

    def users_by_worker(self, **fields: str) -> dict[str, str]:
        """Worker → a new user of its, for each that is alive; these users have had one engagement with these fields."""
        workers, found = self.api.workers_alive(), dict[str, str]()
        for _ in range(200):
            if found.keys() >= workers:
                return found
            user = f"probe-{uuid4()}"
            self.api.post(user, **fields)
            found.setdefault(self.api.worker_of(user), user)
        raise AssertionError(f"none of 200 users belongs to {workers - found.keys()}")

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def logged(self, worker: str) -> list[tuple[str, str]]:
        """What this worker delivered by the `log` channel, as its own log says: (id, user), in order.

        Only for user ids without quotes and escapes.
        """
        return [(found[1], found[2]) for found in _DELIVERED.finditer(self.log(worker))]

    def _log_since_start(self, part: Part) -> str:
        """What the process that runs now has written: one log holds every life of a part."""
        text = part.log.read_text(errors="replace")
        return text[self._log_starts.get(part.name, 0) :]


def _states(connection: psycopg.Connection[tuple[str]], worker: str) -> list[str]:
    """What PostgreSQL says of each connection of this worker's engine."""
    sql = "SELECT state FROM pg_stat_activity WHERE starts_with(application_name, %s) AND datname = current_database()"
    return [state for (state,) in connection.execute(sql, [f"engine {worker} "])]


class Systems:
    """Makes systems and the brokers they need; stops all of them at its end."""

    def __init__(self, directory: Callable[[], Path], databases: Databases) -> None:
        """directory: makes a new one at every call."""
        self._directory = directory
        self._databases = databases
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def new(self, *, database_url: str = "", broker_url: str = "", **settings: str) -> System:
        """One more, not started yet, with an empty database and a broker of its own unless others are given."""
        system = System(
            self._directory(),
            database_url=database_url or self._databases.migrated(),
            broker_url=broker_url or self.valkey().url,
            settings=settings,
        )
        self._stack.callback(system.stop)
        return system

    def valkey(self) -> Valkey:
        """One more embedded broker, running, that a test may kill."""
        directory = self._directory()
        valkey = Valkey(directory / "data", port=free_port(), password="of-this-test", log=directory / "broker.log")
        self._stack.callback(valkey.part.stop)
        valkey.start()
        return valkey

    def postgres(self) -> Postgres:
        """One more embedded PostgreSQL, running, with an empty database, that a test may kill."""
        directory = self._directory()
        postgres = Postgres(
            directory / "cluster", port=free_port(), password="of-this-test", log=directory / "postgres.log"
        )
        self._stack.callback(postgres.part.stop)
        postgres.start()
        return postgres
