"""A RabbitMQ node of a run's own, which may be killed; where the program is installed."""

import os
import shutil
import socket
from pathlib import Path

from deliveryproject.local.part import Part

PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")
"""Not the wrapper on the PATH of some systems, which insists on a user of its own."""


class Rabbit:
    """One node with its data in one directory. Its port stays the same through restarts."""

    def __init__(self, directory: Path, *, port: int, distribution_port: int) -> None:
        self.port = port
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        program = _program()
        if program is None:
            raise RuntimeError("rabbitmq-server is not installed here; choose BROKER=valkey")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "enabled_plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text("log.console = true\nlog.file = false\n")
        self.part = Part(
            name="rabbitmq",
            argv=[program],
            log=directory / "broker.log",
            env={
                **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
                "HOME": str(directory),
                "RABBITMQ_NODENAME": f"chaos{port}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(port),
                "RABBITMQ_DIST_PORT": str(distribution_port),
                "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
                "RABBITMQ_LOG_BASE": str(directory / "log"),
                "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            },
            cwd=directory,
            stop_seconds=20,
            is_ready=self._is_ready,
        )

    @staticmethod
    def is_installed() -> bool:
        return _program() is not None

    def start(self) -> None:
        """Start it and wait until it takes connections. Raises PartFailed."""
        self.part.start()
        self.part.wait_until_ready()

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(2)
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(8))
        except OSError:
            return False


def _program() -> str | None:
    return next((name for name in PROGRAMS if Path(name).exists()), None) or shutil.which("rabbitmq-server")
