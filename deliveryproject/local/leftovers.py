"""Ends what an earlier `up` left running when it was killed."""

import contextlib
import os
import signal
import time

from deliveryproject.local.identity import Identity
from deliveryproject.local.state import State

GRACE_SECONDS = 10
"""How long a leftover may take to end cleanly. On Linux most have ended with their parent already."""


def end_leftovers(state: State | None) -> list[str]:
    """End the parts that the note names and that still run, and return their names.

    Only the very processes of the note: a pid that was given to another process since is left alone.
    The caller holds the lock on the data directory, so no `up` that runs owns them.
    """
    left = {name: part for name, part in (state.parts if state else {}).items() if part.is_alive()}
    for part in left.values():
        # For PostgreSQL this is the fast stop; for all others it is as good as SIGTERM.
        _send(part, signal.SIGINT)
    give_up = time.monotonic() + GRACE_SECONDS
    while any(part.is_alive() for part in left.values()) and time.monotonic() < give_up:
        time.sleep(0.05)
    for part in left.values():
        _send(part, signal.SIGKILL)
    while any(part.is_alive() for part in left.values()):
        time.sleep(0.05)
    return sorted(left)


def _send(part: Identity, number: signal.Signals) -> None:
    if part.is_alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(part.pid, number)
