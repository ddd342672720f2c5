"""Celery's side of delivery: adapters that take ids and make one call. No rule, no retry, no ETA."""

from collections.abc import Sequence
from datetime import timedelta

from celery import shared_task

from engagements import conf, services, wakeups
from engagements.store import expire, retention
from engagements.store.connection import current
from workers.bootstep import engine

WORKER_MEMORY = timedelta(days=1)
"""A worker that is silent for less is shown as dead, whatever the retention."""

RETENTION_BATCHES = 500
"""Batches of 1,000 per run, one run a minute: above 8,000 settled a second, half a minute of work at the most."""


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
    """Settle what fell due lately, and wake who moves up or waited for it; the engines look further back."""
    running, after = engine(), None
    while True:
        expired = expire.sweep(current(), after=after, recent=True)
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
    retention.delete_workers(current(), keep=max(conf.retention(), WORKER_MEMORY))
