"""Wishes to stop: SIGINT, SIGTERM, SIGHUP or a closed terminal; and a wait that ends when one comes."""

import contextlib
import math
import os
import select
import signal
import time
from collections.abc import Iterator
from types import FrameType


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
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        # Closing a terminal sends SIGHUP to the first process in it only. Where that is `make` and not a shell,
        # it waits for us and passes nothing on, so we look ourselves.
        self._terminal = next((number for number in range(3) if os.isatty(number)), None)
        if self._terminal is not None:
            self._poll.register(self._terminal, 0)

    @contextlib.contextmanager
    def received(self) -> Iterator[None]:
        """Take these signals over while inside; main thread only."""
        stop = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else it was started by nohup
            stop.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._signalled) for number in stop}
        # A child that ended is a reason to look, too.
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self, seconds: float) -> None:
        """Wait this long, or until a signal comes."""
        for descriptor, event in self._poll.poll(seconds * 1000):
            if descriptor == self._reader:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._reader, 4096)
            elif event & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                self._poll.unregister(descriptor)
                self._wish()

    def pause(self, seconds: float) -> None:
        """Wait, and raise StopRequested when a stop is wished for."""
        self.wait(seconds)
        if self.count:
            raise StopRequested

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._wish()

    def _wish(self) -> None:
        now = time.monotonic()
        if now - self._last > 1:
            self.count += 1
        self._last = now
