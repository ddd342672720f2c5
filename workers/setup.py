"""Making a Celery application deliver: its routes, queues, beat schedule and the engine's bootstep."""

from typing import Any

from celery import Celery

from workers.bootstep import EngineStep
from workers.routing import OPERATIONS_QUEUE, operations_queue, route
from workers.wakeup_step import WakeUpStep

SWEEP_EXPIRES_SECONDS = 1.0
"""A sweep's message is void when the next one is there: a worker that was away does not do them all."""


BEAT_SCHEDULE = {
    "sweep": {"task": "workers.sweep", "schedule": 1.0, "options": {"expires": SWEEP_EXPIRES_SECONDS}},
    "resume": {"task": "workers.resume", "schedule": 1.0, "options": {"expires": 1.0}},
    "operate": {"task": "workers.operate", "schedule": 1.0, "options": {"expires": 1.0}},
    "delete-old": {"task": "workers.delete_old", "schedule": 60.0, "options": {"expires": 60.0}},
}
"""Two beats do no harm, and none only delays the clean-up: the engines sweep as well."""


def delivery_settings() -> dict[str, Any]:
    """Celery's settings by which wake-ups find their queue and workers their work."""
    return {
        "task_routes": (route,),
        "task_queues": [operations_queue()],
        "task_default_queue": OPERATIONS_QUEUE,
        "worker_pool": "threads",
        "worker_consumer": "workers.consumer:TolerantConsumer",
        "beat_schedule": BEAT_SCHEDULE,
    }


def install(app: Celery) -> None:
    """Let `app` carry wake-ups and its workers deliver: the one call a project needs that has a Celery app already.

    They are defaults: a project with routes, queues or a beat schedule of its own adds these to its own settings.
    """
    app.add_defaults(delivery_settings)
    app.steps["worker"].add(EngineStep)
    app.steps["consumer"].add(WakeUpStep)
