"""What operators do to pipelines: pause, resume, purge, skip, replay, end a session; in the caller's transaction.

What a holder attempts at that moment is fenced by raising the token. The lease itself is left standing as a barrier:
nobody attempts anything of that user before the holder has noticed (a second or so) or its lease has run out.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from engagements import conf
from engagements.domain.errors import Conflict, NotFound
from engagements.domain.moves import Move, Status
from engagements.domain.ring import Ring
from engagements.store.connection import Connection, fetch, fetch_dicts, run
from engagements.store.pipelines import enlist

PURGE_USERS = 500
"""Pipelines per transaction when a queue is purged."""


@dataclass(slots=True)
class Skipped:
    """ids: what was settled; wake: the user, if more is in line, by its worker."""

    ids: list[UUID] = field(default_factory=list)
    wake: dict[str | None, list[str]] = field(default_factory=dict)


_CREATE = """
INSERT INTO engagements_pipeline (user_id, lease_token, attempt, sequence, depth) VALUES (%s, 0, 0, 0, 0)
ON CONFLICT (user_id) DO NOTHING
"""

_LOCK = """
SELECT user_id, worker, depth, paused_at FROM engagements_pipeline
WHERE user_id = ANY(%s) ORDER BY user_id FOR NO KEY UPDATE
"""

_PAUSE = "UPDATE engagements_pipeline SET paused_at = COALESCE(paused_at, clock_timestamp()) WHERE user_id = %s"

_EXTEND = """
UPDATE engagements_engagement e
SET expires_at = e.expires_at + (clock_timestamp() - GREATEST(p.paused_at, e.received_at))
FROM engagements_pipeline p
WHERE p.user_id = %s AND e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
"""

# A head in service keeps the time of its retry; whatever else is in line is looked at now.
_RESUME = """
UPDATE engagements_pipeline
SET paused_at = NULL,
    due_at = CASE WHEN due_at IS NULL OR in_service IS NOT NULL THEN due_at ELSE LEAST(due_at, clock_timestamp()) END
WHERE user_id = %s
"""

_PURGE = """
UPDATE engagements_engagement e
SET status = 'purged', settled_at = clock_timestamp(),
    sequence = CASE WHEN p.in_service = e.id THEN p.sequence END,
    attempts = CASE WHEN p.in_service = e.id THEN p.attempt ELSE e.attempts END
FROM engagements_pipeline p
WHERE p.user_id = ANY(%s) AND e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
RETURNING e.id
"""

_EMPTY = """
UPDATE engagements_pipeline
SET depth = 0, due_at = NULL, in_service = NULL, lease_token = lease_token + 1,
    lease_worker = CASE WHEN lease_until > clock_timestamp() THEN lease_worker END,
    lease_until = CASE WHEN lease_until > clock_timestamp() THEN lease_until END
WHERE user_id = ANY(%s)
"""

_HEAD = """
SELECT e.id FROM engagements_pipeline p CROSS JOIN LATERAL (
    (SELECT s.id FROM engagements_engagement s WHERE s.id = p.in_service AND s.status = 'pending')
    UNION ALL
    (SELECT s.id FROM engagements_engagement s
    WHERE p.in_service IS NULL AND s.user_id = p.user_id AND s.status = 'pending' AND NOT s.unordered
    ORDER BY s.order_time, s.arrival LIMIT 1)
) e WHERE p.user_id = %s
"""

_SKIP_HEAD = """
UPDATE engagements_engagement e
SET status = 'purged', settled_at = clock_timestamp(),
    sequence = CASE WHEN p.in_service = e.id THEN p.sequence END,
    attempts = CASE WHEN p.in_service = e.id THEN p.attempt ELSE e.attempts END
FROM engagements_pipeline p
WHERE p.user_id = e.user_id AND e.id = %s AND e.status = 'pending'
"""

_MOVE_UP = """
UPDATE engagements_pipeline
SET depth = depth - 1, in_service = NULL, lease_token = lease_token + 1,
    due_at = CASE WHEN depth = 1 THEN NULL ELSE LEAST(due_at, clock_timestamp()) END
WHERE user_id = %s
"""

_QUEUE_USERS = """
SELECT user_id FROM engagements_pipeline
WHERE worker IS NOT DISTINCT FROM %(worker)s AND due_at IS NOT NULL AND user_id > %(after)s
ORDER BY user_id LIMIT %(limit)s
"""

_PURGE_UNORDERED = """
UPDATE engagements_engagement e
SET status = 'purged', settled_at = clock_timestamp(), lease_token = e.lease_token + 1
WHERE e.id = ANY(ARRAY(
    SELECT id FROM engagements_engagement WHERE status = 'pending' AND unordered ORDER BY id LIMIT %s FOR UPDATE
))
RETURNING e.id
"""

_REPLAYED = """
SELECT id, user_id, status, unordered FROM engagements_engagement WHERE id = %s FOR UPDATE
"""

# An unordered one is fenced by its own token: a settle of its former life must find nothing.
_REPLAY = """
UPDATE engagements_engagement e
SET status = 'pending', settled_at = NULL, sequence = NULL, attempts = 0, last_error = '', late = false,
    replays = e.replays + 1, received_at = n.now, held_until = n.now, arrival = nextval('engagements_arrival'),
    lease_token = e.lease_token + e.unordered::int,
    expires_at = n.now + interval '1 second'
        * COALESCE(e.timeout_seconds, CASE WHEN NOT e.unordered THEN p.timeout_seconds END, %(timeout)s),
    order_time = CASE WHEN e.unordered THEN e.order_time ELSE GREATEST(n.now, e.order_time + interval '1 microsecond',
        p.last_order_time + interval '1 microsecond', (
            SELECT max(l.order_time) + interval '1 microsecond' FROM engagements_engagement l
            WHERE l.user_id = e.user_id AND l.status = 'pending' AND NOT l.unordered)) END
