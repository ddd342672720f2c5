"""Publishing wake-ups: Celery messages that say "these users have work". Ids only; loss is allowed.

A failure is logged and survived: the workers' poll finds what was not announced. After one failure the broker is left
alone for a moment, so that producers do not each wait for a broken one.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence

from celery import current_app

logger = logging.getLogger("engagements.wakeups")

WAKE_TASK = "workers.wake"
WAKE_UNORDERED_TASK = "workers.wake_unordered"

CHUNK = 500
"""Users per message: one claim's worth; a few kilobytes."""

EXPIRES_SECONDS = 30
"""A wake-up older than this says nothing that the poll has not found."""

PAUSE_SECONDS = 2.0
"""How long nothing is published after a failure."""

_silent_until = 0.0


def wake(users: Mapping[str | None, Sequence[str]]) -> None:
    """Announce work: worker → users. Those without a worker (None) are found by the poll of the first that starts."""
    for worker, names in users.items():
        if worker is not None:
            for chunk in _chunks(names):
                _publish(WAKE_TASK, {"users": chunk, "worker": worker})


def wake_unordered() -> None:
    """Announce unordered work to whichever worker is free."""
    _publish(WAKE_UNORDERED_TASK, {})


def _chunks(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + CHUNK] for start in range(0, len(names), CHUNK))


def _publish(task: str, kwargs: dict[str, object]) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        current_app.send_task(task, kwargs=kwargs, expires=EXPIRES_SECONDS, ignore_result=True)
    except Exception as error:  # noqa: BLE001 - whatever a transport raises: a lost wake-up costs latency only
        _silent_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("wake-up not published, the poll will find the work: %s: %s", type(error).__name__, error)
