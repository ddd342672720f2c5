"""Starting the receiver, and asking it what came."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.programs import CHECKOUT


@dataclass(frozen=True, slots=True)
class Receiving:
    """A receiver that runs."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def take(self) -> dict[str, Any]:
        """What came since the last time; see benchmarks/receiver.py."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/take")
            taken: dict[str, Any] = json.loads(connection.getresponse().read())
            return taken
        finally:
            connection.close()


@contextmanager
def receiver() -> Iterator[Receiving]:
    """In a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receiver"], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Receiving(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(10)
