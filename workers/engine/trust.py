"""Whether this worker may believe that the others take it for alive."""

from time import monotonic

from engagements import conf

MARGIN_SECONDS = 0.5
"""Stop sending so long before the others may take over."""


class Trust:
    """Holds for WORKER_DEAD_SECONDS after the last heartbeat that was written, by this process's monotonic clock.

    A worker that was frozen, or cut off from the database, finds it gone before it sends anything more.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def renew(self, sent_at: float) -> None:
        """A heartbeat sent at that moment was written."""
        self._until = sent_at + conf.WORKER_DEAD_SECONDS - MARGIN_SECONDS

    def holds(self) -> bool:
        return monotonic() < self._until
