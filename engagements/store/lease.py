"""Leases: who may deliver for a pipeline, and what the lease entitles to.

A claim locks pipelines first (ascending, skipping those that somebody works on), then looks at the heads in a later
statement: its snapshot holds everything that was produced before the lock, so nothing can slip in before the head.
After a crash anywhere the transaction is gone, or the lease stands until lease_until and the head stays marked.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from engagements import conf
from engagements.domain.causality import in_cycle
from engagements.domain.head import Expire, Head, Raise, Serve, Wait, consider
from engagements.domain.moves import Status
from engagements.store.ancestors import ancestors
from engagements.store.connection import Connection, fetch, fetch_dicts, run
from engagements.store.expire import expire_lines

logger = logging.getLogger("engagements.store")

ROUNDS = 50
"""How often a claim picks heads again after raising or expiring some; what is left then is busy, and claimed anew."""


class Grant(NamedTuple):
    """The right to attempt one engagement now. Times are PostgreSQL's; seconds count from the claim."""

    user_id: str
    token: int
    id: UUID
    payload: str
    produced_at: datetime
    causal_parent: UUID | None
    late: bool
    channel: str
    sequence: int | None
    attempt: int
    expires_in: float


@dataclass(slots=True)
class Claim:
    """The answer to a claim.

    grants: heads marked in service. asleep: user → seconds until something can happen. busy: locked by somebody or
    leased for a moment yet, try again soon. expired: engagements settled on the way, whose children can be woken.
    raised: engagements that sort later now; so do their children, which have to be looked at again.
    """

    grants: list[Grant] = field(default_factory=list)
    asleep: dict[str, float] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)
    expired: list[UUID] = field(default_factory=list)
    raised: list[UUID] = field(default_factory=list)


# IS NOT DISTINCT FROM keeps the planner on the primary key: an equality would tempt it to the worker's whole index.
_LOCK = """
SELECT user_id, in_service FROM engagements_pipeline
WHERE user_id = ANY(%(users)s) AND due_at <= clock_timestamp() AND paused_at IS NULL
    AND worker IS NOT DISTINCT FROM %(worker)s AND (lease_until IS NULL OR lease_until <= clock_timestamp())
ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
"""

_HEADS = """
SELECT u.user_id, e.id, e.payload::text AS payload, e.produced_at, e.order_time, e.held_until, e.expires_at,
    e.causal_parent, e.late, e.channel, u.in_service IS NOT NULL AS in_service,
    e.causal_parent IS NOT NULL AND e.replays = 0 AND COALESCE(parent.replays, 0) = 0 AS has_parent,
    parent.status AS parent_status, parent.order_time AS parent_order_time, clock_timestamp() AS now
FROM unnest(%s::text[], %s::uuid[]) AS u(user_id, in_service)
LEFT JOIN LATERAL (
    (SELECT * FROM engagements_engagement s WHERE s.id = u.in_service AND s.status = 'pending')
    UNION ALL
    (SELECT * FROM engagements_engagement s
    WHERE u.in_service IS NULL AND s.user_id = u.user_id AND s.status = 'pending' AND NOT s.unordered
    ORDER BY s.order_time, s.arrival LIMIT 1)
) e ON true
LEFT JOIN engagements_engagement parent ON parent.id = e.causal_parent
"""

_RAISE = """
UPDATE engagements_engagement e SET order_time = n.order_time,
    held_until = LEAST(n.order_time, e.received_at) + (e.held_until - LEAST(e.order_time, e.received_at))
FROM unnest(%s::uuid[], %s::timestamptz[]) AS n(id, order_time)
WHERE e.id = n.id AND e.status = 'pending'
"""

_MARK = """
UPDATE engagements_pipeline p
SET lease_worker = %(worker)s, lease_token = p.lease_token + 1, lease_until = clock_timestamp() + %(lease)s,
    sequence = p.sequence + (p.in_service IS DISTINCT FROM n.id)::int,
    attempt = CASE WHEN p.in_service IS DISTINCT FROM n.id THEN 1 ELSE p.attempt + 1 END,
    in_service = n.id, last_order_time = GREATEST(p.last_order_time, n.order_time)
FROM unnest(%(users)s::text[], %(ids)s::uuid[], %(order_times)s::timestamptz[]) AS n(user_id, id, order_time)
WHERE p.user_id = n.user_id
RETURNING p.user_id, p.lease_token, p.sequence, p.attempt
"""

