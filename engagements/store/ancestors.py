"""Walking up the causal parents, to find cycles."""

from collections.abc import Sequence
from uuid import UUID

from engagements.store.connection import Connection, fetch

_ANCESTORS = """
WITH RECURSIVE up AS (
    SELECT id, causal_parent FROM engagements_engagement WHERE id = ANY(%(ids)s)
    UNION
    SELECT e.id, e.causal_parent FROM up JOIN engagements_engagement e ON e.id = up.causal_parent
    WHERE e.status = 'pending' OR NOT %(pending)s
)
SELECT id, causal_parent FROM up WHERE causal_parent IS NOT NULL
"""


def ancestors(conn: Connection, ids: Sequence[UUID], *, pending: bool = False) -> dict[UUID, UUID | None]:
    """Child → parent, for these and all of their ancestors that are known; pending: only as far up as they are pending.

    One index probe per ancestor. It ends in cycles, too.
    """
    return dict(fetch(conn, _ANCESTORS, {"ids": list(ids), "pending": pending}))