FROM (SELECT clock_timestamp() AS now) n LEFT JOIN engagements_pipeline p ON p.user_id = %(user)s
WHERE e.id = %(id)s
"""


def pause(conn: Connection, user_id: str) -> None:
    """Nothing of this user starts from now; deadlines stand still. Twice is once."""
    run(conn, _CREATE, [user_id])
    run(conn, _PAUSE, [user_id])


def resume(conn: Connection, user_id: str) -> str | None:
    """Go on, every pending deadline moved by the time it stood still; the worker to wake, if there is work."""
    rows = fetch_dicts(conn, _LOCK, [[user_id]])
    if not rows or rows[0]["paused_at"] is None:
        return None
    [row] = rows
    run(conn, _EXTEND, [user_id])
    run(conn, _RESUME, [user_id])
    return row["worker"] if row["depth"] else None


def purge(conn: Connection, users: list[str]) -> list[UUID]:
    """Settle everything pending of these users as purged, the head included, paused or not; what that was."""
    fetch(conn, _LOCK, [users])
    ids = [id for (id,) in fetch(conn, _PURGE, [users])]
    run(conn, _EMPTY, [users])
    return ids


def queue_users(conn: Connection, worker: str, *, after: str) -> list[str]:
    """The next users with pending work of this worker, ascending."""
    rows = fetch(conn, _QUEUE_USERS, {"worker": worker, "after": after, "limit": PURGE_USERS})
    return [user for (user,) in rows]


def purge_unordered(conn: Connection, *, limit: int) -> list[UUID]:
    """Settle up to `limit` pending unordered engagements as purged."""
    return [id for (id,) in fetch(conn, _PURGE_UNORDERED, [limit])]


def skip(conn: Connection, user_id: str, id: UUID) -> Skipped:
    """Settle the head as purged, if it still is the head; the next one moves up.

    Raises NotFound for an unknown pipeline, Conflict when another engagement, or none, is the head.
    """
    rows = fetch_dicts(conn, _LOCK, [[user_id]])
    if not rows:
        raise NotFound.pipeline(user_id)
    head = fetch(conn, _HEAD, [user_id])
    if not head:
        raise Conflict("nothing is pending in this pipeline")
    if head[0][0] != id:
        raise Conflict(f"the head of this pipeline is {head[0][0]} now; look again before you skip it")
    run(conn, _SKIP_HEAD, [id])
    run(conn, _MOVE_UP, [user_id])
    wake: dict[str | None, list[str]] = {rows[0]["worker"]: [user_id]} if rows[0]["depth"] > 1 else {}
    return Skipped(ids=[id], wake=wake)


def end_session(conn: Connection, user_id: str) -> None:
    """Let the ring choose the worker anew when this user's pending work is done. Raises NotFound."""
    if not run(conn, "UPDATE engagements_pipeline SET session_until = NULL WHERE user_id = %s", [user_id]):
        raise NotFound.pipeline(user_id)


def set_timeout(conn: Connection, user_id: str, seconds: float | None) -> None:
    """The pending time-out of this user's engagements from now on; None: the default."""
    run(conn, _CREATE, [user_id])
    run(conn, "UPDATE engagements_pipeline SET timeout_seconds = %s WHERE user_id = %s", [seconds, user_id])


@dataclass(frozen=True, slots=True)
class Replayed:
    """Who has to be woken: the user's worker, or the unordered queue."""

    user_id: str
    unordered: bool
    worker: str | None


def replay(conn: Connection, id: UUID, ring: Ring) -> Replayed:
    """Give a failed or expired engagement a new life at the end of its pipeline.

    Raises NotFound, or Conflict when its status does not allow it.
    """
    found = fetch(conn, "SELECT user_id, unordered FROM engagements_engagement WHERE id = %s", [id])
    if not found:
        raise NotFound(f"there is no engagement {id}")
    [(user, unordered)] = found
    worker = None
    if not unordered:
        pipelines, _ = enlist(conn, {user: 1}, ring)
        worker = pipelines[user].worker
    locked = fetch_dicts(conn, _REPLAYED, [id])
    if not locked:  # its retention ended while its pipeline was waited for
        raise NotFound(f"there is no engagement {id}")
    [row] = locked
    if not Move.REPLAY.allowed_from(Status(row["status"])):
        raise Conflict(f"this engagement is {row['status']}; only a failed or expired one can be replayed")
    params: dict[str, Any] = {"id": id, "user": user, "timeout": conf.pending_timeout_seconds()}
    run(conn, _REPLAY, params)
    return Replayed(user, unordered, worker)
