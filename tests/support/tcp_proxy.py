"""A TCP proxy that harms what goes through: the network between a program and its database, broker or receiver."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from deliveryproject.local.ports import free_port

CHUNK = 65_536


class TcpProxy:
    """Hands connections on to host:port, in a thread of its own, and does harm when told; `open` ends all of it.

    Its own port stays the same, so that clients come back to it. Everything public may be used from any thread.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()
        self.connections = 0
        """Handed on so far."""
        self.cuts = 0
        """Connections cut in the middle of a message, as `cut_at` asked."""
        self._open = True
        self._hanging = False
        self._delay_seconds = 0.0
        self._cut_at = b""
        self._cuts_left = 0
        self._pairs: set[_Pair] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        listening: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="proxy", daemon=True)
        self._thread.start()
        listening.result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    # --- Harm ---

    def open(self) -> None:
        """Let everything through again; what hung is lost with its connections."""

        def change() -> None:
            if self._hanging:
                self._reset_all()
            self._open, self._hanging, self._delay_seconds, self._cuts_left = True, False, 0.0, 0

        self._run(change)

    def shut(self) -> None:
        """As if the server were gone: connections break, and new ones are closed at once."""

        def change() -> None:
            self._open, self._hanging = False, False
            self._reset_all()

        self._run(change)

    def hang(self) -> None:
        """As behind a broken router: connections stay, new ones are taken, and no byte goes through any more."""

        def change() -> None:
            self._open, self._hanging = True, True

        self._run(change)

    def delay(self, seconds: float) -> None:
        """Every piece takes so much longer, in either direction."""

        def change() -> None:
            self._delay_seconds = seconds

        self._run(change)

    def reset(self) -> None:
        """Break the connections there are (RST); new ones are handed on."""
        self._run(self._reset_all)

    def half_close(self) -> None:
        """Tell the clients of all connections that the server has nothing more to say (FIN); they may still speak."""

        def change() -> None:
            for pair in self._pairs:
                with contextlib.suppress(OSError, RuntimeError):
                    pair.near.write_eof()

        self._run(change)

    def cut_at(self, message: bytes, times: int = 1) -> None:
        """The next times that a client sends this, let it arrive, and break the connection before the answer."""

        def change() -> None:
            self._cut_at, self._cuts_left = message, times

        self._run(change)

    # --- Inside the loop ---

    def _run(self, change: Callable[[], None]) -> None:
        assert self._loop is not None
        done: Future[None] = Future()

        def run() -> None:
            try:
                change()
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                done.set_exception(error)
            else:
                done.set_result(None)

        self._loop.call_soon_threadsafe(run)
        done.result(10)

    def _reset_all(self) -> None:
        for pair in self._pairs:
            pair.reset()

    async def _serve(self, listening: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1024)
        except OSError as error:
            listening.set_exception(error)
            return
        listening.set_result(None)
        await self._stopping.wait()
        server.close()
        self._reset_all()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self.connections += 1
        pair = _Pair(writer, far_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._ask(pair, reader), self._answer(pair, far_reader))
        finally:
            self._pairs.discard(pair)
            pair.abort()

    async def _ask(self, pair: "_Pair", reader: asyncio.StreamReader) -> None:
        """From the client to the server."""
        with contextlib.suppress(OSError):
            while data := await self._read(reader):
                if self._cuts_left and self._cut_at in data:
                    self._cuts_left -= 1
                    pair.cut_at_answer = True
                if not self._hanging:
                    pair.far.write(data)
                    await pair.far.drain()
        pair.abort()

    async def _answer(self, pair: "_Pair", reader: asyncio.StreamReader) -> None:
        """From the server to the client."""
        with contextlib.suppress(OSError, RuntimeError):
            while data := await self._read(reader):
                if pair.cut_at_answer:
                    self.cuts += 1
                    pair.reset()
                    return
                if not self._hanging:
                    pair.near.write(data)
                    await pair.near.drain()
        pair.abort()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(CHUNK)
        if data and self._delay_seconds:
            await asyncio.sleep(self._delay_seconds)
        return data


class _Pair:
    """The two ends of one connection."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far
        self.cut_at_answer = False

    def abort(self) -> None:
        self.near.transport.abort()
        self.far.transport.abort()

    def reset(self) -> None:
        """So that the client sees an error and not an end."""
        sock: socket.socket | None = self.near.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()
