"""Settling what has been pending for longer than its time-out: pending → expired.

Idempotent: two sweeps at once, or a sweep beside the engine, settle each engagement once. Lock order as everywhere:
pipelines ascending, skipping those that somebody works on, then engagements.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from engagements.store.connection import Connection, fetch
from engagements.store.everything import RUNS

GRACE_SECONDS = 0.5
"""A leased head in service is left to its holder for so long after the deadline: the holder cuts it itself."""

RECENT = timedelta(seconds=30)
"""How far back a sweep of the recent looks."""

EVER = timedelta(days=36500)

SWEEP_LIMIT = 2000
"""Engagements per sweep statement: some tens of milliseconds of work."""


@dataclass(slots=True)
class Expired:
    """What a sweep settled. users: those with more in line, who can move up. skipped: user → what is overdue of one
    whose pipeline was locked. after: where it stopped at its limit."""

    ids: list[UUID] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    skipped: dict[str, list[UUID]] = field(default_factory=dict)
    after: "Place | None" = None


Place = tuple[datetime, UUID]
"""A deadline and an id: how far a sweep has come."""


# statement_timestamp, because an index condition needs a time that stands still; the settling looks at the clock again.
_OVERDUE = f"""
SELECT e.user_id, e.id, e.unordered, e.expires_at FROM engagements_engagement e
WHERE e.status = 'pending' AND e.expires_at <= statement_timestamp()
    AND (e.expires_at, e.id) > (COALESCE(%s::timestamptz, statement_timestamp() - %s), %s)
    AND (e.unordered OR NOT EXISTS (
        SELECT FROM engagements_pipeline p WHERE p.user_id = e.user_id AND (p.paused_at IS NOT NULL OR NOT {RUNS})))
ORDER BY e.expires_at, e.id LIMIT %s
"""


_LOCK = f"""
SELECT user_id FROM engagements_pipeline p WHERE user_id = ANY(%s) AND paused_at IS NULL AND {RUNS}
ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
"""

_EXPIRE = """
WITH gone AS (
    UPDATE engagements_engagement e
    SET status = 'expired', settled_at = clock_timestamp(),
        sequence = CASE WHEN p.in_service = e.id THEN p.sequence END,
        attempts = CASE WHEN p.in_service = e.id THEN p.attempt ELSE e.attempts END,
        last_error = CASE WHEN e.last_error <> '' THEN e.last_error
            WHEN p.in_service = e.id THEN 'expired during its attempt; the worker did not report how it ended'
            WHEN e.causal_parent IS NOT NULL AND e.replays = 0 AND NOT EXISTS (
                SELECT FROM engagements_engagement parent
                WHERE parent.id = e.causal_parent AND (parent.status <> 'pending' OR parent.replays > 0))
            THEN 'expired while it waited for its parent ' || e.causal_parent
            ELSE 'expired before its turn came' END
    FROM engagements_pipeline p
    WHERE e.id = ANY(%(ids)s) AND p.user_id = e.user_id AND p.user_id = ANY(%(users)s)
        AND e.status = 'pending' AND NOT e.unordered AND e.expires_at <= clock_timestamp()
        AND NOT (p.in_service IS NOT DISTINCT FROM e.id AND COALESCE(p.lease_until > clock_timestamp(), false)
            AND e.expires_at > clock_timestamp() - %(grace)s * interval '1 second')
    RETURNING e.user_id, e.id, p.in_service IS NOT DISTINCT FROM e.id AS served
), counted AS (
    SELECT user_id, count(*)::int AS number, bool_or(served) AS served FROM gone GROUP BY user_id
), moved AS (
    UPDATE engagements_pipeline p
    SET depth = p.depth - c.number,
        due_at = CASE WHEN p.depth = c.number THEN NULL
            WHEN c.served OR p.in_service IS NULL THEN LEAST(p.due_at, clock_timestamp()) ELSE p.due_at END,
        in_service = CASE WHEN c.served THEN NULL ELSE p.in_service END,
        lease_token = p.lease_token + c.served::int,
        lease_worker = CASE WHEN c.served THEN NULL ELSE p.lease_worker END,
        lease_until = CASE WHEN c.served THEN NULL ELSE p.lease_until END
    FROM counted c WHERE p.user_id = c.user_id
    RETURNING p.user_id, p.due_at IS NOT NULL AND p.lease_worker IS NULL AS ready
)
SELECT gone.id, gone.user_id, moved.ready FROM gone JOIN moved USING (user_id)
"""

# A row leased to a worker is left to it for the grace; the token makes a slower holder's settle find nothing.
_EXPIRE_UNORDERED = """
UPDATE engagements_engagement e
SET status = 'expired', settled_at = clock_timestamp(), lease_token = e.lease_token + 1,
    last_error = CASE WHEN e.last_error <> '' THEN e.last_error
        WHEN e.attempts = 0 THEN 'expired before a worker was free'
        ELSE 'expired during its attempt; the worker did not report how it ended' END
