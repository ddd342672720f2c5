"""Keeps the parts of the system running, and stops them in their order."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deliveryproject.local.logs import keep_bounded
from deliveryproject.local.part import Part, PartFailed

STEADY_SECONDS = 10
"""A part that ran this long had started well: when it ends, it is started again at once."""

LONGEST_WAIT_SECONDS = 16
"""Between two starts of a part that keeps ending; each wait before it is twice the last, from 1 s."""

LOG_CHECK_SECONDS = 5


@dataclass
class _Watched:
    part: Part
    started: float
    quick_ends: int = 0
    start_at: float | None = None


class Supervisor:
    """Starts parts group by group, restarts those that end, and stops the groups in reverse.

    announce is given one line for people; changed is called whenever a process was started.
    """

    def __init__(self, *, announce: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._announce = announce
        self._changed = changed
        self._groups: list[list[_Watched]] = []
        self._logs_checked = time.monotonic()

    @property
    def parts(self) -> list[Part]:
        return [watched.part for group in self._groups for watched in group]

    def watch(self, group: Sequence[Part]) -> None:
        """Look after these from now on; the caller starts them."""
        self._groups.append([_Watched(part, time.monotonic()) for part in group])
        for part in group:
            part.started = self._changed

    def check(self) -> None:
        """Start what has ended, if its wait is over. Call it about twice a second, or when a child ended."""
        now = time.monotonic()
        for group in self._groups:
            for watched in group:
                self._check(watched, now)
        if now - self._logs_checked > LOG_CHECK_SECONDS:
            self._logs_checked = now
            for part in self.parts:
                keep_bounded(part.log)

    def stop(self, *, wait: Callable[[float], None], hurry: Callable[[], bool]) -> None:
        """Stop everything; what was watched last goes first, a group at a time.

        wait: lets time pass. hurry: whether to end at once what still runs.
        """
        for group in reversed(self._groups):
            asked = time.monotonic()
            for watched in group:
                watched.part.ask_to_stop()
            while running := [watched.part for watched in group if watched.part.is_running()]:
                for part in running:
                    if hurry() or time.monotonic() - asked > part.stop_seconds:
                        part.kill()
                wait(0.1)

    def _check(self, watched: _Watched, now: float) -> None:
        if watched.part.is_running():
            if now - watched.started > STEADY_SECONDS:
                watched.quick_ends = 0
            return
        if watched.start_at is None:
            self._plan_restart(watched, now, _how_it_ended(watched.part))
        if watched.start_at is not None and now >= watched.start_at:
            watched.start_at = None
            watched.started = now
            try:
                watched.part.start()
            except (PartFailed, OSError) as error:
                self._plan_restart(watched, now, f"could not be started: {error}")

    def _plan_restart(self, watched: _Watched, now: float, what_happened: str) -> None:
        wait = min(2 ** (watched.quick_ends - 1), LONGEST_WAIT_SECONDS) if watched.quick_ends else 0
        watched.quick_ends += 1
        watched.start_at = now + wait
        when = f"starting it again in {wait} s" if wait else "starting it again"
        hint = f"; see {watched.part.log}" if watched.quick_ends > 1 else ""
        self._announce(f"{watched.part.name} {what_happened}; {when}{hint}")


def _how_it_ended(part: Part) -> str:
    code = part.process.returncode if part.process is not None else None
    if code is None:
        return "is not running"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit status {code}"
