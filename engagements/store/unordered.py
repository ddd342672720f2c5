"""Unordered engagements: leased row by row with a token of their own; no pipeline is touched.

held_until is the time before which nobody else takes the row: the lease of its holder, or the pause before a retry.
Rows are locked in order of their ids, with SKIP LOCKED: a batch neither waits for an operator's transaction nor
deadlocks with it. PostgreSQL checks token and status again on the locked row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from engagements import conf
from engagements.store.arrays import numbers, texts, uuids
from engagements.store.connection import Connection, fetch, run
from engagements.store.heads import Grant
from engagements.store.settle import Settlement

# ARRAY() runs the look once: as a table of a join the planner may run it again and again, past its limit.
_CLAIM = """
UPDATE engagements_engagement e
SET lease_token = e.lease_token + 1, attempts = e.attempts + 1, held_until = clock_timestamp() + %(lease)s
WHERE e.id = ANY(ARRAY(
    SELECT id FROM engagements_engagement
    WHERE status = 'pending' AND unordered AND held_until <= clock_timestamp() AND expires_at > clock_timestamp()
    ORDER BY arrival LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
RETURNING e.user_id, e.lease_token, e.id, e.payload::text, e.produced_at, e.causal_parent, e.late, e.channel,
    NULL::bigint, e.attempts, extract(epoch FROM e.expires_at - clock_timestamp())::float8, 0
"""

_SETTLE = """
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(outcomes)s::text[], %(answers)s::text[],
        %(delays)s::float8[], %(ended)s::float8[], %(durations)s::float8[])
        AS n(id, token, outcome, answer, delay, ended_ago, duration)
), locked AS (
    SELECT e.id FROM engagements_engagement e JOIN n USING (id)
    WHERE e.lease_token = n.token AND e.status = 'pending'
    ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
), settled AS (
    UPDATE engagements_engagement e
    SET status = CASE WHEN n.outcome IN ('delivered', 'failed') THEN n.outcome
            WHEN e.expires_at <= clock_timestamp() THEN 'expired' ELSE 'pending' END,
        settled_at = CASE WHEN n.outcome IN ('delivered', 'failed') OR e.expires_at <= clock_timestamp()
            THEN clock_timestamp() END,
        held_until = LEAST(clock_timestamp() + n.delay * interval '1 second', e.expires_at),
        last_error = CASE WHEN n.outcome = 'delivered' THEN '' ELSE n.answer END
    FROM n JOIN locked USING (id) WHERE e.id = n.id
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
FROM (
    SELECT l.id FROM engagements_engagement l
    JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS n(id, token) ON l.id = n.id
    WHERE l.lease_token = n.token AND l.status = 'pending'
    ORDER BY l.id FOR NO KEY UPDATE OF l SKIP LOCKED
) own
WHERE e.id = own.id
"""

_HELD = """
SELECT e.id FROM engagements_engagement e
JOIN unnest(%(ids)s::uuid[], %(tokens)s::bigint[]) AS n(id, token) ON e.id = n.id
WHERE e.lease_token = n.token AND e.status = 'pending'
"""


@dataclass(slots=True)
class Settled:
    """The answer to a settle.

    ids: settled now; their children can be woken. again: to be tried again, with the seconds until then. busy: locked
    by somebody, settle again. What is in none of them was taken over, expired or purged meanwhile.
    """

    ids: list[UUID] = field(default_factory=list)
    again: dict[UUID, float] = field(default_factory=dict)
    busy: list[UUID] = field(default_factory=list)


def claim(conn: Connection, *, limit: int) -> list[Grant]:
    """Lease up to `limit` unordered engagements that nobody holds, oldest first."""
    return [Grant._make(row) for row in fetch(conn, _CLAIM, {"limit": limit, "lease": _lease()})]


def settle(conn: Connection, settlements: Sequence[Settlement], *, worker: str) -> Settled:
    """Record how attempts ended: delivered, failed, expired at the deadline, or to be tried again."""
    _, tokens, ids, outcomes, answers, delays, ended, durations = zip(*settlements, strict=True)
    params = {
        "ids": uuids(ids),
        "tokens": numbers(tokens),
        "outcomes": texts(outcomes),
        "answers": texts(answers),
        "delays": numbers(delays),
        "ended": numbers(ended),
        "durations": numbers(durations),
        "worker": worker,
    }
    settled = Settled()
    for id, status, due_in in fetch(conn, _SETTLE, params):
        if status == "pending":
            settled.again[id] = due_in
        else:
            settled.ids.append(id)
    done = settled.again.keys() | set(settled.ids)
    rest = [one for one in settlements if one.id not in done]
    if rest:
        settled.busy = _held(conn, {one.id: one.token for one in rest})
    return settled


def renew(conn: Connection, held: dict[UUID, int]) -> set[UUID]:
    """Extend the leases held (id → token); those that are still the caller's, also if they are locked."""
    run(conn, _RENEW, {"ids": list(held), "tokens": list(held.values()), "lease": _lease()})
    return set(_held(conn, held))


def _held(conn: Connection, held: dict[UUID, int]) -> list[UUID]:
    return [id for (id,) in fetch(conn, _HELD, {"ids": list(held), "tokens": list(held.values())})]


def release(conn: Connection, held: dict[UUID, int]) -> None:
    """Let others take these at once."""
    if held:
        run(conn, _RENEW, {"ids": list(held), "tokens": list(held.values()), "lease": timedelta(0)})


def _lease() -> timedelta:
    return timedelta(seconds=conf.lease_seconds())
