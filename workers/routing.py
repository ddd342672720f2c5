"""Which queue a message goes to, and which queues a worker consumes."""

from collections.abc import Mapping
from typing import Any

from kombu import Exchange, Queue

from engagements import wakeups
from engagements.domain.ring import UNORDERED_QUEUE, queue_of
from engagements.liveness import ring

OPERATIONS_QUEUE = "operations"

QUEUE_EXPIRES_MS = 120_000
"""The broker deletes a dedicated queue that nobody has consumed for so long; its worker declares it anew."""


def worker_queue(worker: str) -> Queue:
    """A worker's dedicated queue: classic, and gone by itself when its worker is."""
    return _queue(queue_of(worker), queue_arguments={"x-expires": QUEUE_EXPIRES_MS})


def unordered_queue() -> Queue:
    """Where unordered work is announced, to whichever worker is free."""
    return _queue(UNORDERED_QUEUE)


def operations_queue() -> Queue:
    """Where beat's messages go: any worker may do them."""
    return _queue(OPERATIONS_QUEUE)


def route(
    name: str,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    options: Any = None,
    task: Any = None,
    **_: Any,
) -> dict[str, Any] | None:
    """Celery's router (`task_routes`): a wake-up goes to the queue of its users.

    Their worker is stated where the session's pin is known, else the ring tells. The queue is not declared by the
    publisher: one that is gone must stay gone, and what is sent there is found by the poll.
    """
    if name == wakeups.WAKE_TASK and kwargs:
        worker = kwargs.get("worker") or ring().worker(kwargs["users"][0])
        return {"queue": worker_queue(worker), "declare": []} if worker else None
    if name == wakeups.WAKE_UNORDERED_TASK:
        return {"queue": unordered_queue()}
    return None


def _queue(name: str, **options: Any) -> Queue:
    return Queue(name, exchange=Exchange(name, type="direct"), routing_key=name, **options)
