"""The queues as operators see them: of each worker that is alive, was lately, or has work; and the unordered one."""

from collections import Counter
from dataclasses import dataclass

from engagements import broker, liveness
from engagements.domain.ring import UNORDERED_QUEUE, queue_of
from engagements.store import read_queues
from engagements.store.connection import current


@dataclass(frozen=True, slots=True)
class QueueState:
    """users: those pinned to the worker, else given to it by the ring, with pending work or a session.

    broker_depth: wake-ups waiting at the broker; None when it cannot be asked, and for a dead worker's queue, which
    asking could keep from expiring.
    """

    name: str
    worker: str | None
    alive: bool
    users: int
    pending: int
    oldest_pending_age_seconds: float | None
    broker_depth: int | None


def queues() -> list[QueueState]:
    """By worker's name, the unordered queue last."""
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
    known = {row["name"] for row in workers}
    busy = {worker for worker, load in loads.items() if load.busy}
    names = sorted(alive | ((recent | busy) & known))
    unordered_pending, unordered_age = read_queues.unordered(conn)
    depths = _depths([*map(queue_of, sorted(alive)), UNORDERED_QUEUE])
    states = [
        QueueState(
            name=queue_of(worker),
            worker=worker,
            alive=worker in alive,
            users=users[worker],
            pending=pending[worker],
            oldest_pending_age_seconds=_age(ages.get(worker, bound) if pending[worker] else None),
            broker_depth=depths.get(queue_of(worker)),
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
            broker_depth=depths.get(UNORDERED_QUEUE),
        )
    )
    return states


def _age(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 3)


def _depths(names: list[str]) -> dict[str, int]:
    try:
        return broker.depths(names)
    except broker.Unavailable:
        return {}
