"""Putting a run's logs together for the observer."""

import http.client
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.chaos.stage import Stage
from tests.support.client import PREFIX, Api
from tests.support.observed import request_of, told_of
from tests.support.observer import History, Operation, Produced, Request, Told

PAGE = 500


def history_of(
    stage: Stage, produced: list[Produced], operations: list[Operation], *, expiry_bound_seconds: float
) -> History:
    """Once nothing is pending any more."""
    stage.received()
    return History(
        produced,
        list(requests_in(stage.log)),
        told_by(stage.api),
        operations,
        stage.frozen,
        stage.outages,
        timeout_seconds=stage.timeout_seconds,
        expiry_bound_seconds=expiry_bound_seconds,
    )


def requests_in(log: Path) -> Iterable[Request]:
    """What the receiver wrote."""
    with log.open() as lines:
        for line in lines:
            begun, ended, status, data = json.loads(line)
            yield request_of(data, begun=begun, ended=ended, status=status)


def told_by(api: Api) -> dict[str, Told]:
    """Every engagement as the API lists it, over one connection: there may be hundreds of pages."""
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)
    found: dict[str, Told] = {}
    path: str | None = f"{PREFIX}/engagements/?page_size={PAGE}"
    try:
        while path:
            connection.request("GET", path, headers=api.headers)
            page: Any = json.loads(connection.getresponse().read())
            found |= {one["id"]: told_of(one) for one in page["results"]}
            path = page["next"] and page["next"].partition(f":{api.port}")[2]
    finally:
        connection.close()
    return found


def wait_until_settled(api: Api, *, seconds: float) -> int:
    """Return 0 when nothing is pending any more, or after this long how much still is."""
    give_up = time.monotonic() + seconds
    left = -1
    while time.monotonic() < give_up:
        try:
            left = pending(api)
            if not left:
                return 0
        except (OSError, http.client.HTTPException, AssertionError):
            pass
        time.sleep(0.5)
    return left


def pending(api: Api) -> int:
    return sum(queue["pending"] for queue in api.queues().values())
