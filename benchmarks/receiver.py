"""The receiver of all posts: answers 200 at once, counts, and judges the order afterwards.

    python -m benchmarks.receiver

Prints its port. It verifies nothing and parses nothing while it is measured, so that it bounds nobody: bodies are kept
and read when `GET /take` asks for the count and for what came out of order; that forgets them.
"""

import asyncio
import json
import signal
import time
from typing import Any

import httptools
import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Taken:
    """What has come in since it was last asked for."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.cpu = time.process_time()

    def take(self) -> dict[str, Any]:
        """violations: posts of a user that are not the next one in the order produced, repeats left out."""
        cpu = time.process_time() - self.cpu
        last: dict[str, int] = {}
        violations = repeats = 0
        for body in self.bodies:
            user, n, ordered = _whose(json.loads(body))
            before = last.get(user, -1)
            if not ordered:
                continue
            if n <= before:
                repeats += n == before
                violations += n < before
            else:
                violations += n != before + 1
                last[user] = n
        answer = {
            "count": len(self.bodies),
            "repeats": repeats,
            "violations": violations,
            "microseconds": 1e6 * cpu / max(1, len(self.bodies)),
        }
        self.bodies = []
        self.cpu = time.process_time()
        return answer


def _whose(body: dict[str, Any]) -> tuple[str, int, bool]:
    """User, number among that user's, and whether it has an order: of a webhook of ours, or of a peer's post."""
    data = body.get("data", body)
    return data["user_id"], data.get("payload", data)["n"], not data.get("unordered")


class Connection(asyncio.Protocol):
    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self.parser: Any = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []
        self.url = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        if self.url == b"/take":
            text = json.dumps(self.taken.take()).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        else:
            self.taken.bodies.append(b"".join(self.body))
            self.transport.write(_OK)
        self.body = []


async def main() -> None:
    taken = Taken()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(taken), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
