"""Every page of the admin, timed at 100,000 pipelines and 1,000,000 engagements.

    python -m benchmarks.console_pages [--users 100000] [--engagements 1000000] [--runs 5] [--only pipeline]

Opens each address that benchmarks.console_walk finds, as a superuser, through the whole of Django (no network), and
prints the median time of some runs and the statements sent to PostgreSQL. Exits with 1 when a page takes more than
150 ms or 12 statements. With DATABASE_URL, a database that it has filled before is used again.
"""

import argparse
import logging
import sys
import time
from dataclasses import dataclass
from statistics import median

from benchmarks.stage import stage

MILLISECONDS = 150.0
STATEMENTS = 12
TRIES = 3


@dataclass(frozen=True, slots=True)
class Timed:
    """One page. milliseconds: the median; fastest: of the same runs, to tell a busy machine from a slow page."""

    address: str
    milliseconds: float
    fastest: float
    statements: int
    kilobytes: float

    @property
    def bad(self) -> bool:
        return self.milliseconds > MILLISECONDS or self.statements > STATEMENTS


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--users", type=int, default=100_000)
    arguments.add_argument("--engagements", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--only", default="", help="only addresses that hold this text")
    given = arguments.parse_args()
    with stage():
        _fill(given.users, given.engagements)
        return _walk(given.runs, given.only)


def _fill(users: int, engagements: int) -> None:
    from benchmarks.console_data import dress
    from benchmarks.large import load
    from engagements.models import Pipeline
    from engagements.store.connection import dedicated

    if Pipeline.objects.exists():
        return
    print(f"Filling a database: {users:,} pipelines, {engagements:,} engagements …", flush=True)
    with dedicated(application_name="console_pages") as conn:
        load(conn, users=users, engagements=engagements)
        dress(conn)


def _walk(runs: int, only: str) -> int:
    from django.contrib.auth.models import User
    from django.test import Client

    from benchmarks.console_data import keys, searches
    from benchmarks.console_walk import addresses

    user, _ = User.objects.get_or_create(username="bench", defaults={"is_staff": True, "is_superuser": True})
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    logging.getLogger("django.request").setLevel(logging.CRITICAL)  # what takes a POST only says so for each address
    found = keys()
    timed, skipped = [], 0
    for address in dict.fromkeys(addresses(user, found, searches(found))):
        if only not in address:
            continue
        result = _timed(client, address, runs)
        if result is None:
            skipped += 1
            continue
        timed.append(result)
        if sys.stderr.isatty():
            print(f"\r{len(timed)} pages …", end="", file=sys.stderr, flush=True)
    return _report(timed, skipped)


def _timed(client: "Client", address: str, runs: int) -> Timed | None:  # type: ignore[name-defined]  # noqa: F821
    """None for what is no page: it answers to a POST only, leads elsewhere, or streams a whole list."""
    from benchmarks.statements import counted_statements

    with counted_statements() as statements:
        first = client.get(address)
        if first.status_code != 200 or first.streaming:
            first.close()
            return None
    times: list[float] = []
    for _ in range(TRIES):  # what is slow because the machine is busy is timed again
        times = [_milliseconds(client, address) for _ in range(runs)]
        if median(times) <= MILLISECONDS:
            break
    return Timed(address, median(times), min(times), len(statements), len(first.content) / 1024)


def _milliseconds(client: "Client", address: str) -> float:  # type: ignore[name-defined]  # noqa: F821
    started = time.perf_counter()
    client.get(address)
    return (time.perf_counter() - started) * 1000


def _report(timed: list[Timed], skipped: int) -> int:
    print(f"\n{'median':>9} {'fastest':>9} {'queries':>8} {'page':>8}  address")
    for page in sorted(timed, key=lambda page: page.milliseconds, reverse=True):
        mark = "  <-- too much" if page.bad else ""
        print(
            f"{page.milliseconds:6.0f} ms {page.fastest:6.0f} ms {page.statements:8} {page.kilobytes:5.0f} kB"
            f"  {page.address}{mark}"
        )
    bad = [page for page in timed if page.bad]
    print(
        f"\n{len(timed)} pages ({skipped} addresses are none: they take a POST, lead elsewhere, or stream). "
        f"{len(bad)} of them above {MILLISECONDS:.0f} ms or {STATEMENTS} queries."
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
