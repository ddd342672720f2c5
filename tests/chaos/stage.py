"""Where chaos happens: `up` with more workers beside it, on servers of its own, with a proxy before each of them."""

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deliveryproject.local.part import Part
from deliveryproject.local.ports import free_port
from deliveryproject.local.postgres import Postgres
from deliveryproject.local.state import State
from deliveryproject.local.valkey import Valkey
from tests.chaos.rabbit import Rabbit
from tests.support.client import Api
from tests.support.databases import CHECKOUT
from tests.support.observer import Span
from tests.support.observer.history import SECOND
from tests.support.tcp_proxy import TcpProxy
from tests.support.up import Up, until

DIRECT, PROXIED = "direct", "proxied"
"""The two channels: one straight to the receiver, one through a proxy."""

INSIDE = CHECKOUT / "tests" / "chaos" / "inside"

STEADY_SECONDS = 12.0
"""A worker that was harmed counts as there again after so long."""

RECOVERY_SECONDS = 10.0
"""What PostgreSQL's users are given after it is ready again."""


def now() -> int:
    return round(time.time() * SECOND)


class Stage:
    """Everything that runs. All processes are started from the thread that uses this, and end with it."""

    def __init__(
        self, directory: Path, *, broker: str, say: Callable[[str], None], timeout_seconds: float = 30.0
    ) -> None:
        """broker: valkey or rabbitmq, a server of the run's own. timeout_seconds: of what states none."""
        self.timeout_seconds = timeout_seconds
        self.directory = directory
        self.say = say
        self.frozen: list[Span] = []
        self.outages: list[Span] = []
        self.extras: dict[str, Part] = {}
        self._harmed: dict[str, float] = {}
        self._broker_name = broker
        self.wakeups = directory / "wakeups.json"
        self.log = directory / "requests.jsonl"

    def __enter__(self) -> Self:
        self.postgres = Postgres(
            self.directory / "cluster", port=free_port(), password="chaos", log=self.directory / "postgres.log"
        )
        self.broker: Valkey | Rabbit = (
            Rabbit(self.directory / "rabbit", port=free_port(), distribution_port=free_port())
            if self._broker_name == "rabbitmq"
            else Valkey(
                self.directory / "valkey", port=free_port(), password="chaos", log=self.directory / "broker.log"
            )
        )
        self.postgres.start()
        self.broker.start()
        self.start_receiver()
        self.database_proxy = TcpProxy("127.0.0.1", self.postgres.port).__enter__()
        self.broker_proxy = TcpProxy("127.0.0.1", self.broker.port).__enter__()
        self.receiver_proxy = TcpProxy("127.0.0.1", self.receiver_port).__enter__()
        self.up = Up(
            self.directory / "data",
            {
                "DATABASE_URL": self.postgres.url().replace(f":{self.postgres.port}/", f":{self.database_proxy.port}/"),
                "BROKER_URL": self.broker.url.replace(f":{self.broker.port}/", f":{self.broker_proxy.port}/"),
                "WORKERS": "2",
                "WEBHOOK_ALLOW_PRIVATE": "1",
                "PENDING_TIMEOUT_SECONDS": str(self.timeout_seconds),
                "PYTHONPATH": str(INSIDE),
                "CHAOS_WAKEUPS": str(self.wakeups),
            },
        )
        self.up.wait_until_ready()
        key = self.up.manage("create_api_key", "chaos", "--role", "operator").stdout.strip()
        self.api = Api(f"http://127.0.0.1:{self.up.port}", key)
        self.api.create_channel(DIRECT, "webhook", f"http://127.0.0.1:{self.receiver_port}/")
        self.api.create_channel(PROXIED, "webhook", f"http://127.0.0.1:{self.receiver_proxy.port}/")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        for part in self.extras.values():
            part.ask_to_stop()
        asked = time.monotonic()
        try:
            self.up.stop()
        finally:
            self.stopped_in = time.monotonic() - asked
            for part in [*self.extras.values(), self._receiver, self.broker.part, self.postgres.part]:
                part.stop()
            for proxy in (self.database_proxy, self.broker_proxy, self.receiver_proxy):
                proxy.__exit__(None, None, None)

    def heal(self) -> None:
        """End every harm that is being done; what was killed is running again or about to."""
        for proxy in (self.database_proxy, self.broker_proxy, self.receiver_proxy):
            proxy.open()
        for name in self.workers():
            self._signal(name, signal.SIGCONT)
        self.mangle_wakeups({})
        self.misbehave({})

    # --- The receiver ---

    def start_receiver(self) -> None:
        printed = self.directory / "receiver.log"
        self._receiver = Part(
            name="receiver",
            argv=[sys.executable, "-m", "tests.chaos.receiver", str(self.log)],
            log=printed,
            env=dict(os.environ),
            cwd=CHECKOUT,
        )
        self._receiver.start()
        until(lambda: printed.exists() and printed.read_text().strip(), seconds=30, what="the receiver listens")
        self.receiver_port = int(printed.read_text())

    def misbehave(self, shares: Mapping[str, float], *, seed: int = 0) -> None:
        """Answer these shares of the requests so, and the rest well."""
        self._tell("/_mode", {"shares": dict(shares), "seed": seed})

    def received(self) -> int:
        """How many requests the receiver has seen the end of; its log holds all of them then."""
        return int(self._tell("/_count"))

    def _tell(self, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.receiver_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as answer:
            return bytes(answer.read())

    # --- Processes ---

    def workers(self) -> list[str]:
        """All workers by name, dead or alive."""
        return ["worker w1@up", "worker w2@up", *self.extras]

    def start_worker(self, name: str, **settings: str) -> None:
        """One more, which is started again by nobody. What ran under this name, or was killed just now, ends first."""
        if name in self.extras:
            self.extras[name].kill()
        part = Part(
            name=name,
            argv=[
                *(sys.executable, "-m", "celery", "--app", "deliveryproject", "worker", "--hostname", name),
                *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
            ],
            log=self.directory / f"{name}.log",
            env={**self.up.environment, **settings},
            cwd=CHECKOUT,
        )
        part.start()
        self.extras[name] = part

    def remove_worker(self, name: str) -> float:
        """SIGTERM, and seconds until it has ended."""
        part, asked = self.extras.pop(name), time.monotonic()
        part.stop()
        return time.monotonic() - asked

    def pid(self, name: str) -> int | None:
        """The process of a part of `up`, or of a worker beside it; None while it is down."""
        if name in self.extras:
            process = self.extras[name].process
            return process.pid if process is not None and process.poll() is None else None
        state = State.read(self.up.directory / "up.json")  # gone once `up` has ended
        part = state.parts.get(name) if state else None
        return part.pid if part else None

    def kill(self, name: str) -> None:
        self._signal(name, signal.SIGKILL)

    def ask_to_stop(self, name: str) -> None:
        self._signal(name, signal.SIGTERM)

    def freeze(self, name: str) -> int:
        self._signal(name, signal.SIGSTOP)
        return now()

    def thaw(self, name: str, since: int) -> None:
        self._signal(name, signal.SIGCONT)
        self.frozen.append(Span(since, now()))

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self.pid(name)
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                self.say(f"{name} was not running")

    # --- What must not be harmed at the same time ---

    def spare(self, name: str) -> bool:
        """Whether this worker may be harmed now: another one must be well. If so, it counts as harmed from now on."""
        moment = time.monotonic()
        well = [
            other
            for other in self.workers()
            if other != name and self.pid(other) is not None and self._harmed.get(other, 0) < moment
        ]
        if well:
            self._harmed[name] = float("inf")
        return bool(well)

    def spared(self, name: str) -> None:
        """It is let alone from now on."""
        self._harmed[name] = time.monotonic() + STEADY_SECONDS

    def mangle_wakeups(self, mode: Mapping[str, float]) -> None:
        draft = self.wakeups.with_suffix(".new")
        draft.write_text(json.dumps(dict(mode)))
        draft.rename(self.wakeups)

    def away(self, since: int, *, seconds: float = RECOVERY_SECONDS) -> None:
        """PostgreSQL could not be used since then, and may need so long to be found again."""
        self.outages.append(Span(since, now() + round(seconds * SECOND)))
