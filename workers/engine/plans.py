"""When the plans that the lanes keep are due for another look: as their tables have grown or shrunk.

A plan made while a table was empty reads all of it for one row when a backlog has come. PostgreSQL plans anew by itself
after the next vacuum or analyze, which may be a minute away.
"""

from collections.abc import Iterable

from engagements.store.connection import sizes
from workers.engine.lane import Lane

FACTOR = 1.5
"""By how much a table may have changed; planning anew costs a lane some milliseconds."""

PAGE_BYTES = 8192


class Plans:
    """Looks at the sizes now and then, and tells the lanes."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._lanes = list(lanes)
        self._made_at: tuple[int, ...] = ()

    async def look(self, lane: Lane) -> None:
        found = tuple(max(PAGE_BYTES, size) for size in await lane.run(sizes))
        if any(not 1 / FACTOR < now / then < FACTOR for now, then in zip(found, self._made_at, strict=False)):
            for each in self._lanes:
                each.replan()
            self._made_at = ()
        self._made_at = self._made_at or found
