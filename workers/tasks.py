"""Celery's side of delivery: adapters that take ids and make one call. No rule, no retry, no ETA."""

from collections.abc import Sequence

from celery import shared_task

from engagements import conf, services, wakeups
from engagements.store import expire, retention
from engagements.store.connection import current
from workers.bootstep import engine

RETENTION_BATCHES = 20
"""Batches of 1,000 per run: some seconds of work; what is left waits for the next minute."""


@shared_task(name=wakeups.WAKE_TASK)
def wake(users: Sequence[str], worker: str) -> None:
    """These users, whose worker this is, have work."""
    running = engine()
    if running is not None:
        running.submit(users)


@shared_task(name=wakeups.WAKE_UNORDERED_TASK)
def wake_unordered() -> None:
    """There is unordered work."""
    running = engine()
    if running is not None:
        running.submit_unordered()


@shared_task(name="workers.sweep")
def sweep() -> None:
    """Settle what is overdue, and wake who moves up or waited for it."""
    running, after = engine(), None
    while True:
        expired = expire.sweep(current(), after=after)
        services.wake_children(expired.ids)
        if running is not None:
            running.submit(expired.users)
        after = expired.after
        if after is None:
            return


@shared_task(name="workers.delete_old")
def delete_old() -> None:
    """Delete history beyond the retention."""
    retention.delete_old(current(), keep=conf.retention(), batches=RETENTION_BATCHES)
