"""SIGINT, SIGTERM and SIGHUP as wishes to stop, and a wait that ends when one comes or a child ends."""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Iterator
from types import FrameType

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """Somebody wants everything to stop."""


class StopSignals:
    """Counts the wishes. Nothing is interrupted: whoever waits here asks when it suits them.

    Wishes within a second are one: a closing terminal and a `make` that passes signals on both say it twice.
    """

    def __init__(self) -> None:
        self.count = 0
        self._last = -math.inf
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    @contextlib.contextmanager
    def received(self) -> Iterator[None]:
        """Take these signals over while inside; main thread only."""
        before = {number: signal.signal(number, self._count) for number in STOP}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._only_wake)
        wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Wait this long, or until a signal comes."""
        select.select([self._reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 4096)

    def pause(self, seconds: float) -> None:
        """Wait, and raise StopRequested when a stop is wished for."""
        self.wait(seconds)
        if self.count:
            raise StopRequested

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last > 1:
            self.count += 1
        self._last = now

    def _only_wake(self, _number: int, _frame: FrameType | None) -> None:
        pass
