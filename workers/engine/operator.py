"""An engine's part in operators' actions on many: it goes on with what is under way, broker or not.

They are use cases of the Django side and use its connection: in a thread of its own, opened when there is something to
do and closed after.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from django.db import InterfaceError, OperationalError, connections

from engagements import operations
from engagements.store import read_operations
from workers.engine.lane import Lane

logger = logging.getLogger("workers.engine")

STRETCH_SECONDS = 0.5
"""How long it works without looking up: a worker that stops waits for no more than this and a batch."""


class Operator:
    """One for an engine."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="engine-operate")

    async def look(self, lane: Lane) -> None:
        """Go on with all that are under way, while there is more to do at once."""
        loop = asyncio.get_running_loop()
        while await lane.run(read_operations.waiting) and await loop.run_in_executor(self._executor, _go_on):
            pass

    def close(self) -> None:
        self._executor.shutdown(wait=False)


def _go_on() -> bool:
    try:
        return operations.go_on(seconds=STRETCH_SECONDS)
    except (OperationalError, InterfaceError) as error:
        logger.warning("database not reached, operations go on later: %s", error)
        return False
    finally:
        connections.close_all()
