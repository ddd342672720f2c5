"""A real `manage.py up` in a directory of its own, driven as a person at a terminal would."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

from deliveryproject.local.identity import Identity
from deliveryproject.local.ports import free_port
from deliveryproject.local.state import State
from tests.support.databases import CHECKOUT

T = TypeVar("T")

_numbers = itertools.count(1)

READY_SECONDS = 60
"""For the slowest machine; two cores take about five seconds."""

END_SECONDS = 60
"""Twice what the slowest part is given to stop before it is killed."""


def until(look: Callable[[], T], *, seconds: float, what: str) -> T:
    """Look again and again until the answer is true, and return it. Fails with what was waited for."""
    give_up = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < give_up, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return seen


def clean_environment() -> dict[str, str]:
    """This process's environment without the servers and secrets of the test session."""
    session = ("DATABASE_URL", "BROKER_URL", "DATA_DIR", "SECRET_KEY", "ADMIN_PASSWORD", "WORKERS", "PORT")
    return {name: value for name, value in os.environ.items() if name not in session}


class Up:
    """One `up`, stopped when the block ends; start it again on the same directory with another object."""

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        port: int | None = None,
        before: tuple[str, ...] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.environment: Mapping[str, str] = {
            **clean_environment(),
            "DATA_DIR": str(directory),
            "PORT": str(self.port),
            **(settings or {}),
        }
        self.output_file = directory.with_name(f"{directory.name}.{next(_numbers)}.output")
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [*before, sys.executable, "manage.py", "up"],
                cwd=CHECKOUT,
                env=self.environment,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    @property
    def state(self) -> State:
        state = State.read(self.directory / "up.json")
        assert state is not None, self.output
        return state

    def wait_until_ready(self) -> Self:
        """Returns itself. One that does not become ready is killed, and the test fails with what it printed."""

        def ready() -> bool:
            assert self.process.poll() is None, "`up` ended"
            return "Ordered delivery is running" in self.output

        try:
            until(ready, seconds=READY_SECONDS, what="`up` is ready")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}\n{self.output}") from None
        return self

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command as from another shell: it is told nothing but the same DATA_DIR."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env={**clean_environment(), "DATA_DIR": str(self.directory)},
            capture_output=True,
            text=True,
            check=False,
        )

    def kill_part(self, name: str) -> Identity:
        """SIGKILL one part, and return which process it was."""
        part = self.state.parts[name]
        os.kill(part.pid, signal.SIGKILL)
        return part

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit status; no test may leave one running."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, once it ends; one that does not is killed."""
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL the parent itself."""
        self.process.kill()
        self.process.wait()


def processes_of(directory: Path) -> dict[int, str]:
    """Every process that works in this directory or was told of it, with its command line."""
    if not sys.platform.startswith("linux"):
        shown = subprocess.run(["ps", "-axo", "pid=,command="], capture_output=True, text=True, check=True).stdout
        lines = (line.split(None, 1) for line in shown.splitlines() if str(directory) in line)
        return {int(pid): command for pid, command in lines}
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            command = _read(entry / "cmdline")
            told = f"{command}\n{_read(entry / 'environ')}\n{_working_directory(entry)}"
            if str(directory) in told:
                found[int(entry.name)] = command.replace("\0", " ")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _working_directory(entry: Path) -> str:
    try:
        return str((entry / "cwd").readlink())
    except OSError:
        return ""
