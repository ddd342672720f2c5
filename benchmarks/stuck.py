"""Finding pipelines among 1,000,000: what each filter and order of the console's list reads, and how long it takes.

    python -m benchmarks.stuck [--pipelines 1000000]

Everything is pending: one engagement for each user, and 100,000 for one more, spread among the others. One pipeline is
paused, one of a dead worker, one is retried; one engagement came late, one goes to a channel of its own. Exits with 1
when a search reads a whole table, or more than its bounds allow.
"""

import argparse
import sys
from typing import Any

from psycopg import Connection

from benchmarks.explain import watched
from benchmarks.stage import stage

RUNS = 5

HOT = 100_000
"""Pending engagements of the one deep user."""

_PIPELINES = """
INSERT INTO engagements_pipeline
    (user_id, worker, session_until, lease_token, attempt, sequence, last_order_time, depth, due_at)
SELECT 'user-' || n, CASE WHEN n = %(n)s / 2 THEN 'dead' WHEN n %% 2 = 0 THEN 'w1' ELSE 'w2' END,
    now() + interval '5 min', 3, 1, 100, now() - interval '1 min', 1,
    now() + CASE WHEN n = %(n)s / 3 THEN interval '9 s' ELSE n * interval '1 us' - interval '1 min' END
FROM generate_series(0, %(n)s - 1) n
UNION ALL
SELECT 'user-hot', 'w1', now() + interval '5 min', 3, 1, 100, now() - interval '1 min', %(hot)s,
    now() - interval '30 s'
"""

_ENGAGEMENTS = """
INSERT INTO engagements_engagement
    (id, user_id, payload, produced_at, received_at, expires_at, order_time, held_until, arrival, status, unordered,
     channel, late, lease_token, attempts, replays, last_error, content_digest)
SELECT gen_random_uuid(), e.user_id, '{"text": "hello"}', at, at, now() + interval '1 hour', at, at,
    nextval('engagements_arrival'), 'pending', false, CASE WHEN e.user_id = %(rare)s THEN 'rare' ELSE 'log' END,
    e.user_id = %(late)s, 0, 0, 0, '', ''
FROM (
    SELECT n::float8 AS place, 'user-' || n AS user_id FROM generate_series(0, %(n)s - 1) n
    UNION ALL
    SELECT h * (%(n)s::float8 / %(hot)s) + 0.5, 'user-hot' FROM generate_series(0, %(hot)s - 1) h
) e
CROSS JOIN LATERAL (SELECT now() - interval '10 min' + e.place * interval '100 us' AS at) t
ORDER BY e.place
"""

_WORKERS = """
INSERT INTO engagements_worker (name, incarnation, started_at, heartbeat_at)
SELECT name, 1, now(), CASE WHEN name = 'dead' THEN now() - interval '1 h' ELSE now() + interval '1 h' END
FROM unnest(ARRAY['w1', 'w2', 'dead']) name
"""

_CHANNEL = """
INSERT INTO engagements_channel (name, kind, url, secret, previous_secret, active, created_at)
VALUES ('rare', 'null', '', '', '', true, now())
"""


def load(conn: Connection[Any], pipelines: int) -> None:
    numbers = {"n": pipelines, "hot": HOT, "rare": f"user-{pipelines * 2 // 3}", "late": f"user-{pipelines // 4}"}
    conn.execute("SET idle_in_transaction_session_timeout = 0")
    with conn.transaction():
        conn.execute(_WORKERS)
        conn.execute(_CHANNEL)
        conn.execute(_PIPELINES, numbers)
        conn.execute(_ENGAGEMENTS, numbers)
        conn.execute("UPDATE engagements_pipeline SET paused_at = now() WHERE user_id = %s", [f"user-{pipelines // 5}"])
        conn.execute(
            """UPDATE engagements_pipeline p SET attempt = 3, in_service = e.id FROM engagements_engagement e
            WHERE p.user_id = %s AND e.user_id = p.user_id""",
            [f"user-{pipelines // 3}"],
        )
    conn.execute("VACUUM ANALYZE engagements_pipeline, engagements_engagement, engagements_worker")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--pipelines", type=int, default=1_000_000)
    options = arguments.parse_args()
    wrong = 0
    with stage():
        from benchmarks.plans import database
        from engagements.store.find_pipelines import CANDIDATES, PENDING_SCAN, Order, Search, State, find

        searches = {
            "by user": Search(),
            "the beginning of an id": Search(user="user-12"),
            "an id that nobody has": Search(user="nobody"),
            "paused (1 match)": Search(state=State.PAUSED),
            "blocked": Search(state=State.BLOCKED),
            "blocked, oldest first": Search(state=State.BLOCKED, order=Order.AGE),
            "blocked, deepest first": Search(state=State.BLOCKED, order=Order.DEPTH),
            "at work": Search(state=State.WORK),
            "of one worker": Search(worker="w1"),
            "of one worker, oldest first": Search(worker="w1", order=Order.AGE),
            "of a dead worker (1 match)": Search(worker="dead"),
            "late (1 match)": Search(late=True),
            "by channel": Search(channel="log", order=Order.AGE),
            "by channel (1 match, far on)": Search(channel="rare"),
            "by channel (1 match), looked further": Search(channel="rare", after=options.pipelines * 11 // 15 - 5_000),
            "oldest first": Search(order=Order.AGE),
            "deepest first": Search(order=Order.DEPTH),
            "an id's beginning, blocked, by channel": Search(user="user-1", state=State.BLOCKED, channel="log"),
        }
        most = PENDING_SCAN + 12 * CANDIDATES
        with database("stuck") as conn:
            load(conn, options.pipelines)
            print(f"{options.pipelines:,} pipelines, {options.pipelines + HOT:,} pending engagements")
            for name, search in searches.items():
                for _ in range(RUNS):
                    find(conn, search)
                with watched(conn) as ran:
                    found = find(conn, search)
                [one] = [one for one in ran if "ranked" in one.sql]
                problem = f"reads all of {one.whole_tables}" if one.whole_tables else ""
                problem = problem or (f"reads more than {most:,} rows" if one.rows_read > most else "")
                wrong += bool(problem)
                print(
                    f"  {name:40} {one.milliseconds:7.1f} ms {one.rows_read:8,.0f} rows {one.blocks:7,} pages  "
                    f"{len(found.users):5,}{'+' if found.bounded else ' '} found  {one.shape}"
                    f"{'  !!! ' + problem if problem else ''}"
                )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
