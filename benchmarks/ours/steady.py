"""Single posts over REST at a steady rate, and the time from the receipt of each to its delivery.

Receipt and the end of the attempt are times of PostgreSQL's clock.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from benchmarks.ours.drain import NotDelivered
from benchmarks.ours.order import violations
from benchmarks.ours.site import Site
from benchmarks.servers import Servers
from benchmarks.turns import Figures

WARM_SECONDS = 3

AFTER_SECONDS = 30
"""For the last ones to be delivered."""

Body = Callable[[int], dict[str, Any]]
"""From a number to what is posted."""

_LEFT = "SELECT count(*) FROM engagements_engagement WHERE arrival > %s AND channel = %s AND status = 'pending'"

_LATENCY = """
SELECT count(*), percentile_cont(ARRAY[0.5, 0.99, 0.999]) WITHIN GROUP (ORDER BY
    1000 * extract(epoch FROM a.started_at + a.duration_seconds * interval '1 second' - e.received_at))
FROM engagements_engagement e JOIN engagements_attempt a ON a.engagement_id = e.id AND a.outcome = 'delivered'
WHERE e.arrival > %s AND e.channel = %s
"""


def plain(users: int, *, channel: str = "null", stated: bool = False) -> Body:
    """stated: with the time of its making as its produce time, so that it waits for neighbours."""

    def body(number: int) -> dict[str, Any]:
        made = {"user_id": f"user-{number % users}", "payload": {"n": number // users}, "channel": channel}
        return {**made, "produced_at": datetime.now(UTC).isoformat()} if stated else made

    return body


def measure(servers: Servers, at: Site, body: Body, *, channel: str, rate: int, seconds: int) -> Figures:
    """Milliseconds from receipt to delivery through this channel, with all posts of `body` going on."""
    with servers.connect(at.database) as connection:
        asyncio.run(_post(at, body, rate=rate, seconds=WARM_SECONDS, start=0))
        [(before,)] = connection.execute("SELECT coalesce(max(arrival), 0) FROM engagements_engagement").fetchall()
        answers = asyncio.run(_post(at, body, rate=rate, seconds=seconds, start=rate * WARM_SECONDS))
        until = time.monotonic() + AFTER_SECONDS
        while connection.execute(_LEFT, [before, channel]).fetchall() != [(0,)]:
            if time.monotonic() > until:
                raise NotDelivered(f"posts to {channel} are still pending after {AFTER_SECONDS} s")
            time.sleep(0.1)
        [(count, percentiles)] = connection.execute(_LATENCY, [before, channel]).fetchall()
        broken = violations(connection)
    expected = sum(
        body(number)["channel"] == channel for number in range(rate * WARM_SECONDS, rate * (WARM_SECONDS + seconds))
    )
    if count != expected:
        raise NotDelivered(f"{count} of {expected} posts to {channel} were delivered")
    numbers = dict(zip(("p50", "p99", "p999"), map(float, percentiles), strict=True))  # type: ignore[call-overload]
    answers.sort()
    return Figures({**numbers, "answer_p99": 1000 * answers[int(len(answers) * 0.99)]}, broken)


async def _post(at: Site, body: Body, *, rate: int, seconds: int, start: int) -> list[float]:
    """At even distances, not waiting for answers; the answers' times in seconds."""
    answers: list[float] = []
    headers = {"Authorization": f"Bearer {at.key}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def post(number: int) -> None:
            began = time.perf_counter()
            async with session.post(f"{at.url}/api/v1/engagements/", json=body(number)) as answer:
                assert answer.status == 201, await answer.text()
            answers.append(time.perf_counter() - began)

        loop = asyncio.get_running_loop()
        first = loop.time() + 0.1
        async with asyncio.TaskGroup() as tasks:
            for number in range(rate * seconds):
                await asyncio.sleep(max(0.0, first + number / rate - loop.time()))
                tasks.create_task(post(start + number))
    return answers
