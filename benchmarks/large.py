"""A database as it looks after a while: users of all kinds, a long history, and some of it pending."""

from typing import Any

from psycopg import Connection

WORKERS = ("w1", "w2", "dead", "idle")

# Of every ten users: three have nothing pending, four are due (the last of them half of a dead worker's), two are being
# attempted, and one sleeps: all users of the worker "idle".
_PIPELINES = """
INSERT INTO engagements_pipeline
    (user_id, worker, session_until, lease_worker, lease_token, lease_until, in_service, attempt, sequence,
     last_order_time, depth, due_at)
SELECT 'user-' || n, w.name, now() + interval '5 min',
    CASE WHEN n %% 10 IN (6, 7) THEN w.name END, 3, CASE WHEN n %% 10 IN (6, 7) THEN now() + interval '1 hour' END,
    NULL, 1, 100, now() - interval '1 min', 0, NULL
FROM generate_series(0, %(users)s - 1) n
CROSS JOIN LATERAL (SELECT CASE WHEN n %% 20 = 9 THEN 'dead' WHEN n %% 10 = 8 THEN 'idle' WHEN n %% 2 = 0 THEN 'w1'
    ELSE 'w2' END AS name) w
"""

# The newest tenth is pending; of the rest nine tenths were delivered. One in twenty is unordered, one in fifty a child.
_ENGAGEMENTS = """
INSERT INTO engagements_engagement
    (id, user_id, payload, produced_at, received_at, expires_at, settled_at, order_time, held_until, arrival, status,
     causal_parent, unordered, channel, late, sequence, lease_token, attempts, replays, last_error, timeout_seconds,
     content_digest)
SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'user-' || e.user_number,
    '{"text": "hello"}', e.at, e.at, now() + interval '1 hour', CASE WHEN e.status <> 'pending' THEN e.at END,
    e.at, e.at, nextval('engagements_arrival'), e.status,
    CASE WHEN e.child THEN ('00000000-0000-4000-8000-' || lpad(to_hex(n - 1), 12, '0'))::uuid END,
    e.unordered, 'log', false, NULL, 0, 0, 0, '', NULL, ''
FROM generate_series(1, %(engagements)s) n
CROSS JOIN LATERAL (SELECT
    n %% %(users)s AS user_number,
    now() - interval '10 min' + n * interval '100 us' AS at,
    n %% 20 = 3 AS unordered,
    n %% 50 = 7 AS child,
    CASE WHEN n > %(engagements)s * 0.9 AND (n %% %(users)s) %% 10 NOT IN (0, 1, 2) THEN 'pending'
        WHEN n %% 10 = 0 THEN 'expired' ELSE 'delivered' END AS status
) e
"""

_ATTEMPTS = """
INSERT INTO engagements_attempt
    (engagement_id, number, worker, sequence, token, started_at, duration_seconds, outcome, answer)
SELECT id, 1, 'w1', NULL, 3, settled_at, 0.01, 'delivered', '' FROM engagements_engagement WHERE status = 'delivered'
"""

_COUNT = """
UPDATE engagements_pipeline p
SET depth = e.depth, in_service = CASE WHEN p.lease_worker IS NOT NULL THEN e.head END,
    due_at = CASE WHEN p.worker = 'idle' THEN now() + interval '20 min' ELSE now() - interval '1 s' END
FROM (
    SELECT user_id, count(*) AS depth, (array_agg(id ORDER BY order_time, arrival))[1] AS head
    FROM engagements_engagement WHERE status = 'pending' AND NOT unordered GROUP BY user_id
) e
WHERE p.user_id = e.user_id
"""

_FREE = "UPDATE engagements_pipeline SET lease_worker = NULL, lease_until = NULL WHERE depth = 0"

_WORKERS = """
INSERT INTO engagements_worker (name, incarnation, started_at, heartbeat_at)
SELECT name, 1, now(), CASE WHEN name = 'dead' THEN now() - interval '1 h' ELSE now() + interval '1 h' END
FROM unnest(%(workers)s::text[]) name
"""


def load(conn: Connection[Any], *, users: int, engagements: int) -> None:
    """Fill an empty database; a million engagements take about a minute."""
    numbers = {"users": users, "engagements": engagements}
    with conn.transaction():
        conn.execute(_WORKERS, {"workers": list(WORKERS)})
        conn.execute(_PIPELINES, numbers)
        conn.execute(_ENGAGEMENTS, numbers)
        conn.execute(_ATTEMPTS)
        conn.execute(_COUNT)
        conn.execute(_FREE)
    conn.execute("VACUUM ANALYZE engagements_pipeline, engagements_engagement, engagements_attempt, engagements_worker")
