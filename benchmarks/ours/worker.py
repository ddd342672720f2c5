"""Delivery worker processes, started as production starts them."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

CHECKOUT = Path(__file__).resolve().parent.parent.parent

STOP_SECONDS = 30


@contextmanager
def workers(number: int, environment: Mapping[str, str], log: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """So many of them; stopped by SIGTERM at the end."""
    with ExitStack() as stack:
        yield [stack.enter_context(_worker(f"w{one}@bench", environment, log)) for one in range(1, number + 1)]


def expect(connection: psycopg.Connection[Any], number: int) -> None:
    """Put so many workers on the ring before they are started, so that the first one takes its own share only."""
    connection.execute(
        """INSERT INTO engagements_worker (name, incarnation, started_at, heartbeat_at)
        SELECT 'w' || n || '@bench', 0, now(), now() + interval '10 s' FROM generate_series(1, %s) n""",
        [number],
    )


@contextmanager
def _worker(name: str, environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["celery", "-A", "deliveryproject", "worker", "-n", name, "-l", "WARNING"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--without-gossip", "--without-mingle"],
            cwd=CHECKOUT,
            env=dict(environment),
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
