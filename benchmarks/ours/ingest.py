"""Bulk calls over REST, answered by one web process."""

import asyncio
import json
import time

import aiohttp

from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.drain import figures, wait_until_settled
from benchmarks.ours.order import violations
from benchmarks.ours.site import Site, site
from benchmarks.peers.work import items
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Figures

BULK = 1000
CALLERS = 4
"""Calls at a time: enough to keep one process busy while answers are on their way."""


def ingested(servers: Servers, backlogs: Backlogs, shape: Shape, *, workers: int) -> Figures:
    """rate: engagements answered as created per second; delivered: with workers, from the first receipt to the last
    settle."""
    with site(servers, backlogs, workers=workers) as at, servers.connect(at.database) as connection:
        rate = asyncio.run(_post(at, shape))
        if not workers:
            [(stored,)] = connection.execute("SELECT count(*) FROM engagements_engagement").fetchall()
            return Figures({"rate": rate}, {} if stored == shape.count else {"not stored": 1})
        wait_until_settled(connection, count=shape.count)
        figures(connection, count=shape.count)
        [(seconds,)] = connection.execute(
            "SELECT extract(epoch FROM max(settled_at) - min(received_at))::float8 FROM engagements_engagement"
        ).fetchall()
        return Figures({"rate": rate, "delivered": shape.count / float(str(seconds))}, violations(connection))


async def _post(at: Site, shape: Shape) -> float:
    made = [
        {"user_id": user, "payload": {"n": n, "text": "hello"}, "channel": "null", "timeout_seconds": 600}
        for user, n in items(shape.spec())
    ]
    bodies = iter([json.dumps({"engagements": made[start : start + BULK]}) for start in range(0, len(made), BULK)])
    headers = {"Authorization": f"Bearer {at.key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def call() -> None:
            for body in bodies:
                async with session.post(f"{at.url}/api/v1/engagements/bulk/", data=body) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(CALLERS)))
        return shape.count / (time.perf_counter() - began)
