"""A real HTTP receiver for tests and measurements: it records what arrives and misbehaves on demand.

In a test, in a thread of its own:

    with Receiver(check_sequence=True) as receiver:
        receiver.script(Answer(503), Answer(200), user="ada")
        ...
        receiver.wait_for(lambda r: len(r.accepted["ada"]) == 3, timeout=10)

As a process: `python -m tests.support.receiver --port 9000`; `GET /_summary` answers its counts as JSON, and
it prints the same when it ends.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Answer:
    """Answer so, after a delay."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class Hang:
    """Take the request and say nothing until `Receiver.release()`; then answer so."""

    then: Answer = Answer()


@dataclass(frozen=True)
class Drip:
    """Send one byte at a time for ever: of a status line that never ends, or of the body after a status."""

    part: str = "head"
    status: int = 200
    every_seconds: float = 0.02


@dataclass(frozen=True)
class Flood:
    """Answer with a body without end, as fast as it is read."""

    status: int = 200


@dataclass(frozen=True)
class Raw:
    """Write these bytes in place of an answer, then close."""

    data: bytes


@dataclass(frozen=True)
class Reset:
    """Read the request, then reset the connection (RST) without an answer."""


Behaviour = Answer | Hang | Drip | Flood | Raw | Reset


def redirect(to: str, status: int = 302) -> Answer:
    return Answer(status, headers={"Location": to})


