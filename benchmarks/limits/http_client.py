"""The limit of posting: a bare asyncio client on 64 connections against the same receiver, no queue and no database.

The argument is a spec with `receiver`; prints one line of JSON. Each connection writes a post of the size that our
webhook has and waits for the answer's end; nothing is signed or parsed.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.peers.work import items, spec

CONNECTIONS = 64

HEADERS_LIKE_OURS = "webhook-id: {id}\r\nwebhook-timestamp: 1700000000\r\nwebhook-signature: v1,{signature}\r\n"


class Post(asyncio.Protocol):
    """One connection: the next post when the one before has been answered."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Semaphore) -> None:
        self.requests = requests
        self.ended = ended

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"HTTP/1.1 200"), data
        self._next()

    def _next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.ended.release()
            self.transport.close()
        else:
            self.transport.write(request)


def requests(spec: dict[str, Any]) -> Iterator[bytes]:
    """Users in turn: with no more connections than users, nobody is overtaken."""
    host = urlsplit(spec["receiver"]).netloc
    headers = HEADERS_LIKE_OURS.format(id="0" * 36, signature="0" * 44)
    for user, n in items(spec):
        body = json.dumps({"user_id": user, "n": n, "text": "x" * 300})
        start = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{headers}"
        yield f"{start}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def main(spec: dict[str, Any]) -> None:
    address = urlsplit(spec["receiver"])
    made = iter(list(requests(spec)))
    ended = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Post(made, ended), address.hostname, address.port)
    for _ in range(CONNECTIONS):
        await ended.acquire()
    rate = spec["count"] / (time.perf_counter() - began)
    cpu = 1e6 * (time.process_time() - cpu) / spec["count"]
    print(json.dumps({"rate": rate, "cpu": cpu, "done": spec["count"], "violations": 0}))


if __name__ == "__main__":
    uvloop.run(main(spec()))
