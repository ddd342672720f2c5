"""Whether this process runs, whether the whole system is ready, and its numbers: for probes, `up` and Prometheus."""

import psycopg
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from engagements import broker, conf, metrics
from engagements.api.errors import problem_response
from engagements.domain.errors import FieldError
from engagements.store import workers
from engagements.store.connection import current

_migrated = False


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 while this process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 once an engagement that is posted now would be delivered; else a 503 that says what is missing."""
    missing = _missing()
    if missing:
        return problem_response(503, "Not ready: " + "; ".join(f"{e.field}: {e.detail}" for e in missing), missing)
    return JsonResponse({"status": "ready"})


@require_safe
@never_cache
def prometheus(request: HttpRequest) -> HttpResponse:
    try:
        return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE)
    except (Error, psycopg.Error) as error:
        return problem_response(503, f"The database cannot be read: {_first_line(error)}")


def _missing() -> list[FieldError]:
    missing: list[FieldError] = []
    try:
        if not _is_migrated():
            missing.append(FieldError("migrations", "some are not applied; run manage.py migrate"))
        elif (alive := len(workers.alive(current()))) < (wanted := conf.ready_workers()):
            missing.append(FieldError("workers", f"{alive} of {wanted} alive" if alive else "none is alive"))
    except (Error, psycopg.Error) as error:
        missing.append(FieldError("database", _first_line(error)))
    try:
        broker.check()
    except broker.Unavailable as error:
        missing.append(FieldError("broker", str(error)))
    return missing


def _is_migrated() -> bool:
    """Looked up until it is true once: the code of a process does not change, and the look reads many files."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def forget() -> None:
    """Look the migrations up again."""
    global _migrated
    _migrated = False


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
