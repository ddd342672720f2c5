"""A receiver that is light enough for a million requests, misbehaves on demand and logs every request as it ends.

As a process: `python -m tests.chaos.receiver LOG [PORT]` prints its port. `POST /_mode` takes
`{"shares": {"500": 0.2, …}, "seed": 1}`; `GET /_count` answers how many requests ended, and all of them are in the log
then. One line of it is `[begun, ended, status, data]` in seconds since 1970; no status, where the answer broke off.
"""

import asyncio
import json
import random
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import uvloop

HANG_SECONDS = 40.0
FLOOD = b"x" * 10_000_000
DRIP_SECONDS = 0.05
FLUSH_SECONDS = 0.5

ANSWERS = {
    "ok": (200, b""),
    "500": (500, b""),
    "429": (429, b"Retry-After: 1\r\n"),
    "410": (410, b""),
    "redirect": (302, b"Location: http://127.0.0.1:9/\r\n"),
}

MODES = (*ANSWERS, "reset", "drip", "hang", "flood")


class State:
    """What the receiver was told to do, and its log."""

    def __init__(self, log: TextIO) -> None:
        self.log = log
        self.count = 0
        self.shares: list[tuple[str, float]] = []
        self.random = random.Random(0)

    def mode(self) -> str:
        drawn = self.random.random() if self.shares else 1.0
        for mode, share in self.shares:
            if drawn < share:
                return mode
            drawn -= share
        return "ok"

    def ended(self, begun: float, status: int | None, data: dict[str, Any]) -> None:
        self.count += 1
        self.log.write(json.dumps([begun, time.time(), status, data], separators=(",", ":")) + "\n")


class Connection(asyncio.Protocol):
    """One request at a time, as HTTP clients do."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._buffer = bytearray()
        self._transport: Any = None
        self._current: tuple[float, dict[str, Any]] | None = None
        self._later: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._later is not None:
            self._later.cancel()
        self._end(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end]).lower()
        length = 0
        if (at := head.find(b"content-length:")) >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        body = bytes(self._buffer[head_end + 4 : head_end + 4 + length])
        del self._buffer[: head_end + 4 + length]
        if head.startswith(b"get /_count"):
            self._state.log.flush()
            self._write(200, b"", str(self._state.count).encode())
        elif head.startswith(b"post /_mode"):
            told = json.loads(body)
            self._state.shares = list(told["shares"].items())
            self._state.random = random.Random(told.get("seed", 0))
            self._write(200, b"", b"")
        else:
            self._engagement(json.loads(body)["data"])

    def _engagement(self, data: dict[str, Any]) -> None:
        del data["payload"]
        self._current = (time.time(), data)
        mode = self._state.mode()
        if mode in ANSWERS:
            status, headers = ANSWERS[mode]
            self._end(status)
            self._write(status, headers, b"ok")
        elif mode == "flood":
            self._end(200)
            self._write(200, b"", FLOOD)
        elif mode == "hang":
            self._later = asyncio.get_running_loop().call_later(HANG_SECONDS, self._answer_at_last)
        elif mode == "drip":
            self._drip(b"HTTP/1.1 200 " + b"O" * 4096)
        else:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._end(None)
            self._transport.abort()

    def _answer_at_last(self) -> None:
        self._end(200)
        self._write(200, b"", b"at last")

    def _drip(self, left: bytes) -> None:
        if left and not self._transport.is_closing():
            self._transport.write(left[:1])
            self._later = asyncio.get_running_loop().call_later(DRIP_SECONDS, self._drip, left[1:])

    def _end(self, status: int | None) -> None:
        if self._current is not None:
            begun, data = self._current
            self._current = None
            self._state.ended(begun, status, data)

    def _write(self, status: int, headers: bytes, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), headers, body))


async def serve(log: TextIO, port: int) -> None:
    loop = asyncio.get_running_loop()
    state, stop = State(log), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads its port
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), FLUSH_SECONDS)
        except TimeoutError:
            log.flush()
    log.flush()


def main() -> None:
    with Path(sys.argv[1]).open("a") as log:
        uvloop.run(serve(log, int(sys.argv[2]) if len(sys.argv) > 2 else 0))


if __name__ == "__main__":
    main()
