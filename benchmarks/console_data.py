"""What the admin's pages have to bear beside a large history.

A deep line, pauses, failures, retries, late ones, causal chains, many channels, a long audit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection

DEEP = "user-deep"
"""A user with ten thousand engagements in line."""

_STATEMENTS = (
    """
    INSERT INTO engagements_channel (name, kind, url, secret, previous_secret, active, created_at)
    SELECT 'hook-' || n, 'webhook', 'https://hook-' || n || '.example/', '', '', n % 10 <> 0, now()
    FROM generate_series(1, 40) n
    """,
    # Every fifth of a channel of its own, one in five hundred failed, one in a thousand late.
    """
    UPDATE engagements_engagement e SET channel = 'hook-' || (1 + e.arrival / 35 % 40)
    WHERE e.arrival % 5 = 0 AND e.arrival % 7 = 0
    """,
    """
    UPDATE engagements_engagement SET status = 'failed', attempts = 1, last_error = 'HTTP 410: gone'
    WHERE status = 'delivered' AND arrival % 500 = 1
    """,
    "UPDATE engagements_engagement SET late = true WHERE arrival % 1000 = 1 AND NOT unordered",
    """
    UPDATE engagements_pipeline SET paused_at = now() - interval '1 min'
    WHERE lease_worker IS NULL AND user_id LIKE '%94'
    """,
    """
    INSERT INTO engagements_pipeline (user_id, worker, session_until, lease_token, attempt, sequence, depth, due_at)
    VALUES ('user-deep', 'w1', now() + interval '5 min', 3, 1, 100, 10000, now() - interval '1 s')
    """,
    """
    INSERT INTO engagements_engagement
        (id, user_id, payload, produced_at, received_at, expires_at, order_time, held_until, arrival, status,
         unordered, channel, late, lease_token, attempts, replays, last_error, content_digest)
    SELECT gen_random_uuid(), 'user-deep', '{"text": "hello"}', now(), now(), now() + interval '1 hour', now(), now(),
        nextval('engagements_arrival'), 'pending', false, 'log', false, 0, 0, 0, '', ''
    FROM generate_series(1, 10000)
    """,
    # A chain of causal parents, and one parent of many children, all pending.
    """
    WITH line AS (
        SELECT id, lag(id) OVER (ORDER BY arrival) AS before, row_number() OVER (ORDER BY arrival) AS place,
            first_value(id) OVER (ORDER BY arrival) AS first
        FROM engagements_engagement WHERE user_id = 'user-deep'
    )
    UPDATE engagements_engagement e SET causal_parent = CASE WHEN place < 20 THEN before ELSE first END
    FROM line WHERE e.id = line.id AND place < 200 AND before IS NOT NULL
    """,
    """
    INSERT INTO engagements_attempt
        (engagement_id, number, worker, sequence, token, started_at, duration_seconds, outcome, answer)
    SELECT e.id, n, 'w1', 1, 3, now() - n * interval '1 s', 0.2, 'retry', 'HTTP 503: busy'
    FROM (SELECT id FROM engagements_engagement WHERE status = 'failed' ORDER BY arrival DESC LIMIT 1) e
    CROSS JOIN generate_series(1, 300) n
    """,
    # Ten minutes of attempts, of all channels; a twentieth of them failed.
    """
    INSERT INTO engagements_attempt
        (engagement_id, number, worker, sequence, token, started_at, duration_seconds, outcome, answer)
    SELECT id, 1, 'w1', 1, 3, now() - place * interval '3 ms', 0.02 + place % 100 * 0.001,
        CASE WHEN place % 20 = 7 THEN 'retry' ELSE 'delivered' END, CASE WHEN place % 20 = 7 THEN 'HTTP 503' ELSE '' END
    FROM (
        SELECT id, row_number() OVER (ORDER BY arrival DESC) AS place
        FROM engagements_engagement WHERE settled_at IS NOT NULL ORDER BY arrival DESC LIMIT 200000
    ) e ORDER BY place DESC
    """,
    """
    INSERT INTO engagements_auditentry (at, actor, action, target, count, reason)
    SELECT now() - n * interval '1 s', 'operator-' || n % 7,
        (ARRAY['pause', 'resume', 'purge', 'skip', 'replay'])[1 + n % 5], 'user-' || n, n % 50, 'because'
    FROM generate_series(1, 100000) n
    """,
    "VACUUM ANALYZE engagements_pipeline, engagements_engagement, engagements_attempt, engagements_auditentry",
)


def dress(conn: Connection[Any]) -> None:
    """Add it to a database that benchmarks.large has filled, and count what settled there for the charts."""
    from engagements.store import rollups

    for statement in _STATEMENTS:
        conn.execute(statement)
    while rollups.count_settled(conn):
        pass
    conn.execute("VACUUM ANALYZE engagements_rollup, engagements_settledcount")


def keys() -> dict[str, Sequence[str]]:
    """By model: rows whose pages are worth opening."""
    from engagements import imports, operations
    from engagements.models import AuditEntry, Engagement, Operation, Pipeline

    rows = Engagement.objects.order_by("-arrival")
    engagements = [
        rows.filter(user_id=DEEP).last(),
        rows.filter(user_id=DEEP).first(),
        rows.filter(status="failed").order_by("-status", "-arrival").first(),
        rows.filter(causal_parent__isnull=False, settled_at__isnull=False).first(),
    ]
    paused = Pipeline.objects.filter(paused_at__isnull=False).order_by("user_id").first()
    served = Pipeline.objects.filter(user_id__startswith="user-6", in_service__isnull=False).first()
    entry = AuditEntry.objects.first()
    lines = "".join(f"user-{n},hello,hook-{n % 50}\n" for n in range(10_000))
    file = imports.hand_in(f"user_id,payload.text,channel\n{lines}", name="bench.csv", actor="bench")
    users = list(Pipeline.objects.order_by("user_id").values_list("user_id", flat=True))
    broken = rows.filter(status__in=["failed", "expired"]).values_list("id", flat=True)[: operations.KEYS]
    shown = [
        operations.prepare("purge", users, scope="all pipelines", actor="bench", selected=False),
        operations.prepare("replay", [str(id) for id in broken], scope="all", actor="bench", selected=False),
        operations.prepare_queue("deliver.w1", actor="bench"),
        operations.prepare_queue("unordered", actor="bench"),
        operations.prepare("pause", users, scope="all pipelines", actor="bench", selected=False),
    ]
    Operation.objects.filter(token=shown[-1].token).update(started_at=file.made_at)
    return {
        "token": [str(file.token)],
        "operation": [str(one.token) for one in shown],
        "engagement": [str(row.id) for row in engagements if row],
        "pipeline": [DEEP, *(row.user_id for row in (paused, served) if row), "user-0"],
        "worker": ["w1", "dead"],
        "channel": ["log", "hook-1"],
        "auditentry": [str(entry.pk)] if entry else [],
    }


def searches(found: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """By model: terms that find one, many, and none."""
    return {
        "engagement": [DEEP, "user-1", "nobody", *found["engagement"][:1]],
        "pipeline": [DEEP, "user-1", "nobody"],
        "auditentry": ["user-5", "operator-3", "nobody"],
    }
