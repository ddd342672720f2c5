"""Reading the causes and effects of an engagement: its ancestors and its descendants, over all users.

Index use: ancestors by id, one probe each; children by `engagement_children`, of which no more than CHILDREN_COUNTED of
one parent are looked at. Levels are bounded, so a cycle ends as well.
"""

from typing import Any
from uuid import UUID

from engagements.store.connection import Connection, fetch_dicts

CHILDREN_COUNTED = 1_000
"""Children of one parent that are looked at: of more, the first by arrival among these are shown."""

_UP = """
WITH RECURSIVE up AS (
    SELECT id, user_id, status, causal_parent, unordered, replays, 0 AS level
    FROM engagements_engagement WHERE id = %(id)s
    UNION ALL
    SELECT p.id, p.user_id, p.status, p.causal_parent, p.unordered, p.replays, up.level + 1
    FROM up JOIN engagements_engagement p ON p.id = up.causal_parent WHERE up.level < %(levels)s
)
SELECT * FROM up WHERE level > 0 ORDER BY level
"""

_CHILDREN = f"""
SELECT * FROM (
    SELECT c.id, c.user_id, c.status, c.causal_parent, c.unordered, c.replays, c.arrival, count(*) OVER () AS siblings
    FROM (SELECT * FROM engagements_engagement WHERE causal_parent = {{parent}} LIMIT {CHILDREN_COUNTED + 1}) c
) s ORDER BY arrival LIMIT {{most}}
"""

_DOWN = f"""
WITH RECURSIVE down AS (
    SELECT 1 AS level, first.* FROM ({_CHILDREN.format(parent="%(id)s", most="%(children)s")}) first
    UNION ALL
    SELECT down.level + 1, next.* FROM down CROSS JOIN LATERAL (
        {_CHILDREN.format(parent="down.id", most="%(grandchildren)s")}
    ) next WHERE down.level < %(levels)s
)
SELECT * FROM down ORDER BY level, arrival
"""

_FIRST = _CHILDREN.format(parent="%(id)s", most="%(most)s")


def children(conn: Connection, id: UUID, *, most: int) -> list[dict[str, Any]]:
    """The first children, by arrival."""
    return fetch_dicts(conn, _FIRST, {"id": id, "most": most})


def ancestors(conn: Connection, id: UUID, *, levels: int) -> list[dict[str, Any]]:
    """The known causal parents above it, the nearest first; in a cycle the same come again."""
    return fetch_dicts(conn, _UP, {"id": id, "levels": levels})


def descendants(conn: Connection, id: UUID, *, levels: int, children: int, grandchildren: int) -> list[dict[str, Any]]:
    """The first children, by arrival, and theirs, level by level.

    siblings: how many children their parent has, counted up to one more than CHILDREN_COUNTED.
    """
    params = {"id": id, "levels": levels, "children": children, "grandchildren": grandchildren}
    return fetch_dicts(conn, _DOWN, params)
