"""Refuses a too large body before it is taken in: Django would first write all of it to a temporary file."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from engagements.api.errors import PROBLEM_TYPE, TooLarge, problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


DRAINED = 8
"""A body of up to so many times the limit is read to its end and thrown away before the refusal, for many clients see
only a broken connection when they are answered while they still send. What is larger is cut off."""


class BodyLimit:
    """An ASGI application around another; bodies beyond `limit` bytes are answered 413 and never kept."""

    def __init__(self, application: Application, limit: int) -> None:
        self.application = application
        self.limit = limit

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.application(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self.limit * DRAINED:
            await _refuse(send)
            return
        body: list[bytes] = []
        size, more = 0, True
        while more and size <= self.limit * DRAINED:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= self.limit:
                body.append(chunk)
            else:
                body.clear()
            more = message.get("more_body", False)
        if size > self.limit:
            await _refuse(send)
            return
        await self.application(scope, _replay(b"".join(body), receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then whatever the server says next: the client going away."""
    first = True

    async def replayed() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


async def _refuse(send: Send) -> None:
    document = json.dumps(problem(TooLarge.status_code, TooLarge.default_detail)).encode()
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", str(len(document)).encode()),
        (b"connection", b"close"),  # the rest of the body is not read
    ]
    await send({"type": "http.response.start", "status": TooLarge.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": document})
