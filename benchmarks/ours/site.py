"""The system as `up` runs it, on a turn's database: web, delivery workers and beat."""

import itertools
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.ours.backlog import Backlogs
from benchmarks.servers import Servers
from deliveryproject.local.data_dir import DataDir
from deliveryproject.local.ports import free_port
from deliveryproject.local.system import System

READY_SECONDS = 60

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Site:
    """url: of the web process. key: of an operator. database: the turn's own."""

    url: str
    key: str
    database: str


@contextmanager
def site(
    servers: Servers, backlogs: Backlogs, *, workers: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Running and ready; with no worker there is no beat either. settings: of the environment, beside the usual."""
    with servers.database(backlogs.empty()) as database:
        environment = {**servers.environment(database), **(settings or {})}
        data = DataDir(servers.directory / f"site-{next(_numbers)}")
        data.create()
        system = System(data, free_port(), workers, environment["DATABASE_URL"], environment["BROKER_URL"])
        parts = system.programs() if workers else system.programs()[:1]
        try:
            for part in parts:
                part.env = {**part.env, **environment, "READY_WORKERS": str(workers)}
                part.start()
            url = f"http://127.0.0.1:{system.port}"
            _wait(f"{url}/{'readyz' if workers else 'healthz'}")
            yield Site(url, backlogs.key(), database)
        finally:
            for part in parts:
                part.ask_to_stop()
            for part in parts:
                part.stop()


def _wait(address: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 (our own address)
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if time.monotonic() > until:
            raise TimeoutError(f"{address} did not answer 200 within {READY_SECONDS} s")
        time.sleep(0.1)
