"""The ring over the workers alive now, cached in this process for about a second."""

import threading
import time

from engagements.domain.ring import Ring
from engagements.store import workers
from engagements.store.connection import current

CACHE_SECONDS = 1.0
"""A produce that chooses by a ring one second old is mended by the poll; a look per produce would cost a query."""

_lock = threading.Lock()
_cached: tuple[float, Ring] | None = None


def ring() -> Ring:
    """The ring; up to a second old."""
    global _cached
    cached = _cached
    if cached is not None and time.monotonic() - cached[0] < CACHE_SECONDS:
        return cached[1]
    live = workers.alive(current())
    with _lock:
        same = _cached is not None and _cached[1].workers == tuple(live)
        fresh = _cached[1] if same and _cached else Ring(live)
        _cached = (time.monotonic(), fresh)
    return fresh


def forget() -> None:
    """Look again at the next call; for those that changed the workers themselves."""
    global _cached
    _cached = None
