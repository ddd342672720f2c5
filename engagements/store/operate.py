"""What operators do to pipelines: pause, resume, purge, skip, replay, end a session; in the caller's transaction.

What a holder attempts at that moment is fenced by raising the token. The lease itself is left standing as a barrier:
nobody attempts anything of that user before the holder has noticed (a second or so) or its lease has run out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from engagements import conf
from engagements.domain.errors import Conflict, NotFound
from engagements.domain.moves import Move, Status
from engagements.domain.ring import Ring
from engagements.store.connection import Connection, fetch, fetch_dicts, run
from engagements.store.everything import SINCE
from engagements.store.pipelines import enlist

PURGE_USERS = 500
"""Pipelines per transaction when a queue is purged."""

LAST = 2**63 - 1
"""An arrival number that none is greater than."""


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
SELECT user_id, worker, depth, paused_at, in_service FROM engagements_pipeline
WHERE user_id = ANY(%s) ORDER BY user_id FOR NO KEY UPDATE
"""

_PAUSE = """
UPDATE engagements_pipeline SET paused_at = clock_timestamp() WHERE user_id = ANY(%s) AND paused_at IS NULL
RETURNING user_id
"""

# While everything is paused: only for the time before that; the rest is added when everything is resumed. The users are
# named twice, so that the planner enters the line's index with them whatever it expects the join to give.
_EXTEND = f"""
UPDATE engagements_engagement e
SET expires_at = e.expires_at + (LEAST(clock_timestamp(), {SINCE}) - GREATEST(p.paused_at, e.received_at))
FROM engagements_pipeline p
WHERE p.user_id = ANY(%(users)s) AND e.user_id = ANY(%(users)s) AND e.user_id = p.user_id
    AND e.status = 'pending' AND NOT e.unordered
    AND LEAST(clock_timestamp(), {SINCE}) > GREATEST(p.paused_at, e.received_at)
"""

# A head in service keeps the time of its retry; whatever else is in line is looked at now.
_RESUME = """
UPDATE engagements_pipeline
SET paused_at = NULL,
    due_at = CASE WHEN due_at IS NULL OR in_service IS NOT NULL THEN due_at ELSE LEAST(due_at, clock_timestamp()) END
WHERE user_id = ANY(%s)
"""

# What arrived later than `upto` stays: whoever asked for the purge has not seen it.
_PURGE = """
UPDATE engagements_engagement e
SET status = 'purged', settled_at = clock_timestamp(),
    sequence = CASE WHEN p.in_service = e.id THEN p.sequence END,
    attempts = CASE WHEN p.in_service = e.id THEN p.attempt ELSE e.attempts END
FROM engagements_pipeline p
WHERE p.user_id = ANY(%(users)s) AND e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
    AND e.arrival <= %(upto)s
RETURNING e.id, e.user_id
"""

# One in service that stays is being attempted rightly: its holder keeps its token.
_THIN = """
UPDATE engagements_pipeline p
SET depth = p.depth - g.number, in_service = CASE WHEN g.stays THEN p.in_service END,
    due_at = CASE WHEN p.depth = g.number THEN NULL WHEN g.stays THEN p.due_at
        ELSE LEAST(p.due_at, clock_timestamp()) END,
    lease_token = p.lease_token + (NOT g.stays)::int,
    lease_worker = CASE WHEN g.stays OR p.lease_until > clock_timestamp() THEN p.lease_worker END,
    lease_until = CASE WHEN g.stays OR p.lease_until > clock_timestamp() THEN p.lease_until END
FROM unnest(%(users)s::text[], %(numbers)s::bigint[], %(stays)s::bool[]) AS g(user_id, number, stays)
WHERE p.user_id = g.user_id
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

# Chosen along the index, so that each batch reads its own rows only; locked in order of their ids.
_PURGE_UNORDERED = """
UPDATE engagements_engagement e
SET status = 'purged', settled_at = clock_timestamp(), lease_token = e.lease_token + 1
WHERE e.id = ANY(ARRAY(
    SELECT id FROM engagements_engagement WHERE status = 'pending' AND id = ANY(ARRAY(
        SELECT id FROM engagements_engagement WHERE status = 'pending' AND unordered AND arrival <= %(upto)s
        ORDER BY arrival LIMIT %(limit)s))
    ORDER BY id FOR UPDATE
))
RETURNING e.id
"""

_LAST_ARRIVAL = "SELECT last_value FROM engagements_arrival"

_REPLAYED = """
SELECT id, user_id, status, unordered FROM engagements_engagement WHERE id = %s FOR UPDATE
"""

# An unordered one is fenced by its own token: a settle of its former life must find nothing. Several of one user keep
# the order in which they had arrived.
_REPLAY = """
UPDATE engagements_engagement e
SET status = 'pending', settled_at = NULL, sequence = NULL, attempts = 0, last_error = '', late = false,
    replays = e.replays + 1, received_at = c.now, held_until = c.now, arrival = c.arrival,
    lease_token = e.lease_token + e.unordered::int,
    expires_at = c.now + interval '1 second' * c.timeout,
    order_time = CASE WHEN e.unordered THEN e.order_time ELSE c.order_time END
