"""Latency at a steady rate: single posts over REST without a stated time, from receipt to delivery.

    python -m benchmarks.latency [--rate 100] [--seconds 30] [--users 1000]

Everything is what `manage.py up` starts: web, two workers, beat, embedded servers. Receipt and the end of the attempt
are times of PostgreSQL's clock; the channel is `null`, so that no receiver is measured.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.bench import CHECKOUT, order_violations
from deliveryproject.local.ports import free_port

READY_SECONDS = 60


async def post_steadily(url: str, key: str, *, rate: int, seconds: int, users: int) -> list[float]:
    """Post `rate` per second at even distances, not waiting for answers; each answer's time in seconds."""
    answers: list[float] = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:

        async def post(number: int) -> None:
            began = time.perf_counter()
            body = {"user_id": f"user-{number % users}", "payload": {"n": number}, "channel": "null"}
            async with session.post(f"{url}/api/v1/engagements/", json=body) as answer:
                assert answer.status == 201, await answer.text()
            answers.append(time.perf_counter() - began)

        loop = asyncio.get_running_loop()
        start = loop.time() + 0.1
        async with asyncio.TaskGroup() as tasks:
            for number in range(rate * seconds):
                await asyncio.sleep(max(0.0, start + number / rate - loop.time()))
                tasks.create_task(post(number))
    return answers


def measure(directory: Path, *, rate: int, seconds: int, users: int) -> int:
    port = free_port()
    environment = {**os.environ, "DATA_DIR": str(directory), "PORT": str(port), "WORKERS": "2"}
    for name in ("DATABASE_URL", "BROKER_URL", "SECRET_KEY"):
        environment.pop(name, None)
    manage = [sys.executable, "manage.py"]
    up = subprocess.Popen([*manage, "up"], cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(_ready(url))
        key = subprocess.run(
            [*manage, "create_api_key", "bench", "--role", "operator"],
            cwd=CHECKOUT,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        asyncio.run(_create_null_channel(url, key))
        asyncio.run(post_steadily(url, key, rate=rate, seconds=3, users=users))  # warm
        os.environ.update(DATA_DIR=str(directory), DJANGO_SETTINGS_MODULE="deliveryproject.settings")
        import django

        django.setup()
        before = _last_arrival()
        answers = asyncio.run(post_steadily(url, key, rate=rate, seconds=seconds, users=users))
        return _report(answers, before, rate=rate, seconds=seconds)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(30)


async def _ready(url: str) -> None:
    until = time.monotonic() + READY_SECONDS
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            assert time.monotonic() < until, "not ready in time"
            await asyncio.sleep(0.1)


async def _create_null_channel(url: str, key: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        session.post(f"{url}/api/v1/channels/", json={"name": "null", "kind": "null"}) as answer,
    ):
        assert answer.status == 201, await answer.text()


def _last_arrival() -> int:
    from engagements.models import Engagement

    return Engagement.objects.latest("arrival").arrival


def _report(answers: list[float], before: int, *, rate: int, seconds: int) -> int:
    from django.db import connection

    time.sleep(1)  # for the last ones to settle
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*), percentile_cont(ARRAY[0.5, 0.99, 0.999]) WITHIN GROUP (ORDER BY
                1000 * extract(epoch FROM a.started_at + a.duration_seconds * interval '1 second' - e.received_at)),
                max(1000 * extract(epoch FROM a.started_at - e.received_at))
            FROM engagements_engagement e JOIN engagements_attempt a ON a.engagement_id = e.id
            WHERE e.arrival > %s AND e.status = 'delivered'""",
            [before],
        )
        [(count, (p50, p99, p999), worst)] = cursor.fetchall()
    violations = order_violations()
    ordered = sorted(answers)
    print(f"{rate} single posts/s for {seconds} s, two workers, null channel, times in ms")
    print(f"  receipt to delivery   p50 {p50:6.1f}   p99 {p99:6.1f}   p99.9 {p999:6.1f}   worst {worst:6.1f}")
    print(
        f"  answer to the post    p50 {1000 * ordered[len(ordered) // 2]:6.1f}   "
        f"p99 {1000 * ordered[int(len(ordered) * 0.99)]:6.1f}"
    )
    print(f"  delivered {count} of {rate * seconds}, order violations: {violations}")
    return 0 if count == rate * seconds and not violations else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--users", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ordered-delivery-bench-") as directory:
        failed = measure(Path(directory), rate=arguments.rate, seconds=arguments.seconds, users=arguments.users)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
