"""What `up` runs: which servers and programs, with which commands and environment."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deliveryproject.local.data_dir import DataDir
from deliveryproject.local.part import Part, PartFailed, shim_command
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey

CHECKOUT = Path(__file__).resolve().parent.parent.parent


@dataclass
class System:
    """Everything on this machine. A URL that is given means a server that somebody else runs."""

    data: DataDir
    port: int
    workers: int
    database_url: str
    broker_url: str
    postgres: Postgres | None = field(default=None, init=False)
    broker: Valkey | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not self.database_url:
            self.postgres = Postgres(
                self.data.path / "postgres",
                port=self.data.port("postgres"),
                password=self.data.secret("postgres.password"),
                log=self.data.logs / "postgres.log",
            )
            self.database_url = self.postgres.url()
        if not self.broker_url:
            self.broker = Valkey(
                self.data.path / "broker",
                port=self.data.port("broker"),
                password=self.data.secret("broker.password"),
                log=self.data.logs / "broker.log",
            )
            self.broker_url = self.broker.url

    @property
    def worker_names(self) -> list[str]:
        return [f"w{number}@up" for number in range(1, self.workers + 1)]

    @property
    def environment(self) -> dict[str, str]:
        """What the programs are told: ours, and where the servers are."""
        return {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "DATA_DIR": str(self.data.path),
            "READY_WORKERS": str(self.workers),
            "PYTHONUNBUFFERED": "1",
        }

    def prepare_database(self, pause: Callable[[float], None]) -> str:
        """Migrate, and make sure of the superuser; returns the password that was made for it, or nothing.

        pause waits between looks and may raise. Raises PartFailed with what the command said.
        """
        command = subprocess.Popen(
            shim_command([sys.executable, "manage.py", "prepare_database"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=CHECKOUT,
            start_new_session=True,
        )
        try:
            while command.poll() is None:
                pause(0.1)
            output, errors = command.communicate()
        finally:
            command.kill()
            command.wait()
        if command.returncode:
            raise PartFailed(f"The database could not be prepared:\n{errors.strip()[-2000:]}")
        return output.strip()

    def programs(self) -> list[Part]:
        """The web server, the delivery workers and beat, as they are run in production."""
        return [
            self._program(
                "web",
                [
                    *("uvicorn", "deliveryproject.asgi:application"),
                    *("--host", "127.0.0.1", "--port", str(self.port)),
                    *("--loop", "uvloop", "--http", "httptools", "--lifespan", "off"),
                    *("--timeout-keep-alive", "30", "--timeout-graceful-shutdown", "3"),
                    *("--no-access-log", "--no-server-header"),
                ],
            ),
            *(
                self._program(
                    f"worker {name}",
                    [
                        *("celery", "--app", "deliveryproject", "worker", "--hostname", name),
                        *("--loglevel", "INFO"),
                    ],
                    log=f"worker-{name.partition('@')[0]}",
                )
                for name in self.worker_names
            ),
            self._program(
                "beat",
                [
                    *("celery", "--app", "deliveryproject", "beat", "--loglevel", "INFO", "--pidfile", ""),
                    *("--schedule", str(self.data.path / "beat-schedule")),
                ],
            ),
        ]

    def _program(self, name: str, module_and_arguments: Sequence[str], *, log: str = "") -> Part:
        return Part(
            name=name,
            argv=[sys.executable, "-m", *module_and_arguments],
            log=self.data.logs / f"{log or name}.log",
            env=self.environment,
            cwd=CHECKOUT,
        )
