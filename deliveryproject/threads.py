"""Django's synchronous handler as an ASGI application: one change of threads to it and one back, for each request.

a2wsgi makes the environment; its own hand-over changes threads for every message, which cost more than Django did.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

from a2wsgi.wsgi import Body, build_environ
from django.core.handlers.wsgi import WSGIHandler
from django.http.response import HttpResponseBase

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Answer(NamedTuple):
    """chunks: what remains to be sent of a streaming response, None when `body` is all of it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    chunks: Iterator[bytes] | None
    close: Callable[[], None]


class Threads:
    """Answers up to `threads` requests at a time, each in one of as many threads that stay."""

    def __init__(self, django: WSGIHandler, threads: int) -> None:
        self._django = django
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ValueError for anything but HTTP; servers take that as "lifespan not supported"."""
        if scope["type"] != "http":
            raise ValueError(f"Only HTTP is served here, not {scope['type']}.")
        loop = asyncio.get_running_loop()
        body = await _whole(receive)
        if body is None:
            return
        answer = await loop.run_in_executor(self._pool, self._answer, scope, body)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if answer.chunks is None:
            await send({"type": "http.response.body", "body": answer.body})
            return
        gone = asyncio.ensure_future(_gone(receive))
        try:
            while chunk := await loop.run_in_executor(self._pool, next, answer.chunks, b""):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if gone.done():  # servers take what is sent to nobody: a million rows would be read for nobody
                    return
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await loop.run_in_executor(self._pool, answer.close)

    def _answer(self, scope: Scope, body: bytes) -> _Answer:
        """All of Django's work on a request, in one thread, whose database connection it uses."""
        environ = build_environ(cast(Any, scope), cast(Body, io.BytesIO(body)))
        environ["CONTENT_LENGTH"] = str(len(body))  # also of a body that came in chunks
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return lambda data: None

        response: HttpResponseBase = self._django(cast(dict[str, Any], environ), cast(Any, start_response))
        [(status, headers)] = started
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if response.streaming:
            chunks = (chunk for chunk in iter(response) if chunk)
            return _Answer(int(status[:3]), encoded, b"", chunks, response.close)
        whole = b"".join(iter(response))
        response.close()
        return _Answer(int(status[:3]), encoded, whole, None, response.close)


async def _whole(receive: Receive) -> bytes | None:
    """The request's body; None when the client has gone."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _gone(receive: Receive) -> None:
    """Return when the client has gone; the body has been read by then."""
    while (await receive())["type"] != "http.disconnect":
        pass
