"""Procrastinate with the user as the lock of each job, in one asyncio worker."""

import asyncio
import time
from typing import Any

import aiohttp
from procrastinate import App, PsycopgConnector

from benchmarks.peers.work import Deliveries, items, report, spec


async def main(spec: dict[str, Any]) -> None:
    app = App(connector=PsycopgConnector(conninfo=spec["postgres"], max_size=12))
    deliveries = Deliveries()
    async with app.open_async(), aiohttp.ClientSession() as session:
        await app.schema_manager.apply_schema_async()

        @app.task(name="deliver")  # type: ignore[untyped-decorator,unused-ignore]
        async def deliver(user: str, n: int) -> None:
            deliveries.begin(user, n)
            if spec["work"] == "sleep":
                await asyncio.sleep(spec["ms"] / 1000)
            elif spec["work"] == "http":
                async with session.post(spec["receiver"], json={"user_id": user, "n": n}) as answer:
                    assert answer.status == 200
            deliveries.end(user, n)

        for user, n in items(spec):
            await deliver.configure(lock=user).defer_async(user=user, n=n)
        await app.connector.execute_query_async("ANALYZE")
        await app.run_worker_async(
            concurrency=spec["concurrency"], wait=False, install_signal_handlers=False, listen_notify=False
        )
        report(deliveries.done, time.perf_counter() - deliveries.began, deliveries.violations)


if __name__ == "__main__":
    asyncio.run(main(spec()))