FROM (
    SELECT id FROM engagements_engagement
    WHERE id = ANY(%(ids)s) AND status = 'pending' AND unordered AND expires_at <= clock_timestamp()
        AND (held_until <= clock_timestamp() OR expires_at <= clock_timestamp() - %(grace)s * interval '1 second')
    ORDER BY id FOR UPDATE SKIP LOCKED
) due
WHERE e.id = due.id RETURNING e.id
"""

_OVERDUE_IN_LINE = """
SELECT line.id FROM unnest(%s::text[]) AS u(user_id)
CROSS JOIN LATERAL (
    SELECT e.id, e.expires_at FROM engagements_engagement e
    WHERE e.user_id = u.user_id AND e.status = 'pending' AND NOT e.unordered
    ORDER BY e.order_time, e.arrival LIMIT 200
) line
WHERE line.expires_at <= clock_timestamp()
"""


def sweep(conn: Connection, *, after: Place | None = None, recent: bool = False, limit: int = SWEEP_LIMIT) -> Expired:
    """Settle up to `limit` that are overdue, in one transaction; a pipeline that is locked or paused is left as it is.

    To be called again with the answer's `after` until that is None: so what is left keeps nobody else waiting.
    recent: walk past only what fell due within RECENT, not past all that stands overdue in paused pipelines.
    """
    deadline, id = after or (None, UUID(int=0))
    overdue = fetch(conn, _OVERDUE, [deadline, RECENT if recent else EVER, id, limit])
    if not overdue:
        return Expired()
    users = sorted({user for user, _, unordered, _ in overdue if not unordered})
    with conn.transaction():
        locked = [user for (user,) in fetch(conn, _LOCK, [users])] if users else []
        expired = expire_locked(conn, locked, [id for _, id, unordered, _ in overdue if not unordered])
        free = [id for _, id, unordered, _ in overdue if unordered]
        if free:
            gone = fetch(conn, _EXPIRE_UNORDERED, {"ids": free, "grace": GRACE_SECONDS})
            expired.ids += [id for (id,) in gone]
    for user in set(users).difference(locked):
        expired.skipped[user] = [id for owner, id, unordered, _ in overdue if owner == user and not unordered]
    if len(overdue) == limit:
        _, id, _, expires_at = overdue[-1]
        expired.after = (expires_at, id)
    return expired


def expire_locked_by_caller(conn: Connection, user: str, ids: Sequence[UUID]) -> Expired:
    """Settle those of `ids` that are overdue; the caller has locked the pipeline, which a pause may have stopped."""
    return expire_locked(conn, [row[0] for row in fetch(conn, _LOCK, [[user]])], ids)


def expire_lines(conn: Connection, heads: Mapping[str, UUID]) -> Expired:
    """Settle these overdue heads (user → id), and what is overdue near the front of their pipelines: all locked.

    A head in service need not be at the front: what came late stands before it.
    """
    near = [id for (id,) in fetch(conn, _OVERDUE_IN_LINE, [list(heads)])]
    return expire_locked(conn, list(heads), [*heads.values(), *near])


def expire_locked(conn: Connection, users: Sequence[str], ids: Sequence[UUID]) -> Expired:
    """Settle those of `ids` that are overdue in the locked pipelines of `users`.

    When the head in service goes, its lease ends and the token is raised: a holder that still attempts it is fenced.
    """
    if not users or not ids:
        return Expired()
    rows = fetch(conn, _EXPIRE, {"users": list(users), "ids": list(ids), "grace": GRACE_SECONDS})
    return Expired(ids=[row[0] for row in rows], users=sorted({row[1] for row in rows if row[2]}))
