"""A part of the running system: one child process, how it is started, and how it is stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deliveryproject.local.identity import Identity, identify

SHIM = Path(__file__).with_name("shim.py")


class PartFailed(RuntimeError):
    """A part ended, or did not become ready in time."""


def shim_command(argv: Sequence[str | Path], *, identity: str = "same", stop_signal: int = signal.SIGTERM) -> list[str]:
    """The command that runs argv as a child that ends with this process (see shim.py for the identities)."""
    return [sys.executable, "-I", "-S", *map(str, (SHIM, os.getpid(), int(stop_signal), identity, *argv))]


def _nothing_to_do() -> None:
    pass


def _at_once() -> bool:
    return True


@dataclass
class Part:
    """One child process. Start it from the main thread: on Linux it ends with the thread that started it.

    prepare is called before every start and started after it; is_ready tells when the part serves;
    standard_input is written at the start.
    """

    name: str
    argv: Sequence[str | Path]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    identity: str = "same"
    standard_input: bytes = b""
    prepare: Callable[[], None] = _nothing_to_do
    started: Callable[[], None] = _nothing_to_do
    is_ready: Callable[[], bool] = _at_once
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the process; it may not serve yet (see is_ready)."""
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                shim_command(self.argv, identity=self.identity, stop_signal=self.stop_signal),
                stdin=subprocess.PIPE if self.standard_input else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.env),
                cwd=self.cwd,
                # Ctrl-C in a terminal must reach only us: we stop the parts in their order.
                start_new_session=True,
            )
        self.started()
        if self.process.stdin is not None:
            # A broken pipe means that it ended at once; whoever waits for it reports that.
            with contextlib.suppress(BrokenPipeError), self.process.stdin as standard_input:
                standard_input.write(self.standard_input)

    def who(self) -> Identity | None:
        """The running process; None when there is none."""
        return None if self.process is None else identify(self.process.pid)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_until_ready(self, seconds: float = 60, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Wait; pause waits between two looks and may raise.

        Raises PartFailed with the end of the log when the part ends, or takes longer than this.
        """
        give_up = time.monotonic() + seconds
        while not self.is_ready():
            if not self.is_running() or time.monotonic() > give_up:
                raise PartFailed(f"{self.name} did not start. The end of {self.log}:\n{self.end_of_log()}")
            pause(0.02)

    def end_of_log(self, characters: int = 1500) -> str:
        try:
            return self.log.read_text(errors="replace")[-characters:].strip()
        except OSError:
            return ""

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def kill(self) -> None:
        """End it and what it started, now."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """End it cleanly, or hard once stop_seconds are over."""
        self.ask_to_stop()
        if self.process is not None:
            try:
                self.process.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