_SLEEP = """
UPDATE engagements_pipeline p SET due_at = n.due_at, lease_worker = NULL, lease_until = NULL
FROM unnest(%s::text[], %s::timestamptz[]) AS n(user_id, due_at)
WHERE p.user_id = n.user_id
"""

_EMPTY = """
UPDATE engagements_pipeline SET depth = 0, due_at = NULL, in_service = NULL, lease_worker = NULL, lease_until = NULL
WHERE user_id = ANY(%s)
"""

_WHY_NOT = """
SELECT user_id, GREATEST(
    extract(epoch FROM due_at - clock_timestamp()),
    extract(epoch FROM COALESCE(lease_until, clock_timestamp()) - clock_timestamp()), 0)::float8
FROM engagements_pipeline
WHERE user_id = ANY(%(users)s) AND due_at IS NOT NULL AND paused_at IS NULL
    AND worker IS NOT DISTINCT FROM %(worker)s
"""


def claim(conn: Connection, users: Sequence[str], *, worker: str) -> Claim:
    """Lease those of `users` that are this worker's, due and free, and mark their heads in service.

    users: at most some hundreds, any order. Each grant's token is above every earlier one of that user; a head that was
    in service already (a retry, a takeover) is granted again, with its sequence, before anything else.
    """
    result = Claim()
    params = {"users": list(users), "worker": worker}
    with conn.transaction():
        locked: dict[str, UUID | None] = dict(fetch(conn, _LOCK, params))
        _Choice(conn, locked, worker, result).run()
    rest = set(users) - locked.keys()
    if rest:
        for user, seconds in fetch(conn, _WHY_NOT, {**params, "users": list(rest)}):
            if seconds > 0:
                result.asleep[user] = seconds
            else:
                result.busy.append(user)
    return result


class _Choice:
    """Picks the heads of locked pipelines until each is served, asleep or empty."""

    def __init__(self, conn: Connection, locked: dict[str, UUID | None], worker: str, result: Claim) -> None:
        self.conn = conn
        self.open = locked.copy()
        self.worker = worker
        self.result = result
        self.serve: dict[str, dict[str, Any]] = {}
        self.sleep: dict[str, datetime] = {}

    def run(self) -> None:
        for _ in range(ROUNDS):
            if not self.open:
                break
            self._round()
        self.result.busy += self.open
        if self.serve:
            self._mark()
        if self.sleep:
            run(self.conn, _SLEEP, [list(self.sleep), list(self.sleep.values())])

    def _round(self) -> None:
        heads = fetch_dicts(self.conn, _HEADS, [list(self.open), list(self.open.values())])
        raised: dict[UUID, datetime] = {}
        waiting: dict[UUID, dict[str, Any]] = {}
        overdue: dict[str, UUID] = {}
        empty: list[str] = []
        for row in heads:
            user = row["user_id"]
            if row["id"] is None:
                empty.append(user)
                continue
            decision = consider(_head(row), now=row["now"])
            match decision:
                case Serve():
                    self.serve[user] = row
                case Wait(until):
                    self._sleep(row, until)
                case Raise(order_time):
                    raised[row["id"]] = order_time
                    waiting[row["id"]] = row
                    continue
                case Expire():
                    overdue[user] = row["id"]
                    continue
            del self.open[user]
        if raised:
            parents = ancestors(self.conn, list(raised), pending=True)
            for id in [id for id in raised if in_cycle(id, parents)]:  # above each other without end
                del raised[id]
                self._sleep(waiting[id], waiting[id]["expires_at"])
                del self.open[waiting[id]["user_id"]]
        if raised:
            run(self.conn, _RAISE, [list(raised), list(raised.values())])
            self.result.raised += raised
        if overdue:
            expired = expire_lines(self.conn, overdue)
            self.result.expired += expired.ids
            for user in overdue:
                self.open[user] = None
            for user in set(overdue) - set(expired.users):  # nothing left in line
                del self.open[user]
        if empty:
            self._empty(empty)

    def _sleep(self, row: dict[str, Any], until: datetime) -> None:
        self.sleep[row["user_id"]] = until
        self.result.asleep[row["user_id"]] = max(0.0, (until - row["now"]).total_seconds())

    def _mark(self) -> None:
        params = {
            "users": list(self.serve),
            "ids": [row["id"] for row in self.serve.values()],
            "order_times": [row["order_time"] for row in self.serve.values()],
            "worker": self.worker,
            "lease": timedelta(seconds=conf.lease_seconds()),
        }
        for user, token, sequence, attempt in fetch(self.conn, _MARK, params):
            row = self.serve[user]
            self.result.grants.append(
                Grant(
                    user_id=user,
                    token=token,
                    id=row["id"],
                    payload=row["payload"],
                    produced_at=row["produced_at"],
                    causal_parent=row["causal_parent"],
                    late=row["late"],
                    channel=row["channel"],
                    sequence=sequence,
                    attempt=attempt,
                    expires_in=(row["expires_at"] - row["now"]).total_seconds(),
                )
            )

    def _empty(self, users: list[str]) -> None:
        """A pipeline counted as pending that has nothing in line: mend the row; in service or not, nobody waits."""
        stale = [user for user in users if self.open[user] is not None]
        for user in stale:
            self.open[user] = None
        gone = [user for user in users if user not in stale]
        if gone:
            logger.error("pipelines counted as pending had nothing in line: %s", gone[:5])
            run(self.conn, _EMPTY, [gone])
        for user in gone:
            del self.open[user]


