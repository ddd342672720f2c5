"""Heartbeats, and moving a dead worker's users. Alive: not stopped and a heartbeat within 5 s, by PostgreSQL's clock.

A crash between any two statements leaves a pipeline pinned to a dead worker, which every live worker's poll moves.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engagements import conf
from engagements.domain.ring import Ring
from engagements.store.connection import Connection, fetch, run
from engagements.store.everything import RUNS

MOVE_LIMIT = 1000
"""Pipelines per statement when a worker's users move: some tens of milliseconds of row locks."""

IS_ALIVE = f"""
(stopped_at IS NULL AND heartbeat_at > clock_timestamp() - interval '{conf.WORKER_DEAD_SECONDS} seconds')
"""
"""The condition, for whoever reads the table."""

_ALIVE = f"SELECT name FROM engagements_worker WHERE {IS_ALIVE}"

_START = """
INSERT INTO engagements_worker AS w (name, incarnation, started_at, heartbeat_at)
VALUES (%s, 1, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE SET incarnation = w.incarnation + 1, started_at = clock_timestamp(),
    heartbeat_at = clock_timestamp(), stopped_at = NULL
RETURNING incarnation
"""

# No index knows the holder of a lease, since that changes with every claim: one walk through the table at a start.
_LEASED = "SELECT user_id, lease_token FROM engagements_pipeline WHERE lease_worker = %s"

# By token: the new incarnation's own leases, which bear the same name, have greater ones.
_REVOKE = """
UPDATE engagements_pipeline p SET lease_token = p.lease_token + 1, lease_worker = NULL, lease_until = NULL
FROM (
    SELECT l.user_id FROM engagements_pipeline l
    JOIN unnest(%(users)s::text[], %(tokens)s::bigint[]) AS n(user_id, token) ON l.user_id = n.user_id
    WHERE l.lease_token = n.token AND l.lease_worker = %(worker)s
    ORDER BY l.user_id FOR NO KEY UPDATE OF l SKIP LOCKED
) old
WHERE p.user_id = old.user_id
RETURNING p.user_id
"""

_STILL_LEASED = """
SELECT l.user_id, l.lease_token FROM engagements_pipeline l
JOIN unnest(%(users)s::text[], %(tokens)s::bigint[]) AS n(user_id, token) ON l.user_id = n.user_id
WHERE l.lease_token = n.token AND l.lease_worker = %(worker)s
"""

_BEAT = """
UPDATE engagements_worker SET heartbeat_at = clock_timestamp()
WHERE name = %s AND incarnation = %s AND stopped_at IS NULL
"""

_STOP = """
UPDATE engagements_worker SET stopped_at = clock_timestamp() WHERE name = %s AND incarnation = %s
"""

# statement_timestamp, because an index condition needs a time that stands still.
_DUE = f"""
SELECT user_id FROM engagements_pipeline p
WHERE worker = %s AND due_at <= statement_timestamp() AND paused_at IS NULL AND {RUNS}
    AND (lease_until IS NULL OR lease_until <= clock_timestamp())
ORDER BY due_at LIMIT %s
"""

# A child whose parent settled, or came and sorts later, while the waking was lost to a crash; its pipeline sleeps until
# its own deadline.
_FORGOTTEN = """
SELECT p.user_id FROM engagements_pipeline p
CROSS JOIN LATERAL (
    SELECT e.causal_parent, e.order_time FROM engagements_engagement e
    WHERE e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
    ORDER BY e.order_time, e.arrival LIMIT 1
) head
JOIN engagements_engagement parent ON parent.id = head.causal_parent
    AND (parent.status <> 'pending' OR parent.order_time >= head.order_time)
WHERE p.worker = %s AND p.due_at > statement_timestamp() + interval '1 second' AND p.paused_at IS NULL
    AND p.in_service IS NULL
LIMIT %s
"""

# Which workers have due pipelines, found by hopping along the index: a handful of reads at any size.
_PINNED = """
WITH RECURSIVE pinned AS (
    (SELECT worker FROM engagements_pipeline WHERE due_at IS NOT NULL AND paused_at IS NULL ORDER BY worker LIMIT 1)
    UNION ALL
    SELECT (SELECT p.worker FROM engagements_pipeline p
        WHERE p.due_at IS NOT NULL AND p.paused_at IS NULL AND p.worker > pinned.worker ORDER BY p.worker LIMIT 1)
    FROM pinned WHERE pinned.worker IS NOT NULL
)
SELECT worker FROM pinned WHERE worker IS NOT NULL
"""

