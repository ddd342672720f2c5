"""Unordered engagements: leased row by row with a token of their own; no pipeline is touched.

held_until is the time before which nobody else takes the row: the lease of its holder, or the pause before a retry.
The compare-and-set on the row's own token is safe without a lock first: PostgreSQL checks it again on the locked row.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from engagements import conf
from engagements.store.connection import Connection, fetch, run
from engagements.store.lease import Grant
from engagements.store.settle import Settlement

_CLAIM = """
UPDATE engagements_engagement e
SET lease_token = e.lease_token + 1, attempts = e.attempts + 1, held_until = clock_timestamp() + %(lease)s
FROM (
    SELECT id FROM engagements_engagement
    WHERE status = 'pending' AND unordered AND held_until <= clock_timestamp() AND expires_at > clock_timestamp()
    ORDER BY arrival LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) free
WHERE e.id = free.id
RETURNING e.user_id, e.lease_token, e.id, e.payload::text, e.produced_at, e.causal_parent, e.late, e.channel,
    NULL::bigint, e.attempts, extract(epoch FROM e.expires_at - clock_timestamp())::float8
"""

_SETTLE = """
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(outcomes)s::text[], %(answers)s::text[],
        %(delays)s::float8[], %(ended)s::float8[], %(durations)s::float8[])
        AS n(id, token, outcome, answer, delay, ended_ago, duration)
), settled AS (
    UPDATE engagements_engagement e
    SET status = CASE WHEN n.outcome IN ('delivered', 'failed') THEN n.outcome
            WHEN e.expires_at <= clock_timestamp() THEN 'expired' ELSE 'pending' END,
        settled_at = CASE WHEN n.outcome IN ('delivered', 'failed') OR e.expires_at <= clock_timestamp()
            THEN clock_timestamp() END,
        held_until = clock_timestamp() + n.delay * interval '1 second',
        last_error = CASE WHEN n.outcome = 'delivered' THEN '' ELSE n.answer END
    FROM n WHERE e.id = n.id AND e.lease_token = n.token AND e.status = 'pending'
    RETURNING e.id, e.attempts, e.lease_token, e.status,
        LEAST(n.delay, GREATEST(extract(epoch FROM e.expires_at - clock_timestamp())::float8, 0)) AS due_in
), logged AS (
    INSERT INTO engagements_attempt
        (engagement_id, number, worker, token, started_at, duration_seconds, outcome, answer)
    SELECT n.id, s.attempts, %(worker)s, s.lease_token,
        clock_timestamp() - (n.ended_ago + n.duration) * interval '1 second', n.duration, n.outcome, n.answer
    FROM settled s JOIN n USING (id)
)
SELECT id, status, due_in FROM settled
"""

_RENEW = """
UPDATE engagements_engagement e SET held_until = clock_timestamp() + %(lease)s
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS n(id, token)
WHERE e.id = n.id AND e.lease_token = n.token AND e.status = 'pending'
RETURNING e.id
"""


def claim(conn: Connection, *, limit: int) -> list[Grant]:
    """Lease up to `limit` unordered engagements that nobody holds, oldest first."""
    return [Grant._make(row) for row in fetch(conn, _CLAIM, {"limit": limit, "lease": _lease()})]


def settle(conn: Connection, settlements: Sequence[Settlement], *, worker: str) -> tuple[list[UUID], dict[UUID, float]]:
    """Record how attempts ended; the ids settled, and those to be tried again with the seconds until then.

    What is in neither was taken over, expired or purged meanwhile.
    """
    _, tokens, ids, outcomes, answers, delays, ended, durations = map(list, zip(*settlements, strict=True))
    params = {
        "ids": ids,
        "tokens": tokens,
        "outcomes": outcomes,
        "answers": answers,
        "delays": delays,
        "ended": ended,
        "durations": durations,
        "worker": worker,
    }
    rows = fetch(conn, _SETTLE, params)
    return (
        [id for id, status, _ in rows if status != "pending"],
        {id: due_in for id, status, due_in in rows if status == "pending"},
    )


def renew(conn: Connection, held: dict[UUID, int]) -> set[UUID]:
    """Extend the leases held (id → token); those that are still the caller's."""
    params = {"ids": list(held), "tokens": list(held.values()), "lease": _lease()}
    return {id for (id,) in fetch(conn, _RENEW, params)}


def release(conn: Connection, held: dict[UUID, int]) -> None:
    """Let others take these at once."""
    if held:
        run(conn, _RENEW, {"ids": list(held), "tokens": list(held.values()), "lease": timedelta(0)})


def _lease() -> timedelta:
    return timedelta(seconds=conf.lease_seconds())