def _head(row: dict[str, Any]) -> Head:
    status = row["parent_status"]
    return Head(
        order_time=row["order_time"],
        held_until=row["held_until"],
        expires_at=row["expires_at"],
        in_service=row["in_service"],
        has_parent=row["has_parent"],
        parent_status=None if status is None else Status(status),
        parent_order_time=row["parent_order_time"],
    )


_RENEW = """
UPDATE engagements_pipeline p SET lease_until = clock_timestamp() + %(lease)s
FROM (
    SELECT l.user_id FROM engagements_pipeline l
    JOIN unnest(%(users)s::text[], %(tokens)s::bigint[]) AS n(user_id, token)
        ON l.user_id = n.user_id AND l.lease_token = n.token
    WHERE l.lease_worker IS NOT NULL
    ORDER BY l.user_id FOR NO KEY UPDATE OF l SKIP LOCKED
) own
WHERE p.user_id = own.user_id
RETURNING p.user_id
"""

_REVOKED = """
SELECT n.user_id FROM unnest(%s::text[], %s::bigint[]) AS n(user_id, token)
JOIN engagements_pipeline p ON p.user_id = n.user_id
WHERE p.lease_token <> n.token
"""


@dataclass(frozen=True, slots=True)
class Renewed:
    """kept: extended. revoked: to be cut off and released. In neither: locked by somebody; it runs on as it is."""

    kept: list[str]
    revoked: list[str]


def renew(conn: Connection, held: dict[str, int]) -> Renewed:
    """Extend the leases held (user → token)."""
    params = {"users": list(held), "tokens": list(held.values())}
    kept = fetch(conn, _RENEW, {**params, "lease": timedelta(seconds=conf.lease_seconds())})
    revoked = fetch(conn, _REVOKED, [params["users"], params["tokens"]])
    return Renewed([user for (user,) in kept], [user for (user,) in revoked])


# Also a revoked lease that stands as a barrier (nothing is in service under it): its holder has noticed. A greater
# token with something in service is a lease of its own, of another process under this name.
_LOCK_OWN = """
SELECT l.user_id FROM engagements_pipeline l
JOIN unnest(%(users)s::text[], %(tokens)s::bigint[]) AS n(user_id, token) ON l.user_id = n.user_id
WHERE l.lease_worker = %(worker)s
    AND (l.lease_token = n.token OR (l.lease_token > n.token AND l.in_service IS NULL))
ORDER BY l.user_id FOR NO KEY UPDATE OF l SKIP LOCKED
"""

_FREE = """
UPDATE engagements_pipeline SET lease_worker = NULL, lease_until = NULL,
    due_at = CASE WHEN due_at IS NULL THEN NULL ELSE LEAST(due_at, clock_timestamp()) END
WHERE user_id = ANY(%s)
"""


def release(conn: Connection, held: dict[str, int], *, worker: str) -> None:
    """Give up leases (user → token) whose attempts have ended, also revoked ones: a successor need not wait them out.

    What is in service stays so: the next claim attempts it first.
    """
    if held:
        params = {"users": list(held), "tokens": list(held.values()), "worker": worker}
        with conn.transaction():
            run(conn, _FREE, [[user for (user,) in fetch(conn, _LOCK_OWN, params)]])
