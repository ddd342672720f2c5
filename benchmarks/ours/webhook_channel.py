"""How many posts a second the webhook channel makes, without the engine: a part of what a delivery costs.

The argument is a spec with `receiver`; prints one line of JSON: posts per second, and microseconds of the sender's CPU
per post.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import uvloop
from django.conf import settings

from benchmarks.peers.work import items
from workers.channels.base import ChannelConfig, Delivered, Delivery
from workers.channels.webhook import WebhookChannel

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 (signs nothing but this measurement)

CONCURRENT = 64


def deliveries(spec: dict[str, Any]) -> Iterator[Delivery]:
    now = datetime.now(UTC)
    for index, (user, n) in enumerate(items(spec)):
        payload = json.dumps({"index": index, "n": n, "text": "hello"})
        yield Delivery(uuid.uuid4(), user, n + 1, 1, now, None, False, False, 1, payload)


async def send(channel: WebhookChannel, waiting: Iterator[Delivery]) -> None:
    for one in waiting:
        outcome = await channel.deliver(one)
        assert isinstance(outcome, Delivered), outcome


async def main(spec: dict[str, Any]) -> None:
    channel = WebhookChannel(ChannelConfig("measured", "webhook", spec["receiver"], (SECRET,)))
    waiting = iter(list(deliveries(spec)))
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(send(channel, waiting) for _ in range(CONCURRENT)))
    rate = spec["count"] / (time.perf_counter() - began)
    cpu = 1e6 * (time.process_time() - cpu) / spec["count"]
    await channel.aclose()
    print(json.dumps({"rate": rate, "cpu": cpu, "done": spec["count"], "violations": 0}))


if __name__ == "__main__":
    settings.configure(WEBHOOK_ALLOW_PRIVATE=True)
    uvloop.run(main(json.loads(sys.argv[1])))
