"""The engine as a worker-level step of Celery: consumer-level steps restart with every broker loss."""

import contextlib
import resource
from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.signals import worker_shutting_down
from django.core.exceptions import ImproperlyConfigured

from workers.garbage import spare_what_is_loaded

if TYPE_CHECKING:
    from workers.engine.engine import Engine

POOLS = ("threads", "solo")
"""Whose tasks run in the worker's own process, where the engine is."""

_engine: "Engine | None" = None


def engine() -> "Engine | None":
    """The engine of this process; None outside a delivery worker."""
    return _engine


class EngineStep(bootsteps.StartStopStep):
    """Starts the engine with the worker and stops it first, so that its users go on elsewhere at once."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        pool = parent.pool_cls.__module__.rpartition(".")[2]
        if {"thread": "threads"}.get(pool, pool) not in POOLS:
            raise ImproperlyConfigured(
                f"The delivery engine lives in the worker's own process: start it with --pool=threads, not {pool}."
            )

    def start(self, parent: Any) -> None:
        # Only here: it needs Django's models, and this module is imported with the Celery application.
        from workers.engine.engine import Engine

        _allow_many_files()
        spare_what_is_loaded()
        global _engine
        _engine = Engine(parent.hostname)
        worker_shutting_down.connect(_ask_to_stop)
        _engine.start()

    def stop(self, parent: Any) -> None:
        if _engine is not None:
            _engine.stop()

    terminate = stop


def _allow_many_files() -> None:
    """Raise the soft limit to the hard one: every attempt that waits for a receiver holds a socket."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS states a hard limit that it does not accept
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _ask_to_stop(**_: Any) -> None:
    if _engine is not None:
        _engine.ask_to_stop()
