"""What is announced to a worker: its queue at the session's broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty

from deliveryproject.celery import app
from workers.routing import worker_queue


class Announced:
    """The wake-ups in one worker's queue."""

    def __init__(self, worker: str, connection: object) -> None:
        self._queue = connection.SimpleQueue(worker_queue(worker), no_ack=True)  # type: ignore[attr-defined]

    def next(self, *, timeout: float = 20.0) -> list[str]:
        """The users of the next wake-up; waits for it."""
        message = self._queue.get(timeout=timeout)
        users: list[str] = message.payload[1]["users"]
        return users

    def none_waits(self) -> bool:
        """Whether nothing is announced at the moment."""
        try:
            self._queue.get_nowait()
        except Empty:
            return True
        return False

    def close(self) -> None:
        self._queue.close()


@contextmanager
def announced_to(worker: str) -> Iterator[Announced]:
    """Listen in a worker's stead; what was there before is thrown away."""
    with app.connection_for_read() as connection:
        announced = Announced(worker, connection)
        announced._queue.clear()
        try:
            yield announced
        finally:
            announced.close()