@dataclass
class Received:
    """One request, as it arrived."""

    arrived: float
    """time.monotonic(), comparable within this process."""
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    data: dict[str, Any]
    """The `data` of the body, {} if it is not an engagement."""
    verified: bool | None
    """Whether a known secret had signed it; None when no secret is known."""
    connection: int
    """Which connection it came by: 1, 2, … in the order they were made."""
    status: int | None = None
    """What was answered; None so far, or when it broke off."""
    cut: bool = False
    """Whether the sender closed the connection before the answer was complete."""
    ended: float | None = None
    """When it was answered or broke off, by the clock of `arrived`."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def user(self) -> str | None:
        return self.data.get("user_id")

    @property
    def sequence(self) -> int | None:
        return self.data.get("sequence")

    @property
    def attempt(self) -> int | None:
        return self.data.get("attempt")


Script = Behaviour | Callable[[Received], Behaviour]


class _Server(web.Server):
    """Tells when a connection is made (1) and lost (-1)."""

    def __init__(self, *arguments: Any, changed: Callable[[web.RequestHandler, int], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._changed = changed

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._changed(handler, 1)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._changed(handler, -1)


class Receiver:
    """An HTTP server in its own thread. Everything public may be used from any thread."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        secrets: tuple[str, ...] = (),
        check_sequence: bool = False,
        default: Script = Answer(),
        keep_requests: bool = True,
        keepalive_seconds: float = 75.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """port: 0 takes a free one. check_sequence: be the reference receiver of promise 5, which answers 2xx
        to, and otherwise ignores, what is not above the last accepted sequence of its user. keep_requests:
        False only counts, for measurements."""
        self.default = default
        self.count = 0
        self.requests: list[Received] = []
        self.accepted: defaultdict[str, list[tuple[int | None, str]]] = defaultdict(list)
        """By user: (sequence, engagement id), in the order of acceptance."""
        self.ignored: list[Received] = []
        """Repeats: answered 2xx and otherwise ignored."""
        self.overlaps: list[Received] = []
        """Ordered requests that came while another of the same user was in progress."""
        self.open_connections = 0
        self._host, self._port, self._tls = host, port, tls
        self._secrets = list(secrets)
        self._check_sequence = check_sequence
        self._keep = keep_requests
        self._keepalive = keepalive_seconds
        self._scripts: dict[tuple[str, str], list[Script]] = {}
        self._seen_unordered: set[str] = set()
        self._in_progress: defaultdict[str, int] = defaultdict(int)
        self._connections: dict[int, int] = {}
        self._connection_count = 0
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._released: asyncio.Event
        self._thread: threading.Thread | None = None

    # --- from the test's thread

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when connections are taken."""
        listening: Future[int] = Future()

        def run() -> None:
            try:
                asyncio.run(self._serve(listening))
            except BaseException as error:
                if listening.done():
                    raise
                listening.set_exception(error)

        self._thread = threading.Thread(target=run, name="receiver", daemon=True)
        self._thread.start()
        self._port = listening.result(30)

    def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)
        self._thread = None

    def url(self, path: str = "/") -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    @property
    def port(self) -> int:
        return self._port

    def trust(self, *secrets: str) -> None:
        """Check signatures against these secrets as well, from now on."""
        self._secrets.extend(secrets)

    def script(self, *behaviours: Script, user: str | None = None, path: str | None = None) -> None:
        """What to do with the next requests of this user or on this path, one by one; the last one stays.

        A user's script goes before a path's, and both before the default.
        """
        if not behaviours or (user is None) == (path is None):
            raise ValueError("give at least one behaviour, and either a user or a path")
        key = ("user", user) if user is not None else ("path", str(path))
        with self._changed:
            self._scripts[key] = list(behaviours)

    def release(self) -> None:
        """Let everything that hangs be answered; what comes afterwards hangs again."""
        assert self._loop is not None

        def release() -> None:
            self._released.set()
            self._released = asyncio.Event()

        self._loop.call_soon_threadsafe(release)

    def wait_for(self, predicate: Callable[[Self], object], timeout: float) -> None:
        """Return when the predicate holds, asked at every change. Raises AssertionError after timeout (s)."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout):
                raise AssertionError(f"not within {timeout} s; {json.dumps(self.summary())}")

    def of_user(self, user: str) -> list[Received]:
        """What arrived of that user so far, in order of arrival."""
        with self._changed:
            return [request for request in self.requests if request.user == user]

    def summary(self) -> dict[str, int]:
        with self._changed:
            return {
                "requests": self.count,
                "accepted": sum(map(len, self.accepted.values())),
                "users": len(self.accepted),
                "ignored": len(self.ignored),
                "overlaps": len(self.overlaps),
                "connections": self._connection_count,
            }

    # --- inside the receiver's loop

    async def _serve(self, started: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._released = asyncio.Event()
        server = _Server(
            self._handle,
            changed=self._connection_changed,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=self._keepalive,
        )
        listening = await self._loop.create_server(
            server, self._host, self._port, backlog=4096, ssl=self._tls, reuse_address=True
        )
        started.set_result(listening.sockets[0].getsockname()[1])
        await self._stopping.wait()
        listening.close()
        await server.shutdown(0.1)

    def _connection_changed(self, handler: web.RequestHandler, change: int) -> None:
        with self._changed:
            self.open_connections += change
            if change > 0:
                self._connection_count += 1
                self._connections[id(handler)] = self._connection_count
            self._changed.notify_all()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET" and request.path == "/_summary":
            return web.json_response(self.summary())
        received = self._receive(request, await request.read())
        try:
            response = await self._behave(self._next(received), received, request)
            with self._changed:
                received.status = response.status
                self._end(received)
            return response
        except (asyncio.CancelledError, ConnectionError):
            with self._changed:
                received.cut = True
                self._end(received)
            raise

    def _receive(self, request: web.BaseRequest, body: bytes) -> Received:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            parsed = json.loads(body)
            data = parsed["data"] if parsed["type"] == "engagement" else {}
        except (ValueError, KeyError, TypeError):
            data = {}
        with self._changed:
            received = Received(
                arrived=time.monotonic(),
                method=request.method,
                path=request.path_qs,
                headers=headers,
                body=body,
                data=data,
                verified=self._verify(body, headers),
                connection=self._connections[id(request.protocol)],
            )
            self.count += 1
            if self._keep:
                self.requests.append(received)
            if received.user is not None and received.sequence is not None:
                if self._in_progress[received.user]:
                    self.overlaps.append(received)
                self._in_progress[received.user] += 1
            self._changed.notify_all()
        return received

    def _end(self, received: Received) -> None:
        received.ended = time.monotonic()
        if received.user is not None and received.sequence is not None:
            self._in_progress[received.user] -= 1
        self._changed.notify_all()

    def _verify(self, body: bytes, headers: dict[str, str]) -> bool | None:
        if not self._secrets:
            return None
        for secret in self._secrets:
            with contextlib.suppress(WebhookVerificationError, ValueError):
                Webhook(secret).verify(body, headers, json_parse=False)
                return True
        return False

    def _next(self, received: Received) -> Behaviour:
        with self._changed:
            path = received.path.partition("?")[0]
            for key in (("user", str(received.user)), ("path", path)):
                script = self._scripts.get(key)
                if script:
                    step = script.pop(0) if len(script) > 1 else script[0]
                    break
            else:
                step = self.default
        return step(received) if callable(step) else step

    async def _behave(self, behaviour: Behaviour, received: Received, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            raise ConnectionError("the sender went away")
        match behaviour:
            case Answer():
                return await self._answer(behaviour, received)
            case Hang(then):
                await self._released.wait()
                return await self._answer(then, received)
            case Drip("head", _, every):
                for byte in b"HTTP/1.1 200 " + b"O" * 4096:
                    transport.write(bytes([byte]))
                    await asyncio.sleep(every)
                raise ConnectionError("dripped enough")
            case Drip(_, status, every):
                dripping = web.StreamResponse(status=status)
                self._accept(status, received)
                await dripping.prepare(request)
                while True:
                    await dripping.write(b".")
                    await asyncio.sleep(every)
            case Flood(status):
                flooding = web.StreamResponse(status=status)
                self._accept(status, received)
                await flooding.prepare(request)
                while True:
                    await flooding.write(b"x" * 65536)
            case Raw(data):
                transport.write(data)
                transport.close()
                raise ConnectionError("closed on purpose")
            case Reset():
                sock: socket.socket = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
                raise ConnectionError("reset on purpose")

    async def _answer(self, answer: Answer, received: Received) -> web.StreamResponse:
        if answer.delay_seconds:
            await asyncio.sleep(answer.delay_seconds)
        self._accept(answer.status, received)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _accept(self, status: int, received: Received) -> None:
        """Book what is answered 2xx; with check_sequence, repeats are ignored."""
        user, id_, sequence = received.user, str(received.data.get("id")), received.sequence
        if user is None or not 200 <= status < 300:
            return
        with self._changed:
            if self._check_sequence:
                if sequence is None:
                    repeated = id_ in self._seen_unordered
                    self._seen_unordered.add(id_)
                else:
                    last = next((s for s, _ in reversed(self.accepted[user]) if s is not None), None)
                    repeated = last is not None and sequence <= last
                if repeated:
                    self.ignored.append(received)
                    return
            self.accepted[user].append((sequence, id_))


def main() -> None:
    parser = argparse.ArgumentParser(description="A webhook receiver for tests and measurements.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret", action="append", default=[], help="check signatures; may be repeated")
    parser.add_argument("--check-sequence", action="store_true")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    receiver = Receiver(
        host=arguments.host,
        port=arguments.port,
        secrets=tuple(arguments.secret),
        check_sequence=arguments.check_sequence,
        default=Answer(delay_seconds=arguments.delay_ms / 1000),
        keep_requests=False,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with receiver:
        print(f"listening on {receiver.url()}", flush=True)  # noqa: T201
        while not stop.wait(3600):
            pass
    print(json.dumps(receiver.summary()), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
