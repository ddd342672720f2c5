"""The limit in PostgreSQL: batches of settles on one connection, nothing around them.

Takes a database of this project with a backlog stored (a spec on the command line names it); prints one line of JSON.
Claims up to 256 users, then settles one engagement of each per statement until their lines are empty, then claims the
next. Two rows change per engagement, the engagement and its pipeline, under the same indexes as in production: what
nobody who keeps each delivery durable and in order on these tables can do without. There is no lease, no fence, no
record of attempts, no content fetched, no deadline looked at.
"""

import json
import os
import sys
import time
from typing import Any
from uuid import UUID

import psutil
import psycopg
from psycopg.abc import QueryNoTemplate

from benchmarks.costs import wanted_seconds

BATCH = 256

_NEXT = """
LEFT JOIN LATERAL (
    SELECT e.id FROM engagements_engagement e
    WHERE e.user_id = n.user_id AND e.status = 'pending' AND NOT e.unordered AND e.id IS DISTINCT FROM n.id
    ORDER BY e.order_time, e.arrival LIMIT 1
) h ON true
"""

_CLAIM = f"""
WITH n AS MATERIALIZED (SELECT user_id, NULL::uuid AS id FROM unnest(%s::text[]) AS n(user_id)),
next AS MATERIALIZED (SELECT n.user_id, h.id FROM n {_NEXT})
UPDATE engagements_pipeline p SET in_service = next.id, sequence = p.sequence + 1
FROM next WHERE p.user_id = next.user_id
RETURNING p.user_id, p.in_service
"""

_SETTLE = f"""
WITH n AS MATERIALIZED (SELECT * FROM unnest(%s::text[], %s::uuid[]) AS n(user_id, id)),
settled AS (
    UPDATE engagements_engagement e
    SET status = 'delivered', settled_at = clock_timestamp(), sequence = p.sequence, attempts = 1
    FROM n JOIN engagements_pipeline p ON p.user_id = n.user_id
    WHERE e.id = n.id AND e.settled_at IS NULL
), next AS MATERIALIZED (SELECT n.user_id, h.id FROM n {_NEXT})
UPDATE engagements_pipeline p
SET depth = p.depth - 1, due_at = CASE WHEN next.id IS NOT NULL THEN p.due_at END,
    in_service = next.id, sequence = p.sequence + (next.id IS NOT NULL)::int
FROM next WHERE p.user_id = next.user_id
RETURNING p.user_id, p.in_service
"""

_USERS = "SELECT user_id FROM engagements_pipeline WHERE due_at IS NOT NULL ORDER BY user_id"

_BACK = """
SELECT count(*) FROM (
    SELECT (order_time, arrival) < lag((order_time, arrival)) OVER line AS back
    FROM engagements_engagement WHERE sequence IS NOT NULL
    WINDOW line AS (PARTITION BY user_id ORDER BY sequence)
) pairs WHERE back
"""


def settle_all(connection: psycopg.Connection[Any]) -> int:
    """Everything that is pending and has an order; returns how many."""
    users = [user for (user,) in connection.execute(_USERS)]
    done = 0
    for start in range(0, len(users), BATCH):
        heads = _pairs(connection, _CLAIM, [users[start : start + BATCH]])
        while heads:
            done += len(heads)
            heads = _pairs(connection, _SETTLE, [[user for user, _ in heads], [id for _, id in heads]])
    return done


def _pairs(
    connection: psycopg.Connection[Any], statement: QueryNoTemplate, values: list[Any]
) -> list[tuple[str, UUID]]:
    return [(user, id) for user, id in connection.execute(statement, values, prepare=True) if id is not None]


def cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main(spec: dict[str, Any]) -> None:
    with psycopg.connect(spec["postgres"], autocommit=True) as connection:
        connection.execute("SELECT set_config('plan_cache_mode', 'force_custom_plan', false)")
        backend = psutil.Process(connection.info.backend_pid)
        both = [os.getpid(), backend.pid]
        wanted, cpu, server, began = wanted_seconds(both), time.process_time(), cpu_of(backend), time.perf_counter()
        done = settle_all(connection)
        seconds, cpu, server = time.perf_counter() - began, time.process_time() - cpu, cpu_of(backend) - server
        at_work = (wanted_seconds(both) - wanted) / seconds
        [(violations,)] = connection.execute(_BACK).fetchall()
    each = {"cpu_client": 1e6 * cpu / done, "cpu_postgresql": 1e6 * server / done, "cpu": 1e6 * (cpu + server) / done}
    print(json.dumps({"rate": done / seconds, **each, "at_work": at_work, "done": done, "violations": violations}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
