"""Drives celery_app.py: stores the rows, publishes the tasks, starts eight workers and waits for the last row."""

import os
import subprocess
import sys
import time
import zlib
from typing import Any

import psycopg
from kombu import Queue

from benchmarks.peers.work import items, report, spec

QUEUES = 8

CREATE = """
CREATE TABLE item (id int PRIMARY KEY, user_id text, n int, began float8, ended timestamptz, worker int)
WITH (fillfactor = 70)
"""

# Out of order: begun before the one before it of the same user had ended.
VIOLATIONS = """
SELECT count(*) FROM (
    SELECT began, lag(extract(epoch FROM ended)::float8) OVER (PARTITION BY user_id ORDER BY n) AS before FROM item
) pairs WHERE began < before
"""

# Deliveries per second of the others and of the hot user.
APART = """
SELECT count(*) FILTER (WHERE user_id <> 'user-0')
        / extract(epoch FROM max(ended) FILTER (WHERE user_id <> 'user-0') - to_timestamp(min(began)))::float8,
    count(*) FILTER (WHERE user_id = 'user-0')
        / extract(epoch FROM max(ended) FILTER (WHERE user_id = 'user-0') - to_timestamp(min(began)))::float8
FROM item
"""


def main(spec: dict[str, Any]) -> None:
    os.environ.update(
        PLAIN_BROKER=spec["broker"],
        PLAIN_POSTGRES=spec["postgres"],
        PLAIN_WORK=spec["work"],
        PLAIN_MS=str(spec.get("ms", 0)),
        PLAIN_RECEIVER=spec.get("receiver", ""),
    )
    from benchmarks.peers.celery_app import app, deliver

    run = f"plain-{os.getpid()}"
    with psycopg.connect(spec["postgres"], autocommit=True) as connection:
        connection.execute(CREATE)
        made = items(spec)
        with connection.cursor().copy("COPY item (id, user_id, n) FROM STDIN") as copy:
            for id, (user, n) in enumerate(made):
                copy.write_row((id, user, n))
        connection.execute("ANALYZE item")
        with app.producer_pool.acquire(block=True) as producer:
            for id, (user, n) in enumerate(made):
                queue = f"{run}-{zlib.crc32(user.encode()) % QUEUES}"
                deliver.apply_async((id, user, n), queue=queue, producer=producer)
        celery = [sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_app", "worker"]
        options = ["--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
        workers = [
            subprocess.Popen([*celery, *options, "-P", "solo", "-n", f"{run}-{k}@bench", "-Q", f"{run}-{k}"])
            for k in range(QUEUES)
        ]
        try:
            last = "SELECT extract(epoch FROM max(ended) - to_timestamp(min(began)))::float8, count(ended) FROM item"
            while True:
                [(seconds, done)] = connection.execute(last).fetchall()
                if done == len(made):
                    break
                time.sleep(0.25)
            [(violations,)] = connection.execute(VIOLATIONS).fetchall()
            [(others, one)] = connection.execute(APART).fetchall() if spec["shape"] == "hot" else [(None, None)]
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(30)
            with app.connection_for_write() as broker:
                for k in range(QUEUES):
                    Queue(f"{run}-{k}", channel=broker.default_channel).delete()
    report(len(made), seconds, violations, **({"others": others, "one": one} if others else {}))


if __name__ == "__main__":
    main(spec())
