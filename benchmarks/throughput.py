"""Ordered deliveries per second: a stored backlog, drained by one worker process through the `null` channel.

    python -m benchmarks.throughput [--engagements 50000] [--users 5000]

The rate counts from the first attempt to the last settle, by PostgreSQL's clock; the order is checked afterwards.
"""

import argparse
import time

from benchmarks.bench import order_violations, stage, worker


def load(engagements: int, users: int) -> float:
    """Store the backlog, users interleaved; engagements per second."""
    from engagements.models import Channel
    from engagements.services import BULK_LIMIT, produce_bulk

    Channel.objects.get_or_create(name="null", defaults={"kind": "null"})
    began = time.perf_counter()
    for start in range(0, engagements, BULK_LIMIT):
        items = produce_bulk(
            [
                {
                    "user_id": f"user-{number % users}",
                    "payload": {"n": number, "text": "hello"},
                    "channel": "null",
                    "timeout_seconds": 3600,
                }
                for number in range(start, min(start + BULK_LIMIT, engagements))
            ]
        )
        assert all(item.status == "created" for item in items)
    return engagements / (time.perf_counter() - began)


def drain(count: int, *, timeout: float = 300.0) -> float:
    """Wait until everything is settled; deliveries per second between the first attempt and the last settle."""
    from django.db import connection

    until = time.monotonic() + timeout
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT sum(depth) FROM engagements_pipeline")
            [(left,)] = cursor.fetchall()
        if not left:
            break
        assert time.monotonic() < until, f"{left} engagements are still pending"
        time.sleep(0.25)
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT extract(epoch FROM (SELECT max(settled_at) FROM engagements_engagement)
                - (SELECT min(started_at) FROM engagements_attempt))::float8,
                (SELECT count(*) FROM engagements_engagement WHERE status = 'delivered')""")
        [(seconds, delivered)] = cursor.fetchall()
    assert delivered == count, f"{delivered} of {count} were delivered"
    return count / float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engagements", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=5_000)
    arguments = parser.parse_args()
    with stage() as directory:
        ingest = load(arguments.engagements, arguments.users)
        with worker(directory):
            rate = drain(arguments.engagements)
        violations = order_violations()
    print(f"{arguments.engagements:,} engagements of {arguments.users:,} users, one worker process, null channel")
    print(f"  stored     {ingest:>10,.0f} engagements/s  (produce_bulk, one process)")
    print(f"  delivered  {rate:>10,.0f} engagements/s")
    print(f"  order violations: {violations}")
    raise SystemExit(1 if violations else 0)


if __name__ == "__main__":
    main()
