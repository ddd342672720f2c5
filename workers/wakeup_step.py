"""Wake-ups go from the broker straight to the engine, without becoming tasks.

Celery takes about a millisecond of CPU to run a task, some five times what the engine needs for the delivery it
announces: a request object, a thread of the pool, a trace, an acknowledgement. None of that is of use to a message
that may be lost at any time. They are task messages nevertheless, sent by `send_task` and routed by `task_routes`.
"""

import logging
from typing import Any

from celery import bootsteps
from kombu import Consumer
from kombu.exceptions import KombuError

from engagements import wakeups
from workers.bootstep import engine
from workers.consumer import MALFORMED
from workers.routing import unordered_queue, worker_queue

logger = logging.getLogger("workers")


class WakeUpStep(bootsteps.ConsumerStep):
    """Consumes the worker's own queue and the shared one of unordered work, as long as the broker is there.

    No message is acknowledged: one that a crash swallows is found by the poll, as any other that is lost. What is no
    wake-up is thrown away unread; nothing else is ever sent here.
    """

    requires = ("celery.worker.consumer:Tasks",)

    def get_consumers(self, channel: Any) -> list[Consumer]:
        worker = self.worker
        queues = [worker_queue(worker), unordered_queue()]
        return [Consumer(channel, queues, no_ack=True, accept=["json"], on_message=hand_over)]

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.worker: str = parent.hostname


def hand_over(message: Any) -> None:
    """Tell the engine who has work, as this message says; whoever can publish wrote it."""
    running = engine()
    if running is None:
        return
    try:
        task = message.headers.get("task")
        if task == wakeups.WAKE_TASK:
            _, named, _ = message.decode()
            running.offer(wakeups.users_of(named["users"]))
        elif task == wakeups.WAKE_UNORDERED_TASK:
            running.submit_unordered()
        else:
            logger.warning("what is no wake-up was thrown away")
    except (KombuError, *MALFORMED) as error:
        logger.warning("a malformed wake-up was thrown away: %s", type(error).__name__)
