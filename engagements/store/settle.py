"""Settling attempts: pending → delivered or failed, and in the same statement the mark on whom to serve next.

Fence, then compare-and-set: the pipeline rows are locked first, by token and by the engagement in service. A worker
that lost its lease, or repeats a settle whose commit it did not see, locks nothing and so writes nothing. A single
UPDATE that joins the token would not wait for a takeover in flight and would wrongly succeed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from engagements import conf
from engagements.store.arrays import numbers, texts, uuids
from engagements.store.connection import Connection, fetch, send, transaction
from engagements.store.everything import RUNS
from engagements.store.expire import expire_locked
from engagements.store.heads import Grant

FEW = 16
"""So many are locked and settled on one way to PostgreSQL and back; all for nothing when somebody holds one of them.
More are settled once it is known which could be locked."""


class Settlement(NamedTuple):
    """How one attempt ended.

    outcome: a models.Attempt.Outcome. answer: what the receiver said, or the error. delay: seconds until a retry.
    ended_ago, duration: seconds, by the worker's monotonic clock; PostgreSQL's clock turns them into times.
    """

    user_id: str
    token: int
    id: UUID
    outcome: str
    answer: str
    delay: float
    ended_ago: float
    duration: float


@dataclass(slots=True)
class Settled:
    """The answer to a settle.

    grants: the next heads of the users settled, marked in service under the same lease. asleep: user → seconds until
    something can happen (0: now, by a claim). done: users with nothing more in line. busy: locked by somebody, try
    again. lost: the lease or the engagement is no longer the caller's. ids: settled now; their children can be woken.
    """

    grants: list[Grant] = field(default_factory=list)
    asleep: dict[str, float] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)


# A lease that was given up keeps its token until the next claim: it must be held to be worth anything.
_LOCK = """
SELECT p.user_id, p.in_service, p.lease_token FROM engagements_pipeline p
JOIN unnest(%s::text[], %s::bigint[], %s::uuid[]) AS n(user_id, token, id) ON p.user_id = n.user_id
WHERE p.lease_token = n.token AND p.in_service = n.id AND p.lease_worker IS NOT NULL
ORDER BY p.user_id FOR NO KEY UPDATE OF p SKIP LOCKED
"""

# Leaves behind how many could be locked: _SETTLE, which is on its way already, does nothing if some are missing.
_LOCK_ALL = """
SELECT set_config('delivery.locked', count(DISTINCT l.user_id)::text, true) FROM ({lock}) l
"""

_STILL_MINE = """
SELECT p.user_id FROM engagements_pipeline p
JOIN unnest(%s::text[], %s::bigint[], %s::uuid[]) AS n(user_id, token, id) ON p.user_id = n.user_id
WHERE p.lease_token = n.token AND p.in_service = n.id AND p.lease_worker IS NOT NULL
"""

_LOG_COLUMNS = """
INSERT INTO engagements_attempt
    (engagement_id, number, worker, sequence, token, started_at, duration_seconds, outcome, answer)
