"""`python -m tests.chaos.figures`: what faults cost in time, each measured alone under a light, steady load."""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.chaos.judging import history_of, wait_until_settled
from tests.chaos.stage import DIRECT, Stage, now
from tests.support.client import engagement
from tests.support.observer import Produced, Request, observe
from tests.support.observer.deadlines import overshoots
from tests.support.observer.history import SECOND
from tests.support.observer.index import Index
from tests.support.up import until

USERS = 300

EVERY_SECONDS = 0.5
"""Each user gets an engagement so often; so there is always work that a fault holds up."""

WORKERS = ("w3@chaos", "w4@chaos")
"""Beside those of `up`; nobody starts them again but this."""

ROUNDS = 3


class Load(threading.Thread):
    """One bulk call for all users, again and again, with a log of what was acknowledged."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(name="load", daemon=True)
        self.users = [f"u{number}" for number in range(USERS)]
        self.log: list[Produced] = []
        self.over = threading.Event()
        self._stage = stage

    def run(self) -> None:
        call = 0
        while not self.over.is_set():
            call += 1
            batch = [engagement(user, channel=DIRECT) for user in self.users]
            sent = now()
            while True:
                try:
                    self._stage.api.bulk(batch)
                    break
                except Exception:  # noqa: BLE001 - PostgreSQL is away: the same ids again
                    self.over.wait(0.1)
            answered = now()
            self.log += [
                Produced(one["id"], one["user_id"], "acknowledged", sent, answered, call=call, place=place)
                for place, one in enumerate(batch)
            ]
            self.over.wait(EVERY_SECONDS)


class Figures:
    """Measures one fault after the other; `rows` are (what, figure, bound, unit)."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self.stage = stage
        self.say = say
        self.load = Load(stage)
        self.moments: dict[str, list[tuple[int, int, set[str]]]] = {}
        self.exits: list[float] = []

    def measure(self) -> bool:
        """Whether every bound was kept."""
        stage = self.stage
        for name in WORKERS:
            self._join(name)
        self.load.start()
        time.sleep(5)
        quiet = now()
        time.sleep(10)
        calm_until = now()
        for _ in range(ROUNDS):
            for name in WORKERS:
                self._harm("killed", name, lambda name=name: stage.kill(name))  # type: ignore[misc]
                time.sleep(12)
                self._join(name)
                self._harm("asked to stop", name, lambda name=name: self._stop(name))  # type: ignore[misc]
                time.sleep(4)
                self._join(name)
        self.say("broker away for 30 s")
        away = now()
        stage.broker_proxy.shut()
        time.sleep(30)
        stage.broker_proxy.open()
        away_until = now()
        time.sleep(5)
        ready: list[int] = []
        for _ in range(ROUNDS):
            self.say("PostgreSQL restarted")
            since = now()
            stage.postgres.part.stop()
            stage.postgres.start()
            ready.append(now())
            stage.away(since)
            time.sleep(15)
        self.say("expiry: the receiver hangs for everybody")
        since = now()
        stage.misbehave({"hang": 1.0})
        time.sleep(40)
        stage.misbehave({})
        self.load.over.set()
        self.load.join(60)
        wait_until_settled(stage.api, seconds=120)
        history = history_of(stage, self.load.log, [], expiry_bound_seconds=1.0)
        report = observe(history)
        requests = sorted(history.requests, key=lambda request: request.begun_at)
        calm = [one for one in requests if quiet <= one.begun_at < calm_until]
        first = {one.id: one.begun_at for one in reversed(requests)}
        rows = [
            self._row("SIGKILL to the next delivery, p99", self._gaps("killed", requests), 12.0),
            self._row("SIGTERM to the next delivery, p99", self._gaps("asked to stop", requests), 2.0),
            self._row("SIGTERM to the process's end, max", self.exits, 2.0, rank=1.0),
            self._row("latency without faults, p99", self._latencies(first, quiet, calm_until), None),
            self._row("latency with the broker away, p99", self._latencies(first, away, away_until), 3.0),
            self._row("PostgreSQL ready to the next delivery, max", self._after(ready, requests), 10.0, rank=1.0),
            self._row("expiry overshoot, max", overshoots(Index(history)), 1.0, rank=1.0),
            self._row("repeats without faults", [float(len(calm) - len({one.id for one in calm}))], 0.0, rank=1.0),
        ]
        self.say("\n" + report.table())
        for finding in report.findings[:20]:
            self.say(f"{finding.check}: {finding.sentence}")
        return all(rows) and report.holds

    def _join(self, name: str) -> None:
        """Start it, and let it have its share of the users: sessions keep them elsewhere as long as there is work."""
        api = self.stage.api
        self.stage.start_worker(name)
        until(lambda: name in api.workers_alive(), seconds=60, what=f"{name} is alive")
        known = {pipeline["user_id"] for pipeline in api.pipelines()}
        for user in known.intersection(self.load.users):
            api.end_session(user)
        time.sleep(3)

    def _harm(self, kind: str, worker: str, harm: Callable[[], None]) -> None:
        """Do it, and remember whose users were on this worker then."""
        mine = {user for user, where in self.stage.api.pinned(self.load.users).items() if where == worker}
        since = now()
        harm()
        self.moments.setdefault(kind, []).append((since, since + 20 * SECOND, mine))
        self.say(f"{worker} {kind}, {len(mine)} users")

    def _stop(self, name: str) -> None:
        self.exits.append(self.stage.remove_worker(name))

    def _gaps(self, kind: str, requests: list[Request]) -> list[float]:
        """Seconds from the harm to each of those users' next request under another lease."""
        gaps = []
        for since, end, users in self.moments.get(kind, []):
            token: dict[str, int] = {}
            seen: dict[str, int] = {}
            for request in requests:
                if request.user_id in users and request.begun_at < since:
                    token[request.user_id] = max(token.get(request.user_id, 0), request.fencing_token or 0)
                elif (
                    request.user_id in users
                    and request.begun_at < end
                    and (request.fencing_token or 0) > token.get(request.user_id, 0)
                ):
                    seen.setdefault(request.user_id, request.begun_at)
            gaps += [(seen.get(user, end) - since) / SECOND for user in users]
        return gaps

    def _latencies(self, first: dict[str, int], start: int, end: int) -> list[float]:
        """Seconds from the answer to the producer to the first attempt."""
        return [
            (first.get(one.id, one.answered_at + 60 * SECOND) - one.answered_at) / SECOND
            for one in self.load.log
            if start <= one.answered_at < end
        ]

    def _after(self, ready: Iterable[int], requests: list[Request]) -> list[float]:
        found = []
        for moment in ready:
            first: dict[str, int] = {}
            for request in requests:
                if moment <= request.begun_at < moment + 60 * SECOND:
                    first.setdefault(request.user_id, request.begun_at)
            found += [(first.get(user, moment + 60 * SECOND) - moment) / SECOND for user in self.load.users]
        return found

    def _row(self, what: str, values: list[float], bound: float | None, *, rank: float = 0.99) -> bool:
        values = sorted(values)
        figure = values[min(len(values) - 1, int(rank * len(values)))] if values else float("nan")
        kept = bound is None or figure <= bound
        limit = "" if bound is None else f"bound {bound:g}"
        self.say(f"{what:<45} {figure:>8.2f}  {limit:<10} {'' if kept else 'NOT KEPT'}  ({len(values)} measured)")
        return kept


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.figures", description=__doc__)
    parser.add_argument("--broker", choices=["valkey", "rabbitmq"], default="valkey")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="figures-", ignore_cleanup_errors=True) as directory:
        stage = Stage(Path(directory), broker=arguments.broker, say=_say)
        with stage:
            kept = Figures(stage, _say).measure()
    return 0 if kept else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the figures


if __name__ == "__main__":
    sys.exit(main())