# Whether the worker is alive is asked here again: it may have started since the caller looked. No lock is awaited, so
# that the order of the locks does not matter; a pipeline that somebody holds is left for the next round.
_ORPHANS = f"""
SELECT user_id FROM engagements_pipeline
WHERE {{whose}} AND due_at IS NOT NULL AND paused_at IS NULL AND %(dead)s NOT IN ({_ALIVE})
LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""

_MOVE = """
UPDATE engagements_pipeline p
SET worker = n.worker, session_until = clock_timestamp() + %(idle)s * interval '1 second',
    lease_token = p.lease_token + 1, lease_worker = NULL, lease_until = NULL
FROM unnest(%(users)s::text[], %(workers)s::text[]) AS n(user_id, worker)
WHERE p.user_id = n.user_id
"""


def alive(conn: Connection) -> list[str]:
    return [name for (name,) in fetch(conn, f"{_ALIVE} ORDER BY name")]


class Started(NamedTuple):
    """left: user → token of the old incarnation's leases that could not be revoked yet: somebody had locked them."""

    incarnation: int
    left: dict[str, int]


def start(conn: Connection, worker: str) -> Started:
    """Begin a new incarnation under this name and revoke the leases of the old one.

    What is locked is not waited for: a batch of a process that lives takes some milliseconds, but the transaction of a
    frozen one stands for seconds. The caller revokes what is left again and again; else it runs out by itself.
    """
    [(incarnation,)] = fetch(conn, _START, [worker])
    _, left = revoke(conn, dict(fetch(conn, _LEASED, [worker])), worker=worker)
    return Started(int(incarnation), left)


def revoke(conn: Connection, leases: dict[str, int], *, worker: str) -> tuple[list[str], dict[str, int]]:
    """Revoke these leases (user → token) of an incarnation before this one: users that are free now, and what is left.

    A lease that has ended by itself meanwhile is in neither.
    """
    revoked: list[str] = []
    users, tokens = list(leases), list(leases.values())
    for start in range(0, len(users), MOVE_LIMIT):
        some = slice(start, start + MOVE_LIMIT)
        rows = fetch(conn, _REVOKE, {"users": users[some], "tokens": tokens[some], "worker": worker})
        revoked += [user for (user,) in rows]
    if len(revoked) == len(users):
        return revoked, {}
    return revoked, dict(fetch(conn, _STILL_LEASED, {"users": users, "tokens": tokens, "worker": worker}))


def beat(conn: Connection, worker: str, incarnation: int) -> bool:
    """Write the heartbeat; False when another process has started under this name: stop delivering."""
    return run(conn, _BEAT, [worker, incarnation]) == 1


def stop(conn: Connection, worker: str, incarnation: int) -> None:
    """Leave the ring; the worker's pins are void from now."""
    run(conn, _STOP, [worker, incarnation])


def due(conn: Connection, worker: str, *, limit: int) -> list[str]:
    """Users of this worker with work to do now that nobody has leased, longest due first."""
    return [user for (user,) in fetch(conn, _DUE, [worker, limit])]


def forgotten(conn: Connection, worker: str, *, limit: int) -> list[str]:
    """Users of this worker that still wait for a parent that has settled."""
    return [user for (user,) in fetch(conn, _FORGOTTEN, [worker, limit])]


def move_orphans(conn: Connection, live: Sequence[str]) -> dict[str, list[str]]:
    """Give the due pipelines of dead workers, and those of nobody, to the ring's choice; worker → users moved.

    Raises every token moved, so that a worker that only seemed dead finds its settles refused.
    """
    moved: dict[str, list[str]] = {}
    if not live:
        return moved
    ring = Ring(live)
    dead = [worker for (worker,) in fetch(conn, _PINNED) if worker not in live]
    for worker_gone in [None, *dead]:
        whose = "worker IS NULL" if worker_gone is None else "worker = %(dead)s"
        params = {"dead": worker_gone or "", "limit": MOVE_LIMIT}
        while True:
            with conn.transaction():
                rows = fetch(conn, _ORPHANS.format(whose=whose), params)
                users = [user for (user,) in rows]
                if not users:
                    break
                workers = [str(ring.worker(user)) for user in users]
                run(conn, _MOVE, {"users": users, "workers": workers, "idle": conf.session_idle_seconds()})
            for user, worker in zip(users, workers, strict=True):
                moved.setdefault(worker, []).append(user)
            if len(users) < MOVE_LIMIT:
                break
    return moved
