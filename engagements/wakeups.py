"""Publishing wake-ups: Celery messages that say "these users have work". Ids only; loss is allowed.

A thread of its own publishes, so that nobody who produces ever waits for a broker, broken or not; what gathers while
one message is on its way goes out together in the next. A failure is logged and survived, and the broker is then left
alone for a moment: the workers' poll finds what was not announced. A crash loses what was not yet sent, likewise.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence

from celery import current_app

from engagements.domain.draft import user_id_problem

logger = logging.getLogger("engagements.wakeups")

WAKE_TASK = "workers.wake"
WAKE_UNORDERED_TASK = "workers.wake_unordered"

CHUNK = 500
"""Users per message: one claim's worth; a few kilobytes."""

WAITING_USERS = 100_000
"""Users that wait to be announced at most, some megabytes; beyond that the poll finds them."""

EXPIRES_SECONDS = 30
"""A wake-up older than this says nothing that the poll has not found."""

PAUSE_SECONDS = 2.0
"""How long nothing is published after a failure."""

EXIT_SECONDS = 2.0
"""How long a process that ends waits for its last wake-ups to go out."""


def wake(users: Mapping[str | None, Sequence[str]] | Mapping[str, Sequence[str]]) -> None:
    """Announce work: worker → users. Those without a worker (None) are found by the poll of the first that starts."""
    _publisher().add({worker: names for worker, names in users.items() if worker is not None}, unordered=False)


def users_of(received: object) -> list[str]:
    """The users that a received wake-up names: whoever can publish chose them. What is no user id is left out.

    PostgreSQL would refuse a whole claim for one of those. No more than a wake-up ever holds are taken.
    """
    if not isinstance(received, list):
        return []
    return [user for user in received[:CHUNK] if user_id_problem(user) is None]


def wake_unordered() -> None:
    """Announce unordered work to whichever worker is free."""
    _publisher().add({}, unordered=True)


class _Publisher:
    """What waits to be announced in this process, and the thread that announces it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._users: dict[str, dict[str, None]] = {}
        self._unordered = False
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="wakeups", daemon=True)
        self._thread.start()

    def add(self, users: Mapping[str, Sequence[str]], *, unordered: bool) -> None:
        with self._changed:
            for worker, names in users.items():
                waiting = self._users.setdefault(worker, {})
                if len(waiting) < WAITING_USERS:
                    waiting.update(dict.fromkeys(names))
            self._unordered |= unordered
            self._changed.notify()

    def close(self) -> None:
        """Let the thread send what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(EXIT_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._users or self._unordered or self._closing)
                users, self._users = self._users, {}
                unordered, self._unordered = self._unordered, False
                if not users and not unordered:
                    return
            try:
                self._send(users, unordered=unordered)
            except Exception as error:  # noqa: BLE001 - whatever a transport raises: a lost wake-up costs latency only
                logger.warning(
                    "wake-up not published, the poll will find the work: %s: %s", type(error).__name__, error
                )
                if self._closing:
                    return
                time.sleep(PAUSE_SECONDS)
                with self._changed:
                    self._users, self._unordered = {}, False

    def _send(self, users: Mapping[str, Mapping[str, None]], *, unordered: bool) -> None:
        for worker, waiting in users.items():
            names = list(waiting)
            for start in range(0, len(names), CHUNK):
                self._publish(WAKE_TASK, {"users": names[start : start + CHUNK], "worker": worker})
        if unordered:
            self._publish(WAKE_UNORDERED_TASK, {})

    def _publish(self, task: str, kwargs: dict[str, object]) -> None:
        current_app.send_task(task, kwargs=kwargs, expires=EXPIRES_SECONDS, ignore_result=True)


_lock = threading.Lock()
_current: _Publisher | None = None


def _publisher() -> _Publisher:
    """This process's publisher; a forked child makes its own."""
    global _current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = _Publisher()
            atexit.register(_current.close)
        return _current
