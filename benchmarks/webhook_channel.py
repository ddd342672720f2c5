"""How many posts a second the webhook channel makes, without the engine.

    python -m benchmarks.webhook_channel

The receiver runs as a second process on the same machine and takes about as much CPU as the channel.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from django.conf import settings

from workers.channels.base import ChannelConfig, Delivered, Delivery
from workers.channels.webhook import WebhookChannel

PAYLOAD = '{"title": "hello", "text": "' + "x" * 200 + '"}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 (signs nothing but this measurement)


async def send(channel: WebhookChannel, waiting: Iterator[Delivery]) -> None:
    for one in waiting:
        outcome = await channel.deliver(one)
        if not isinstance(outcome, Delivered):
            raise SystemExit(f"not delivered: {outcome}")


async def measure(url: str, *, posts: int, concurrent: int, rounds: int) -> None:
    channel = WebhookChannel(ChannelConfig("measured", "webhook", url, (SECRET,)))
    rates, costs = [], []
    for _ in range(rounds):
        now = datetime.now(UTC)
        waiting = iter(
            [Delivery(uuid.uuid4(), f"user-{n}", n, 1, now, None, False, False, 1, PAYLOAD) for n in range(posts)]
        )

        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(send(channel, waiting) for _ in range(concurrent)))
        rates.append(posts / (time.perf_counter() - started))
        costs.append((time.process_time() - cpu) / posts * 1e6)
    await channel.aclose()
    print(
        f"{concurrent} concurrent, {rounds} rounds of {posts}: "
        f"median {statistics.median(rates):,.0f}/s, best {max(rates):,.0f}/s; "
        f"CPU of the sender per post: median {statistics.median(costs):.0f} µs, least {min(costs):.0f} µs"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--concurrent", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uvloop", action="store_true")
    arguments = parser.parse_args()
    settings.configure(WEBHOOK_ALLOW_PRIVATE=True)
    run = asyncio.run
    if arguments.uvloop:
        import uvloop

        run = uvloop.run
    receiver = subprocess.Popen([sys.executable, "-m", "tests.support.receiver"], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        url = receiver.stdout.readline().split()[-1]
        run(measure(url, posts=arguments.posts, concurrent=arguments.concurrent, rounds=arguments.rounds))
    finally:
        receiver.terminate()
        receiver.wait(10)


if __name__ == "__main__":
    main()
