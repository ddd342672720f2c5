"""Celery's consumer, which a malformed message does not end.

Celery refuses most of what is no message of its own, but takes some headers and bodies on trust. An odd one ends the
whole worker, is given back to the queue, and ends the next one.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

logger = logging.getLogger("workers")

MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What reading an odd message raises. Not OSError: a lost connection has to reach Celery, which reconnects."""

TICK_SECONDS = 1.0
"""How long Celery's loop sleeps at most. Messages that it had read were seen to lie until it woke by itself, which its
heartbeat event saw to (every 2 s; the `solo` pool on RabbitMQ)."""

GOODBYE_SECONDS = 1.0
"""Otherwise it is the time-out of every answer, 30 s each: longer than a supervisor waits."""


def _nothing() -> None:
    pass


class TolerantConsumer(Consumer):  # type: ignore[misc,unused-ignore]
    """Throws a message away that cannot be read; the poll finds the work that a spoilt wake-up stood for.

    It sends no events, whatever the command line says: nobody listens to them here, PostgreSQL knows who is alive, and
    while the broker hangs, sending one is tried for ever, by a worker that is told to stop as well.
    """

    def __init__(self, handler: Any, *, worker_options: dict[str, Any] | None = None, **options: Any) -> None:
        silent = {"without_heartbeat": True, "without_gossip": True, "without_mingle": True}
        super().__init__(handler, worker_options={**(worker_options or {}), **silent}, **options)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called with each connection; what is registered here ends with it."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(TICK_SECONDS, _nothing)

    def stop(self) -> None:
        """The worker ends. RabbitMQ is asked for an answer to each of some five goodbyes, and waited for no longer than
        GOODBYE_SECONDS: what it has not been told it finds out by itself."""
        if self.connection is not None and self.connection.connected:
            sock = getattr(self.connection.connection, "sock", None)
            if sock is not None:
                sock.settimeout(GOODBYE_SECONDS)
        super().stop()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> Any:
            try:
                return handle(message)
            except MALFORMED as error:
                logger.warning("a malformed message was thrown away: %s", type(error).__name__)
                message.reject_log_error(logger, (OSError,))
                return None

        return on_task_received
