"""Whether this worker may believe that the others take it for alive."""

from time import monotonic

from engagements import conf

MARGIN_SECONDS = 0.5
"""Stop sending so long before the others may take over."""

RETURN_SECONDS = 3.0
"""After a lost trust, until the others are judged: they too need a moment to write their next heartbeat."""


class Trust:
    """Holds for WORKER_DEAD_SECONDS after the last heartbeat that was written, by this process's monotonic clock.

    A worker that was frozen, or cut off from the database, finds it gone before it sends anything more.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._returned = -RETURN_SECONDS

    def renew(self, sent_at: float) -> None:
        """A heartbeat sent at that moment was written."""
        if self._until and sent_at > self._until:
            self._returned = sent_at
        self._until = sent_at + conf.WORKER_DEAD_SECONDS - MARGIN_SECONDS

    def holds(self) -> bool:
        return monotonic() < self._until

    def may_judge(self) -> bool:
        """Whether others without a heartbeat are dead: after a while without the database everybody's is old."""
        return self.holds() and monotonic() >= self._returned + RETURN_SECONDS