FROM (
    SELECT s.id, n.now, nextval('engagements_arrival') AS arrival,
        COALESCE(s.timeout_seconds, CASE WHEN NOT s.unordered THEN p.timeout_seconds END, %(timeout)s) AS timeout,
        GREATEST(n.now, max(s.order_time) OVER own + interval '1 microsecond',
            p.last_order_time + interval '1 microsecond', (
                SELECT max(l.order_time) + interval '1 microsecond' FROM engagements_engagement l
                WHERE l.user_id = s.user_id AND l.status = 'pending' AND NOT l.unordered))
            + interval '1 microsecond' * (row_number() OVER (own ORDER BY s.arrival) - 1) AS order_time
    FROM (SELECT clock_timestamp() AS now) n
    CROSS JOIN engagements_engagement s LEFT JOIN engagements_pipeline p ON p.user_id = s.user_id
    WHERE s.id = ANY(%(ids)s)
    WINDOW own AS (PARTITION BY s.user_id, s.unordered)
    ORDER BY s.arrival
) c WHERE e.id = c.id
"""


def pause(conn: Connection, user_id: str) -> None:
    """Nothing of this user starts from now; deadlines stand still. Twice is once."""
    run(conn, _CREATE, [user_id])
    run(conn, _PAUSE, [[user_id]])


def resume(conn: Connection, user_id: str) -> str | None:
    """Go on, every pending deadline moved by the time it stood still; the worker to wake, if there is work."""
    rows = fetch_dicts(conn, _LOCK, [[user_id]])
    if not rows or rows[0]["paused_at"] is None:
        return None
    resume_locked(conn, [user_id])
    [row] = rows
    return row["worker"] if row["depth"] else None


def pause_locked(conn: Connection, users: list[str]) -> list[str]:
    """Pause those of these pipelines that are not; which that was. The caller has locked them."""
    return [user for (user,) in fetch(conn, _PAUSE, [users])]


def resume_locked(conn: Connection, users: list[str]) -> None:
    """The same for paused pipelines that the caller has locked."""
    run(conn, _EXTEND, {"users": users})
    run(conn, _RESUME, [users])


def purge(conn: Connection, users: list[str]) -> list[UUID]:
    """Settle everything pending of these users as purged, the head included, paused or not; what that was."""
    return purge_locked(conn, fetch_dicts(conn, _LOCK, [users])).ids


@dataclass(slots=True)
class Purged:
    """ids: what was settled, with its user. wake: worker → users of whom something is left, and nobody at it."""

    owners: dict[UUID, str] = field(default_factory=dict)
    wake: dict[str | None, list[str]] = field(default_factory=dict)

    @property
    def ids(self) -> list[UUID]:
        return list(self.owners)


def purge_locked(conn: Connection, pipelines: Sequence[Mapping[str, Any]], *, upto: int = LAST) -> Purged:
    """The same for pipelines that the caller has locked, and only of what arrived up to that arrival number.

    pipelines: their user_id, worker, depth and in_service.
    """
    users = [row["user_id"] for row in pipelines]
    purged = Purged(dict(fetch(conn, _PURGE, {"users": users, "upto": upto})))
    numbers = Counter(purged.owners.values())
    hit = [row for row in pipelines if numbers[row["user_id"]]]
    if not hit:
        return purged
    stays = [row["in_service"] is not None and row["in_service"] not in purged.owners for row in hit]
    hit_users = [row["user_id"] for row in hit]
    run(conn, _THIN, {"users": hit_users, "numbers": [numbers[user] for user in hit_users], "stays": stays})
    for row, busy in zip(hit, stays, strict=True):
        if row["depth"] > numbers[row["user_id"]] and not busy:
            purged.wake.setdefault(row["worker"], []).append(row["user_id"])
    return purged


def last_arrival(conn: Connection) -> int:
    """The arrival number given out last: what comes from now on has a greater one."""
    return int(fetch(conn, _LAST_ARRIVAL)[0][0])


def queue_users(conn: Connection, worker: str, *, after: str) -> list[str]:
    """The next users with pending work of this worker, ascending."""
    rows = fetch(conn, _QUEUE_USERS, {"worker": worker, "after": after, "limit": PURGE_USERS})
    return [user for (user,) in rows]


def purge_unordered(conn: Connection, *, limit: int, upto: int = LAST) -> list[UUID]:
    """Settle up to `limit` pending unordered engagements as purged, of those that arrived up to this number."""
    return [id for (id,) in fetch(conn, _PURGE_UNORDERED, {"limit": limit, "upto": upto})]


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
    replay_locked(conn, [id])
    return Replayed(user, unordered, worker)


def replay_locked(conn: Connection, ids: Sequence[UUID]) -> None:
    """The same for several that may be: they are locked, and their pipelines are locked and counted up."""
    run(conn, _REPLAY, {"ids": list(ids), "timeout": conf.pending_timeout_seconds()})