"""

# Pending, said as "not settled": so the look by id is offered no index but the primary key.
# The next head is marked here only in the plain case: no causal parent, its window over, in time, not paused. For all
# else the lease is given up and a claim decides (domain/head.py holds the whole rule; this is a subset of it).
_SETTLE = f"""
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(%(users)s::text[], %(ids)s::uuid[], %(outcomes)s::text[], %(answers)s::text[],
        %(ended)s::float8[], %(durations)s::float8[]) AS n(user_id, id, outcome, answer, ended_ago, duration)
    WHERE %(locked)s::text IS NULL OR %(locked)s::text = current_setting('delivery.locked', true)
), settled AS (
    UPDATE engagements_engagement e
    SET status = n.outcome, settled_at = clock_timestamp(), sequence = p.sequence, attempts = p.attempt,
        last_error = CASE WHEN n.outcome = 'delivered' THEN '' ELSE n.answer END
    FROM n JOIN engagements_pipeline p ON p.user_id = n.user_id
    WHERE e.id = n.id AND e.settled_at IS NULL
), logged AS (
    {_LOG_COLUMNS}
    SELECT n.id, p.attempt, %(worker)s, p.sequence, p.lease_token,
        clock_timestamp() - (n.ended_ago + n.duration) * interval '1 second', n.duration, n.outcome, n.answer
    FROM n JOIN engagements_pipeline p ON p.user_id = n.user_id
), next AS MATERIALIZED (
    SELECT n.user_id, h.*, %(serve_next)s AND p.paused_at IS NULL AND {RUNS} AND h.causal_parent IS NULL
        AND h.held_until <= clock_timestamp() AND h.expires_at > clock_timestamp() AS serve
    FROM n JOIN engagements_pipeline p ON p.user_id = n.user_id
    LEFT JOIN LATERAL (
        SELECT e.id, e.payload::text AS payload, e.produced_at, e.order_time, e.held_until, e.expires_at,
            e.causal_parent, e.late, e.channel
        FROM engagements_engagement e
        WHERE e.user_id = n.user_id AND e.status = 'pending' AND NOT e.unordered AND e.id <> n.id
        ORDER BY e.order_time, e.arrival LIMIT 1
    ) h ON true
), moved AS (
    UPDATE engagements_pipeline p
    SET depth = p.depth - 1,
        due_at = CASE WHEN next.id IS NULL THEN NULL WHEN next.serve THEN p.due_at
            ELSE GREATEST(next.held_until, clock_timestamp()) END,
        in_service = CASE WHEN next.serve THEN next.id END,
        sequence = p.sequence + COALESCE(next.serve, false)::int,
        attempt = 1,
        last_order_time = CASE WHEN next.serve THEN GREATEST(p.last_order_time, next.order_time)
            ELSE p.last_order_time END,
        lease_worker = CASE WHEN next.serve THEN p.lease_worker END,
        lease_until = CASE WHEN next.serve THEN clock_timestamp() + %(lease)s END,
        session_until = CASE WHEN p.session_until IS NOT NULL THEN clock_timestamp() + %(idle)s END
    FROM next WHERE p.user_id = next.user_id
    RETURNING p.user_id, p.lease_token, p.sequence, p.depth,
        extract(epoch FROM p.due_at - clock_timestamp())::float8 AS due_in
)
SELECT next.user_id, moved.lease_token, next.id, next.payload, next.produced_at, next.causal_parent, next.late,
    next.channel, moved.sequence, 1, extract(epoch FROM next.expires_at - clock_timestamp())::float8,
    moved.depth, COALESCE(next.serve, false), moved.due_in
FROM next JOIN moved USING (user_id)
"""


def settle(conn: Connection, settlements: Sequence[Settlement], *, worker: str, serve_next: bool = True) -> Settled:
    """Settle attempts that were delivered or failed, one per user, one transaction, all that can be locked or none.

    serve_next: whether to mark and grant the users' next heads; a worker that stops gives its leases up instead.

    Raises psycopg.OperationalError when the connection is lost: the outcome is unknown, and calling again is safe, for
    what was settled then locks nothing and comes back as lost.
    """
    if len(settlements) <= FEW:
        number, keys = str(len(settlements)), _keys(settlements)
        columns = {**_columns(settlements, worker), "serve_next": serve_next, "locked": number}
        with transaction(conn):  # as short as can be: from the lock to the commit it is not taken for standing still
            locked = send(conn, _LOCK_ALL.format(lock=_LOCK), keys)
            settled = send(conn, _SETTLE, columns)
        if locked.fetchall() == [(number,)]:
            return _read(settled, settlements, Settled())
    result = Settled()
    with transaction(conn):
        own = _lock(conn, settlements, result)
        if own:
            settled = send(conn, _SETTLE, {**_columns(own, worker), "serve_next": serve_next, "locked": None})
    return _read(settled, own, result) if own else result


def _read(settled: psycopg.Cursor[TupleRow], own: Sequence[Settlement], result: Settled) -> Settled:
    for row in settled.fetchall():
        user, serve, due_in = row[0], row[12], row[13]
        if serve:
            result.grants.append(Grant._make(row[:12]))
        elif due_in is None:
            result.done.append(user)
        else:
            result.asleep[user] = max(0.0, due_in)
    result.ids += [settlement.id for settlement in own]
    return result


_LOG = f"""
{_LOG_COLUMNS}
SELECT n.id, p.attempt, %(worker)s, p.sequence, p.lease_token,
    clock_timestamp() - (n.ended_ago + n.duration) * interval '1 second', n.duration, n.outcome, n.answer
FROM unnest(%(users)s::text[], %(ids)s::uuid[], %(outcomes)s::text[], %(answers)s::text[],
    %(ended)s::float8[], %(durations)s::float8[]) AS n(user_id, id, outcome, answer, ended_ago, duration)
