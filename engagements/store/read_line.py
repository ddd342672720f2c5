"""Reading one user's line and what was settled lately, for their page: a bounded number of rows in one statement each.

Index use: the line by `engagement_line`; history by `engagement_sequence` and `engagement_of_user`, backwards; a parent
by id; those that wait for one in line by `engagement_children`, no more than FOLLOWERS_COUNTED of each.
"""

from typing import Any

from engagements.store.connection import Connection, fetch_dicts

FOLLOWERS_COUNTED = 100
"""Pending children of one engagement in line that are counted; one more says that there are more."""

PREVIEW_BYTES = 4096
"""A payload that takes more in PostgreSQL is not read for its first line: a hundred of 64 KiB would be 6 MB."""

_COLUMNS = """e.id, e.user_id, e.produced_at, e.received_at, e.expires_at, e.settled_at, e.order_time, e.held_until,
    e.arrival, e.status, e.causal_parent, e.unordered, e.channel AS channel_id, e.late, e.replays, e.last_error,
    e.timeout_seconds"""

_LINE = f"""
WITH p AS MATERIALIZED (
    SELECT in_service, sequence, attempt FROM engagements_pipeline WHERE user_id = %(user)s
), line AS (
    (SELECT s.*, true AS served FROM engagements_engagement s
        WHERE s.id = (SELECT in_service FROM p) AND s.status = 'pending')
    UNION ALL
    (SELECT s.*, false FROM engagements_engagement s
        WHERE s.user_id = %(user)s AND s.status = 'pending' AND NOT s.unordered
            AND s.id IS DISTINCT FROM (SELECT in_service FROM p)
        ORDER BY s.order_time, s.arrival LIMIT %(limit)s)
)
SELECT {_COLUMNS}, e.served,
    CASE WHEN e.served THEN p.sequence END AS sequence,
    CASE WHEN e.served THEN p.attempt ELSE e.attempts END AS attempts,
    pg_column_size(e.payload) AS bytes,
    CASE WHEN pg_column_size(e.payload) <= {PREVIEW_BYTES} THEN e.payload::text END AS small,
    parent.user_id AS parent_user_id, parent.status AS parent_status, followers.number AS followers
FROM line e CROSS JOIN p
LEFT JOIN engagements_engagement parent ON parent.id = e.causal_parent
CROSS JOIN LATERAL (
    SELECT count(*)::int AS number FROM (
        SELECT FROM engagements_engagement c
        WHERE c.causal_parent = e.id AND c.status = 'pending' AND e.replays = 0 AND c.replays = 0
        LIMIT {FOLLOWERS_COUNTED + 1}
    ) waiting
) followers
ORDER BY e.served DESC, e.order_time, e.arrival LIMIT %(limit)s
"""

# Those that were in service by their numbers; the others, which have none, among what arrived last.
_HISTORY = f"""
SELECT DISTINCT {_COLUMNS}, e.sequence, e.attempts FROM (
    (SELECT * FROM engagements_engagement WHERE user_id = %(user)s AND sequence IS NOT NULL AND status <> 'pending'
        ORDER BY sequence DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM (
        SELECT * FROM engagements_engagement WHERE user_id = %(user)s ORDER BY arrival DESC LIMIT %(reach)s
    ) recent WHERE status <> 'pending' AND NOT unordered)
) e ORDER BY e.settled_at DESC, e.sequence DESC NULLS LAST LIMIT %(limit)s
"""


def line(conn: Connection, user_id: str, *, limit: int) -> list[dict[str, Any]]:
    """The engagements in line, the one in service first; each with its parent, and how many wait for it.

    small: the payload as text, null where it is a large one.
    """
    return fetch_dicts(conn, _LINE, {"user": user_id, "limit": limit})


def history(conn: Connection, user_id: str, *, limit: int, reach: int) -> list[dict[str, Any]]:
    """What was settled lately, the latest first. reach: arrivals looked through for what never was in service."""
    return fetch_dicts(conn, _HISTORY, {"user": user_id, "limit": limit, "reach": reach})
