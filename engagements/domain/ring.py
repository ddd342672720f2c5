"""The consistent hash from user to worker, over the workers alive now."""

from collections.abc import Sequence
from typing import NamedTuple

from uhashring import HashRing

QUEUE_PREFIX = "deliver."
UNORDERED_QUEUE = "unordered"

HASH_SPACE = 2**128
"""uhashring places queues and users by MD5."""


class Arc(NamedTuple):
    """A stretch of the ring, as fractions of it: the users hashed into it belong to this worker."""

    begin: float
    end: float
    worker: str


def queue_of(worker: str) -> str:
    """The dedicated queue of a worker; the ring's nodes are these queues."""
    return QUEUE_PREFIX + worker


def worker_of(queue: str) -> str | None:
    """The worker whose dedicated queue this is, or None."""
    return queue.removeprefix(QUEUE_PREFIX) if queue.startswith(QUEUE_PREFIX) else None


class Ring:
    """Which worker a user belongs to. The same set of workers gives the same answer in every process.

    A worker that joins takes users only for itself; one that leaves gives away only its own: about 1/N either way.
    """

    def __init__(self, workers: Sequence[str]) -> None:
        self.workers = tuple(sorted(workers))
        self._ring = HashRing([queue_of(worker) for worker in self.workers])

    def worker(self, user_id: str) -> str | None:
        """The user's worker, or None while no worker is alive."""
        queue = self._ring.get_node(user_id)
        return None if queue is None else worker_of(queue)

    def arcs(self) -> list[Arc]:
        """The ring from 0 to 1, without gaps; neighbouring arcs of one worker are one."""
        points = [(point / HASH_SPACE, queue.removeprefix(QUEUE_PREFIX)) for point, queue in self._ring.get_points()]
        if not points:
            return []
        first = points[0][1]  # what lies behind the last point belongs to the first
        arcs: list[Arc] = []
        begin = 0.0
        for end, worker in [*points, (1.0, first)]:
            if arcs and arcs[-1].worker == worker:
                arcs[-1] = Arc(arcs[-1].begin, end, worker)
            else:
                arcs.append(Arc(begin, end, worker))
            begin = end
        return arcs

    def shares(self) -> dict[str, float]:
        """Worker → the part of all users, known or not, that is its own; together 1."""
        shares = dict.fromkeys(self.workers, 0.0)
        for arc in self.arcs():
            shares[arc.worker] += arc.end - arc.begin
        return shares
