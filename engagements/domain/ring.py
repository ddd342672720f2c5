"""The consistent hash from user to worker, over the workers alive now."""

from collections.abc import Sequence

from uhashring import HashRing

QUEUE_PREFIX = "deliver."
UNORDERED_QUEUE = "unordered"


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
