"""A long answer is sent while it is made, and made no further once nobody takes it."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import StreamingHttpResponse

from deliveryproject.threads import Message, Threads

SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "query_string": b"",
    "headers": [],
    "http_version": "1.1",
    "scheme": "http",
    "server": ("127.0.0.1", 80),
    "client": ("127.0.0.1", 1),
    "root_path": "",
}


class Site:
    """Answers every request with `chunks`, and remembers how far it was asked for them."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.made = 0
        self.closed = threading.Event()
        self.threads: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(self.make())
        start_response("200 OK", list(response.items()))
        response._resource_closers.append(self.closed.set)  # type: ignore[attr-defined]
        return response

    def make(self) -> Iterator[bytes]:
        for _ in range(self.chunks):
            self.made += 1
            self.threads.add(threading.current_thread().name)
            yield b"x" * 100


class Reader:
    """A client behind a server: it takes `takes` messages with content, then it goes away."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.sent: list[Message] = []
        self.made_when_sent: list[int] = []
        self.left = asyncio.Event()
        self.asked = False

    async def receive(self) -> Message:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}


async def serve(site: Site, reader: Reader) -> None:
    async def send(message: Message) -> None:
        self_sent = reader.sent
        self_sent.append(message)
        reader.made_when_sent.append(site.made)
        if len(self_sent) > reader.takes:
            reader.left.set()
            await asyncio.sleep(0)  # as a server does: what it heard meanwhile is known to those who wait for it
            await asyncio.sleep(0)

    await Threads(cast(WSGIHandler, site), 2)(SCOPE, reader.receive, send)


def test_each_part_is_sent_before_the_next_is_made() -> None:
    site, reader = Site(20), Reader(1000)
    asyncio.run(serve(site, reader))
    assert [message.get("body") for message in reader.sent[1:]] == [b"x" * 100] * 20 + [b""]
    assert reader.made_when_sent[1:] == [*range(1, 21), 20]
    assert site.closed.is_set()


@pytest.mark.parametrize("takes", [1, 5])
def test_no_more_is_made_for_a_client_that_has_gone(takes: int) -> None:
    site, reader = Site(10_000), Reader(takes)
    asyncio.run(serve(site, reader))
    assert site.made <= takes + 2
    assert site.closed.is_set()
