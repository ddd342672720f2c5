"""Reading pipelines: the rows of a page, each with its head and what the head waits for, in one statement.

Index use: a page walks the primary key, or the small index of the paused; filters see at most SCAN_LIMIT rows of it.
For each pipeline shown: its head by the line's index, the front of the line for its age, the head's parent by id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engagements.store import everything
from engagements.store.connection import Connection, fetch, fetch_dicts
from engagements.store.everything import RUNS, SINCE
from engagements.store.workers import IS_ALIVE

SCAN_LIMIT = 20_000
"""Rows looked at for one page: some tens of milliseconds."""

FRONT = 1000
"""How much of a line is looked at for its oldest: it is sorted by order time, which received_at follows closely."""

_WALK = "SELECT user_id FROM engagements_pipeline p WHERE {where} ORDER BY user_id {way}"

_RESIDUAL = {
    "worker": "p.worker = %(worker)s",
    "pending": "(p.due_at IS NOT NULL) = %(pending)s",
    "paused": f"(p.paused_at IS NOT NULL OR NOT {RUNS}) = %(paused)s",
}

_DETAILS = f"""
SELECT p.user_id, p.depth, p.worker, p.session_until, p.lease_worker, p.lease_token, p.lease_until, p.paused_at,
    {SINCE} AS everything_paused_at, p.timeout_seconds, p.due_at, clock_timestamp() AS now, alive.names AS alive,
    head.id AS head_id, head.channel AS head_channel, channel.kind AS head_channel_kind,
    head.expires_at AS head_expires_at, head.held_until AS head_held_until, p.attempt AS head_attempt,
    p.in_service IS NOT DISTINCT FROM head.id AS head_in_service,
    GREATEST(head.received_at, CASE WHEN p.due_at <= clock_timestamp() THEN p.due_at END, previous.settled_at)
        AS head_since,
    CASE WHEN head.replays = 0 AND COALESCE(parent.replays, 0) = 0 AND COALESCE(parent.status, 'pending') = 'pending'
        THEN head.causal_parent END AS parent_id,
    parent.status AS parent_status, parent.user_id AS parent_user_id, parent.unordered AS parent_unordered,
    place.number AS parent_place,
    extract(epoch FROM clock_timestamp() - front.oldest)::float8 AS oldest_pending_age_seconds
FROM engagements_pipeline p
CROSS JOIN (
    SELECT ARRAY(SELECT name FROM engagements_worker WHERE {IS_ALIVE}) AS names
) alive
LEFT JOIN LATERAL (
    (SELECT * FROM engagements_engagement s WHERE s.id = p.in_service AND s.status = 'pending')
    UNION ALL
    (SELECT * FROM engagements_engagement s
    WHERE s.user_id = p.user_id AND s.status = 'pending' AND NOT s.unordered
    ORDER BY s.order_time, s.arrival LIMIT 1)
    LIMIT 1
) head ON p.due_at IS NOT NULL
LEFT JOIN engagements_channel channel ON channel.name = head.channel
LEFT JOIN engagements_engagement parent ON parent.id = head.causal_parent
LEFT JOIN LATERAL (
    SELECT count(*)::int AS number FROM (
        SELECT FROM engagements_engagement l
        WHERE parent.status = 'pending' AND NOT parent.unordered
            AND l.user_id = parent.user_id AND l.status = 'pending' AND NOT l.unordered
            AND (l.order_time, l.arrival) <= (parent.order_time, parent.arrival)
        LIMIT 101
    ) before
) place ON parent.id IS NOT NULL
LEFT JOIN engagements_engagement previous ON previous.user_id = p.user_id AND previous.sequence = p.sequence - 1
    AND p.in_service IS NOT NULL
LEFT JOIN LATERAL (
    SELECT min(received_at) AS oldest FROM (
        SELECT l.received_at FROM engagements_engagement l
        WHERE l.user_id = p.user_id AND l.status = 'pending' AND NOT l.unordered
        ORDER BY l.order_time, l.arrival LIMIT {FRONT}
    ) line
) front ON p.due_at IS NOT NULL
WHERE p.user_id = ANY(%s)
"""

# By the head of each: one in service waits for no parent any more.
_WAITS_BEHIND = """
WITH RECURSIVE hop AS (
    SELECT %(user)s::text COLLATE "C" AS user_id, 0 AS level
    UNION ALL
    SELECT parent.user_id, hop.level + 1 FROM hop
    JOIN engagements_pipeline p ON p.user_id = hop.user_id AND p.due_at IS NOT NULL AND p.in_service IS NULL
    CROSS JOIN LATERAL (
        SELECT l.causal_parent, l.replays FROM engagements_engagement l
        WHERE l.user_id = p.user_id AND l.status = 'pending' AND NOT l.unordered
        ORDER BY l.order_time, l.arrival LIMIT 1
    ) head
    JOIN engagements_engagement parent ON parent.id = head.causal_parent AND parent.status = 'pending'
        AND NOT parent.unordered AND parent.replays = 0 AND head.replays = 0
    WHERE hop.level < %(most)s
)
SELECT user_id FROM hop WHERE level > 0 ORDER BY level
"""


@dataclass(frozen=True, slots=True)
class Users:
    """One page's users, in the order walked. scanned_to: the user to go on from when the walk was cut short."""

    users: list[str]
    scanned_to: str | None


def details(conn: Connection, users: Sequence[str]) -> list[dict[str, Any]]:
    """The pipelines of these users, in any order; those that exist."""
    return fetch_dicts(conn, _DETAILS, [list(users)])


def waits_behind(conn: Connection, user_id: str, *, most: int) -> list[str]:
    """The users behind whose engagements this one's head waits, one behind the other, each once."""
    users = [user for (user,) in fetch(conn, _WAITS_BEHIND, {"user": user_id, "most": most})]
    return [user for user in dict.fromkeys(users) if user != user_id]


def walk(
    conn: Connection, filters: dict[str, Any], *, start: str | None, backwards: bool, limit: int, scan: int = SCAN_LIMIT
) -> Users:
    """Up to `limit` users after `start`, ascending, or descending when `backwards`.

    filters: of worker, paused, pending; only those given.
    """
    few_paused = bool(filters.get("paused")) and everything.state(conn) is None
    where = "p.paused_at IS NOT NULL" if few_paused else "true"
    if start is not None:
        where += f" AND p.user_id {'<' if backwards else '>'} %(start)s"
    residual = " AND ".join(_RESIDUAL[name] for name in filters if not (name == "paused" and few_paused))
    walked = _WALK.format(where=where, way="DESC" if backwards else "ASC")
    bounded = walked.replace("SELECT user_id", "SELECT *", 1) + f" LIMIT {scan if residual else limit}"
    params = {**filters, "start": start}
    page = f"SELECT p.user_id FROM ({bounded}) p WHERE {residual or 'true'} LIMIT {limit}"
    users = [user for (user,) in fetch(conn, page, params)]
    scanned_to = None
    if residual and len(users) < limit:
        at_bound = fetch(conn, f"{walked} OFFSET {scan - 1} LIMIT 1", params)
        scanned_to = at_bound[0][0] if at_bound else None
    return Users(users, scanned_to)
