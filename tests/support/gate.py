"""A TCP proxy in front of a server that a test must not stop: it can be shut, or swallow everything."""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from deliveryproject.local.ports import free_port


class Gate:
    """Hands connections on to host:port, in a thread of its own, until it is shut or told to swallow.

    Its own port stays the same, so that clients come back to it when it opens.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()
        self._open = True
        self._swallowing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.connections = 0
        """Handed on so far."""

    def __enter__(self) -> Self:
        listening: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening)), name="gate", daemon=True)
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

    def shut(self) -> None:
        """As if the server were gone: connections break, and new ones are closed at once."""
        self._set(is_open=False, swallowing=False)

    def swallow(self) -> None:
        """As behind a broken router: connections stay, new ones are taken, and nothing goes through any more."""
        self._set(is_open=True, swallowing=True)

    def open(self) -> None:
        """Let everything through again; what was swallowed is lost with its connections."""
        self._set(is_open=True, swallowing=False)

    def _set(self, *, is_open: bool, swallowing: bool) -> None:
        assert self._loop is not None
        done: Future[None] = Future()

        def change() -> None:
            was_swallowing, self._swallowing = self._swallowing, swallowing
            self._open = is_open
            if not is_open or (was_swallowing and not swallowing):
                for writer in self._writers:
                    writer.transport.abort()
            done.set_result(None)

        self._loop.call_soon_threadsafe(change)
        done.result(10)

    async def _serve(self, listening: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        except OSError as error:
            listening.set_exception(error)
            return
        listening.set_result(None)
        await self._stopping.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()

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
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        finally:
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not self._swallowing:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()