JOIN engagements_pipeline p ON p.user_id = n.user_id
"""

_POSTPONE_ENGAGEMENTS = """
UPDATE engagements_engagement e SET attempts = p.attempt, last_error = n.answer
FROM unnest(%(users)s::text[], %(ids)s::uuid[], %(answers)s::text[]) AS n(user_id, id, answer)
JOIN engagements_pipeline p ON p.user_id = n.user_id
WHERE e.id = n.id AND e.status = 'pending'
"""

# In place: the head stays in service with its sequence, so that nothing of this user can be attempted before it.
_POSTPONE = """
UPDATE engagements_pipeline p
SET due_at = LEAST(clock_timestamp() + n.delay * interval '1 second', GREATEST(e.expires_at, clock_timestamp())),
    lease_worker = NULL, lease_until = NULL,
    session_until = CASE WHEN p.session_until IS NOT NULL THEN clock_timestamp() + %(idle)s END
FROM unnest(%(users)s::text[], %(ids)s::uuid[], %(delays)s::float8[]) AS n(user_id, id, delay)
JOIN engagements_engagement e ON e.id = n.id
WHERE p.user_id = n.user_id AND p.in_service = n.id
RETURNING p.user_id, GREATEST(extract(epoch FROM p.due_at - clock_timestamp())::float8, 0)
"""


def postpone(conn: Connection, settlements: Sequence[Settlement], *, worker: str) -> Settled:
    """Record attempts that did not settle their engagement (retry, cut, interrupted), one per user, one transaction.

    The lease is given up and the head stays in service until its time to be claimed again; one whose deadline has
    passed is settled as expired, unless its pipeline is paused: then it stays pending.
    """
    result = Settled()
    with transaction(conn):
        own = _lock(conn, settlements, result)
        if own:
            columns = _columns(own, worker)
            send(conn, _LOG, columns)
            send(conn, _POSTPONE_ENGAGEMENTS, columns)
            result.asleep = dict(fetch(conn, _POSTPONE, columns))
            cut = [settlement for settlement in own if settlement.outcome == "cut"]
            running = _not_paused(conn, [settlement.user_id for settlement in cut])
            expired = expire_locked(conn, running, [settlement.id for settlement in cut])
            result.ids = expired.ids
            gone = {settlement.user_id for settlement in cut if settlement.id in set(expired.ids)}
            for user in gone:
                del result.asleep[user]
                if user in expired.users:
                    result.asleep[user] = 0.0
                else:
                    result.done.append(user)
    return result


def _not_paused(conn: Connection, users: list[str]) -> list[str]:
    if not users:
        return []
    sql = f"SELECT user_id FROM engagements_pipeline p WHERE user_id = ANY(%s) AND paused_at IS NULL AND {RUNS}"
    return [user for (user,) in fetch(conn, sql, [users])]


def _lock(conn: Connection, settlements: Sequence[Settlement], result: Settled) -> list[Settlement]:
    """The settlements whose fence holds, their pipelines locked; the others are sorted into busy and lost."""
    keys = _keys(settlements)
    locked = {user: (id, token) for user, id, token in fetch(conn, _LOCK, keys)}
    if len(locked) == len(settlements):
        return list(settlements)
    rest = [settlement for settlement in settlements if settlement.user_id not in locked]
    result.busy = [user for (user,) in fetch(conn, _STILL_MINE, _keys(rest))]
    busy = set(result.busy)
    result.lost = [settlement.user_id for settlement in rest if settlement.user_id not in busy]
    # Of two of one user the fence lets pass the one whose lease it is, and not its neighbour.
    return [one for one in settlements if locked.get(one.user_id) == (one.id, one.token)]


def _keys(settlements: Sequence[Settlement]) -> list[str]:
    return [
        texts([settlement.user_id for settlement in settlements]),
        numbers([settlement.token for settlement in settlements]),
        uuids([settlement.id for settlement in settlements]),
    ]


def _columns(settlements: Sequence[Settlement], worker: str) -> dict[str, Any]:
    users, _, ids, outcomes, answers, delays, ended, durations = zip(*settlements, strict=True)
    return {
        "users": texts(users),
        "ids": uuids(ids),
        "outcomes": texts(outcomes),
        "answers": texts(answers),
        "delays": numbers(delays),
        "ended": numbers(ended),
        "durations": numbers(durations),
        "worker": worker,
        "lease": timedelta(seconds=conf.lease_seconds()),
        "idle": timedelta(seconds=conf.session_idle_seconds()),
    }
