"""The heads of pipelines that are locked: each is marked in service, or its pipeline sleeps, or is found empty.

The heads are looked at in a later statement than the locks: its snapshot holds everything that was produced before, so
nothing can slip in before the head. After a crash anywhere the transaction is gone, or the head stays marked.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from engagements import conf
from engagements.domain.causality import in_cycle
from engagements.domain.head import Expire, Head, Raise, Serve, Wait, consider
from engagements.domain.moves import Status
from engagements.store.ancestors import ancestors
from engagements.store.arrays import texts, times, uuids
from engagements.store.connection import Connection, fetch, fetch_dicts, run
from engagements.store.expire import expire_lines

logger = logging.getLogger("engagements.store")

ROUNDS = 50
"""How often a claim picks heads again after raising or expiring some; what is left then is busy, and claimed anew."""


class Grant(NamedTuple):
    """The right to attempt one engagement now. Times are PostgreSQL's; seconds count from the claim.

    waiting: of this user, this one included; 0 where nobody counted.
    """

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
    waiting: int = 0


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


# Pending, said as "not settled": so the look by id is offered no index but the primary key.
_HEADS = """
SELECT u.user_id, e.id, e.payload::text AS payload, e.produced_at, e.order_time, e.held_until, e.expires_at,
    e.causal_parent, e.late, e.channel, u.in_service IS NOT NULL AS in_service,
    e.causal_parent IS NOT NULL AND e.replays = 0 AND COALESCE(parent.replays, 0) = 0 AS has_parent,
    parent.status AS parent_status, parent.order_time AS parent_order_time, clock_timestamp() AS now
FROM unnest(%s::text[], %s::uuid[]) AS u(user_id, in_service)
LEFT JOIN LATERAL (
    (SELECT * FROM engagements_engagement s WHERE s.id = u.in_service AND s.settled_at IS NULL)
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
RETURNING p.user_id, p.lease_token, p.sequence, p.attempt, p.depth
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


def choose(conn: Connection, locked: Mapping[str, UUID | None], *, worker: str) -> Claim:
    """Lease the locked pipelines (user → what is in service) to this worker where the head may be attempted now.

    Heads that must sort later are raised and overdue ones expired on the way, and the head is picked again.
    """
    choice = _Choice(conn, locked, worker)
    choice.run()
    return choice.result


class _Choice:
    def __init__(self, conn: Connection, locked: Mapping[str, UUID | None], worker: str) -> None:
        self.conn = conn
        self.open = dict(locked)
        self.worker = worker
        self.result = Claim()
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
            run(self.conn, _SLEEP, [texts(list(self.sleep)), times(list(self.sleep.values()))])

    def _round(self) -> None:
        heads = fetch_dicts(self.conn, _HEADS, [texts(list(self.open)), uuids(list(self.open.values()))])
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
            "users": texts(list(self.serve)),
            "ids": uuids([row["id"] for row in self.serve.values()]),
            "order_times": times([row["order_time"] for row in self.serve.values()]),
            "worker": self.worker,
            "lease": timedelta(seconds=conf.lease_seconds()),
        }
        for user, token, sequence, attempt, depth in fetch(self.conn, _MARK, params):
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
                    waiting=depth,
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
