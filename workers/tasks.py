"""Celery's side of delivery: adapters that take ids and make one call. No rule, no retry, no ETA."""

from datetime import timedelta

from celery import shared_task

from engagements import conf, operations, services
from engagements.store import beat, expire, rate, retention, rollups
from engagements.store.connection import current
from workers.bootstep import engine

WORKER_MEMORY = timedelta(days=1)
"""A worker that is silent for less is shown as dead, whatever the retention."""

IMPORT_MEMORY = timedelta(days=1)
"""A file that was handed in is kept for so long, to be confirmed and for its report."""

OPERATION_MEMORY = timedelta(days=1)
"""What an action on many would concern is kept for so long to be confirmed; what became of it, for the retention."""

OPERATE_SECONDS = 1.0
"""How long one message of beat goes on with them: the next one comes then."""

RETENTION_BATCHES = 500
"""Batches of 1,000 per run, one run a minute: above 8,000 settled a second, half a minute of work at the most."""


@shared_task(name="workers.sweep")
def sweep() -> None:
    """Settle what fell due lately, and wake who moves up or waited for it; the engines look further back."""
    beat.tick(current())
    running, after = engine(), None
    while True:
        expired = expire.sweep(current(), after=after, recent=True)
        services.wake_children(expired.ids)
        if running is not None:
            running.submit(expired.users)
        after = expired.after
        if after is None:
            return


@shared_task(name="workers.resume")
def resume() -> None:
    """Go on with resuming everything, where whoever began it has left off."""
    while services.resume_more():
        pass


@shared_task(name="workers.operate")
def operate() -> None:
    """Go on with operators' actions on many, where whoever was at it has left off."""
    operations.go_on(seconds=OPERATE_SECONDS)


@shared_task(name="workers.delete_old")
def delete_old() -> None:
    """Delete history beyond the retention."""
    rollups.delete_old(current(), keep=conf.retention())
    retention.delete_old(current(), keep=conf.retention(), batches=RETENTION_BATCHES)
    retention.delete_workers(current(), keep=max(conf.retention(), WORKER_MEMORY))
    rate.forget_full(current())
    retention.delete_imports(current(), keep=IMPORT_MEMORY)
    retention.delete_operations(current(), keep=max(conf.retention(), OPERATION_MEMORY), unconfirmed=OPERATION_MEMORY)
