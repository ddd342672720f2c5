"""The limit at a broker: kombu alone consumes one message per engagement from eight hashed queues, one process, no
database.

The argument is a spec with `broker`; prints one line of JSON. Messages are acknowledged one by one, 256 ahead.
"""

import os
import time
import zlib
from typing import Any

from kombu import Connection, Consumer, Exchange, Queue

from benchmarks.peers.work import Deliveries, items, report, spec

QUEUES = 8
AHEAD = 256


def main(spec: dict[str, Any]) -> None:
    run = f"raw-{os.getpid()}"
    deliveries = Deliveries()
    with Connection(spec["broker"]) as connection:
        channel = connection.channel()
        queues = [Queue(f"{run}-{k}", Exchange(""), routing_key=f"{run}-{k}", channel=channel) for k in range(QUEUES)]
        try:
            for queue in queues:
                queue.queue_declare()
            producer = connection.Producer(channel)
            made = items(spec)
            for user, n in made:
                key = f"{run}-{zlib.crc32(user.encode()) % QUEUES}"
                producer.publish({"user_id": user, "n": n, "text": "hello"}, routing_key=key, serializer="json")

            def take(body: dict[str, Any], message: Any) -> None:
                deliveries.begin(body["user_id"], body["n"])
                deliveries.end(body["user_id"], body["n"])
                message.ack()

            with Consumer(channel, queues, callbacks=[take], prefetch_count=AHEAD):
                while deliveries.done < len(made):
                    connection.drain_events(timeout=30)
                seconds = time.perf_counter() - deliveries.began
        finally:
            for queue in queues:
                queue.delete()
    report(deliveries.done, seconds, deliveries.violations)


if __name__ == "__main__":
    main(spec())
