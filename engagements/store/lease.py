"""Leases: claiming pipelines, renewing and releasing them. What a lease entitles to is the matter of heads.py.

A claim locks pipelines first, ascending and skipping those that somebody works on. After a crash anywhere the
transaction is gone, or the lease stands until lease_until.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from engagements import conf
from engagements.store.arrays import texts
from engagements.store.connection import Connection, fetch, run, transaction
from engagements.store.everything import RUNS
from engagements.store.heads import Claim, choose

UNPAUSED = f"COALESCE(paused_at, 'infinity') = 'infinity' AND {RUNS}"
"""Said so that the planner does not see that the small index of the due would do, too: it would walk through all of it.
For the same reason IS NOT DISTINCT FROM stands below where an equality would."""

_LOCK = f"""
SELECT user_id, in_service FROM engagements_pipeline p
WHERE user_id = ANY(%(users)s::text[]) AND due_at <= clock_timestamp() AND {UNPAUSED}
    AND worker IS NOT DISTINCT FROM %(worker)s AND (lease_until IS NULL OR lease_until <= clock_timestamp())
ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
"""

_WHY_NOT = f"""
SELECT user_id, GREATEST(
    extract(epoch FROM due_at - clock_timestamp()),
    extract(epoch FROM COALESCE(lease_until, clock_timestamp()) - clock_timestamp()), 0)::float8
FROM engagements_pipeline p
WHERE user_id = ANY(%(users)s::text[]) AND due_at IS NOT NULL AND {UNPAUSED}
    AND worker IS NOT DISTINCT FROM %(worker)s
"""


def claim(conn: Connection, users: Sequence[str], *, worker: str) -> Claim:
    """Lease those of `users` that are this worker's, due and free, and mark their heads in service.

    users: at most some hundreds, any order. Each grant's token is above every earlier one of that user; a head that was
    in service already (a retry, a takeover) is granted again, with its sequence, before anything else.
    """
    params = {"users": texts(users), "worker": worker}
    with transaction(conn):
        locked: dict[str, UUID | None] = dict(fetch(conn, _LOCK, params))
        result = choose(conn, locked, worker=worker)
    rest = set(users) - locked.keys()
    if rest:
        for user, seconds in fetch(conn, _WHY_NOT, {**params, "users": texts(list(rest))}):
            if seconds > 0:
                result.asleep[user] = seconds
            else:
                result.busy.append(user)
    return result


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
# token with something in service is a lease of its own, of another process under this name; and once that one has
# started, so is a barrier.
_LOCK_OWN = """
SELECT l.user_id FROM engagements_pipeline l
JOIN unnest(%(users)s::text[], %(tokens)s::bigint[]) AS n(user_id, token) ON l.user_id = n.user_id
WHERE l.lease_worker = %(worker)s AND (l.lease_token = n.token OR (
    l.lease_token > n.token AND l.in_service IS NULL AND EXISTS (
        SELECT FROM engagements_worker WHERE name = %(worker)s AND incarnation = %(incarnation)s)))
ORDER BY l.user_id FOR NO KEY UPDATE OF l SKIP LOCKED
"""

_FREE = """
UPDATE engagements_pipeline SET lease_worker = NULL, lease_until = NULL,
    due_at = CASE WHEN due_at IS NULL THEN NULL ELSE LEAST(due_at, clock_timestamp()) END
WHERE user_id = ANY(%s)
"""


def release(conn: Connection, held: dict[str, int], *, worker: str, incarnation: int) -> None:
    """Give up leases (user → token) whose attempts have ended, also revoked ones: a successor need not wait them out.

    What is in service stays so: the next claim attempts it first. incarnation: the holder's; a revoked lease of an
    older one was ended by the start of the newer.
    """
    if held:
        params = {
            "users": list(held),
            "tokens": list(held.values()),
            "worker": worker,
            "incarnation": incarnation,
        }
        with conn.transaction():
            run(conn, _FREE, [[user for (user,) in fetch(conn, _LOCK_OWN, params)]])


_TAKEN = """
SELECT user_id, lease_token FROM engagements_pipeline
WHERE user_id = ANY(%(users)s) AND lease_worker = %(worker)s AND EXISTS (
    SELECT FROM engagements_worker WHERE name = %(worker)s AND incarnation = %(incarnation)s)
"""


def disclaim(conn: Connection, users: Sequence[str], *, worker: str, incarnation: int) -> None:
    """Give up what a claim of these users took whose answer was lost, so that nobody waits until it runs out.

    The caller holds no other lease of theirs. Does nothing once another incarnation has started: its leases look alike.
    """
    params = {"users": list(users), "worker": worker, "incarnation": incarnation}
    release(conn, dict(fetch(conn, _TAKEN, params)), worker=worker, incarnation=incarnation)
