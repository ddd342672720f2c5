"""The queues as operators see them: of each worker that is alive, was lately, or has work; and the unordered one."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from engagements import broker, liveness
from engagements.domain.ring import UNORDERED_QUEUE, queue_of
from engagements.store import read_queues
from engagements.store.connection import current


@dataclass(frozen=True, slots=True)
class Life:
    """Of a worker: its last start under this name, which was the incarnation-th, and its last heartbeat."""

    started_at: datetime
    heartbeat_at: datetime
    incarnation: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class QueueState:
    """users: those pinned to the worker, else given to it by the ring, with pending work or a session.

    broker_depth, consumers: wake-ups waiting at the broker, and who takes them; None when it cannot be asked or does
    not tell, and for a dead worker's queue, which asking could keep from expiring. share: of all users, by the ring.
    """

    name: str
    worker: str | None
    alive: bool
    users: int
    pending: int
    oldest_pending_age_seconds: float | None
    broker_depth: int | None
    consumers: int | None = None
    share: float | None = None
    life: Life | None = None


def queues(*, wait: bool = True) -> list[QueueState]:
    """By worker's name, the unordered queue last. wait: for the broker's answer, up to 1.5 s, instead of showing what
    it said a moment ago."""
    conn = current()
    workers = read_queues.workers(conn)
    loads = read_queues.pinned(conn)
    ring = liveness.ring()
    users: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for user, depth in read_queues.unassigned(conn):
        worker = ring.worker(user)
        if worker is not None:
            users[worker] += 1
            pending[worker] += depth
    for worker, load in loads.items():
        users[worker] += load.users
        pending[worker] += load.pending
    ages, bound = read_queues.oldest(conn)
    alive = {row["name"] for row in workers if row["alive"]}
    recent = {row["name"] for row in workers if row["recent"]}
    lives = {
        row["name"]: Life(row["started_at"], row["heartbeat_at"], row["incarnation"], row["stopped"]) for row in workers
    }
    busy = {worker for worker, load in loads.items() if load.busy}
    names = sorted(alive | ((recent | busy) & lives.keys()))
    unordered_pending, unordered_age = read_queues.unordered(conn)
    told = _told([*map(queue_of, sorted(alive)), UNORDERED_QUEUE], wait=wait)
    shares = ring.shares()
    states = [
        QueueState(
            name=queue_of(worker),
            worker=worker,
            alive=worker in alive,
            users=users[worker],
            pending=pending[worker],
            oldest_pending_age_seconds=_age(ages.get(worker, bound) if pending[worker] else None),
            broker_depth=_messages(told.get(queue_of(worker))),
            consumers=_consumers(told.get(queue_of(worker))),
            share=shares.get(worker),
            life=lives[worker],
        )
        for worker in names
    ]
    states.append(
        QueueState(
            name=UNORDERED_QUEUE,
            worker=None,
            alive=bool(alive),
            users=0,
            pending=unordered_pending,
            oldest_pending_age_seconds=_age(unordered_age),
            broker_depth=_messages(told.get(UNORDERED_QUEUE)),
            consumers=_consumers(told.get(UNORDERED_QUEUE)),
        )
    )
    return states


def _age(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 3)


def _told(names: list[str], *, wait: bool) -> dict[str, broker.Look]:
    if not wait:
        return broker.latest(names)
    try:
        return broker.looks(names)
    except broker.Unavailable:
        return {}


def _messages(look: broker.Look | None) -> int | None:
    return None if look is None else look.messages


def _consumers(look: broker.Look | None) -> int | None:
    return None if look is None else look.consumers
