"""The harm that is done: each nemesis is a generator that yields seconds to wait, and undoes its harm at its end."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import psycopg
import redis
from kombu import Connection

from tests.chaos.stage import Stage, now
from tests.support.observer import Span

Steps = Iterator[float]
Nemesis = Callable[[Stage, Random], Steps]

DOWN_SECONDS = 8.0
"""How long a worker that nobody starts again stays dead: longer than the others need to notice."""


# --- Processes ---


def _some_worker(stage: Stage, random: Random) -> str | None:
    name = random.choice(stage.workers())
    return name if stage.pid(name) is not None and stage.spare(name) else None


def worker_killed(stage: Stage, random: Random) -> Steps:
    """SIGKILL; `up` starts its own again at once, another stays dead for a while."""
    name = _some_worker(stage, random)
    if name is None:
        return
    stage.kill(name)
    try:
        yield DOWN_SECONDS
    finally:
        if name in stage.extras:
            stage.start_worker(name)
        stage.spared(name)


def worker_frozen(stage: Stage, random: Random) -> Steps:
    """SIGSTOP, and SIGCONT when the others have gone on without it."""
    name = _some_worker(stage, random)
    if name is None:
        return
    since = stage.freeze(name)
    try:
        yield random.choice([5, 15, 40])
    finally:
        stage.thaw(name, since)
        stage.spared(name)


def workers_restarted(stage: Stage, random: Random) -> Steps:
    """SIGTERM to one after the other, as an upgrade would."""
    for name in stage.workers():
        if stage.pid(name) is None or not stage.spare(name):
            continue
        stage.ask_to_stop(name)
        try:
            yield 6
        finally:
            if name in stage.extras:
                stage.extras[name].stop()
                stage.start_worker(name)
            stage.spared(name)


def all_workers_killed(stage: Stage, random: Random) -> Steps:
    since = now()
    for name in stage.workers():
        stage.kill(name)
    try:
        yield 2
    finally:
        for name in list(stage.extras):
            stage.start_worker(name)
        stage.away(since)


def worker_added(stage: Stage, random: Random) -> Steps:
    """One more for a while; it leaves by SIGTERM."""
    name = f"more{random.randrange(10**6)}@chaos"
    stage.start_worker(name)
    stage.spared(name)
    try:
        yield random.uniform(10, 25)
    finally:
        stage.remove_worker(name)


def worker_with_a_wrong_clock(stage: Stage, random: Random) -> Steps:
    """One more whose wall clock is an hour off."""
    name = f"shifted{random.randrange(10**6)}@chaos"
    stage.start_worker(name, CHAOS_CLOCK_SECONDS=str(random.choice([-3600, 3600])))
    stage.spared(name)
    try:
        yield random.uniform(15, 30)
    finally:
        stage.remove_worker(name)


def web_killed(stage: Stage, random: Random) -> Steps:
    stage.kill("web")
    yield 5


def beat_killed(stage: Stage, random: Random) -> Steps:
    stage.kill("beat")
    yield 1


# --- PostgreSQL ---


def database_restarted(stage: Stage, random: Random) -> Steps:
    """The fast stop, or SIGKILL; and the start right after."""
    since = now()
    if random.random() < 0.5:
        stage.postgres.part.stop()
    else:
        stage.postgres.part.kill()
    try:
        yield random.choice([0, 3])
    finally:
        stage.postgres.start()
        stage.away(since)


def database_connections_terminated(stage: Stage, random: Random) -> Steps:
    """All connections, ended by the server; a few times in a row."""
    for _ in range(random.randint(1, 3)):
        since = now()
        with psycopg.connect(stage.postgres.url(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        stage.away(since, seconds=3)
        yield 1.5


def commits_cut(stage: Stage, random: Random) -> Steps:
    """COMMIT arrives, its answer does not: for workers, web and beat alike, twenty times."""
    since = now()
    stage.database_proxy.cut_at(b"COMMIT", times=20)
    try:
        yield 5
    finally:
        stage.database_proxy.cut_at(b"", times=0)
        stage.away(since, seconds=3)


def database_reset(stage: Stage, random: Random) -> Steps:
    since = now()
    stage.database_proxy.reset()
    stage.away(since, seconds=3)
    yield 1


def database_hung(stage: Stage, random: Random) -> Steps:
    """As behind a broken router."""
    since = now()
    stage.database_proxy.hang()
    try:
        yield random.choice([3, 8])
    finally:
        stage.database_proxy.open()
        stage.away(since)


def database_slow(stage: Stage, random: Random) -> Steps:
    since = now()
    stage.database_proxy.delay(0.05)
    try:
        yield 6
    finally:
        stage.database_proxy.open()
        stage.away(since, seconds=5)


# --- The broker ---


def broker_restarted(stage: Stage, random: Random) -> Steps:
    stage.broker.part.kill()
    try:
        yield random.choice([0, 5])
    finally:
        stage.broker.start()


def broker_away(stage: Stage, random: Random) -> Steps:
    """Longer than any connection is kept up."""
    stage.broker_proxy.shut()
    try:
        yield 60
    finally:
        stage.broker_proxy.open()


def broker_hung(stage: Stage, random: Random) -> Steps:
    stage.broker_proxy.hang()
    try:
        yield random.choice([5, 20])
    finally:
        stage.broker_proxy.open()


def broker_flushed(stage: Stage, random: Random) -> Steps:
    """Every message, queue and binding."""
    if stage.broker.url.startswith("redis"):
        redis.Redis.from_url(stage.broker.url).flushall()
    else:
        with Connection(stage.broker.url) as connection:
            channel: Any = connection.channel()
            for name in stage.workers():
                channel.queue_delete(f"deliver.{name.removeprefix('worker ')}")
            channel.queue_delete("unordered")
    yield 3


def wakeups_dropped(stage: Stage, random: Random) -> Steps:
    yield from _mangled(stage, {"drop": 0.5})


def wakeups_repeated(stage: Stage, random: Random) -> Steps:
    yield from _mangled(stage, {"copies": 10})


def wakeups_shuffled(stage: Stage, random: Random) -> Steps:
    yield from _mangled(stage, {"shuffle": 20, "copies": 2, "drop": 0.1})


def _mangled(stage: Stage, mode: dict[str, float]) -> Steps:
    stage.mangle_wakeups(mode)
    try:
        yield 10
    finally:
        stage.mangle_wakeups({})


# --- The receiver ---


def receiver_fails(stage: Stage, random: Random) -> Steps:
    """500 and 429 by half, for a while."""
    yield from _misbehaves(stage, random, {"500": 0.3, "429": 0.2})


def receiver_refuses(stage: Stage, random: Random) -> Steps:
    yield from _misbehaves(stage, random, {"410": 0.05, "redirect": 0.05})


def receiver_resets(stage: Stage, random: Random) -> Steps:
    """After it has read the request: whether it was heard cannot be known."""
    yield from _misbehaves(stage, random, {"reset": 0.3})


def receiver_hangs(stage: Stage, random: Random) -> Steps:
    """For 40 s, longer than an engagement may wait; and answers that drip."""
    yield from _misbehaves(stage, random, {"hang": 0.01, "drip": 0.01})


def receiver_floods(stage: Stage, random: Random) -> Steps:
    """Answers of 10 MB."""
    yield from _misbehaves(stage, random, {"flood": 0.01})


def _misbehaves(stage: Stage, random: Random, shares: dict[str, float]) -> Steps:
    stage.misbehave(shares, seed=random.randrange(10**6))
    try:
        yield random.uniform(4, 8)
    finally:
        stage.misbehave({})


def receiver_cut_off(stage: Stage, random: Random) -> Steps:
    """Its network: reset, half closed, hanging."""
    proxy = stage.receiver_proxy
    random.choice([proxy.reset, proxy.half_close, proxy.hang])()
    try:
        yield 5
    finally:
        proxy.open()


def receiver_far_away(stage: Stage, random: Random) -> Steps:
    """What the network holds back may arrive when its sender has given it up, as from one that was frozen."""
    since = now()
    stage.receiver_proxy.delay(0.3)
    try:
        yield 5
    finally:
        stage.receiver_proxy.open()
        stage.frozen.append(Span(since, now()))


TRACKS: dict[str, list[Nemesis]] = {
    "processes": [
        worker_killed, worker_killed, worker_frozen, worker_frozen, workers_restarted, all_workers_killed,
        worker_added, worker_with_a_wrong_clock,
    ],
    "web": [web_killed, beat_killed],
    "database": [
        database_restarted, database_connections_terminated, commits_cut, commits_cut, database_reset, database_hung,
        database_slow,
    ],
    "broker": [
        broker_restarted, broker_away, broker_hung, broker_flushed, wakeups_dropped, wakeups_repeated,
        wakeups_shuffled,
    ],
    "receiver": [
        receiver_fails, receiver_refuses, receiver_resets, receiver_hangs, receiver_floods, receiver_cut_off,
        receiver_far_away,
    ],
}  # fmt: skip
"""Those of one track come one after the other, those of different ones together. Named twice: twice as often."""


def named(name: str) -> Nemesis:
    """The nemesis of this name, with hyphens or underscores."""
    for nemeses in TRACKS.values():
        for nemesis in nemeses:
            if nemesis.__name__ == name.replace("-", "_"):
                return nemesis
    known = sorted({nemesis.__name__ for nemeses in TRACKS.values() for nemesis in nemeses})
    raise SystemExit(f"no nemesis {name!r}; there are {', '.join(known)}")
