"""The figures at the head of the admin's index: what waits, who works, what needs a look. Each is bounded."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from engagements import conf
from engagements.admin import addresses
from engagements.admin.read_only import permitted
from engagements.models import Engagement, Pipeline, Worker

FIGURE_LIMIT = 10_000
"""Rows that a figure counts; from there on it says "10,000+"."""

OVERDUE_SECONDS = 2.0
"""What is pending so long after its deadline should have been swept: a second, and one more for the clocks."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and where it leads."""

    label: str
    value: str
    address: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that needs an operator."""

    text: str
    address: str


@dataclass(slots=True)
class Overview:
    figures: list[Figure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def overview(request: HttpRequest) -> Overview | None:
    """The figures for one who may see engagements, pipelines and workers; None for others. Five queries."""
    if not all(permitted(request, f"view_{name}") for name in ("engagement", "pipeline", "worker")):
        return None
    pending = Engagement.objects.filter(status=Engagement.Status.PENDING)
    working = Pipeline.objects.filter(due_at__isnull=False, paused_at__isnull=True)
    paused = Pipeline.objects.filter(due_at__isnull=False, paused_at__isnull=False)
    now = timezone.now()
    workers = list(Worker.objects.order_by("name"))
    alive = [worker for worker in workers if is_alive(worker)]
    nearest = pending.order_by("expires_at").values_list("expires_at", "user_id").first()
    result = Overview(
        figures=[
            Figure(
                "engagements pending",
                _bounded(pending.order_by("expires_at")),
                addresses.listing("engagement", status="pending"),
            ),
            Figure(
                "pipelines at work",
                _bounded(working.order_by("worker", "due_at")),
                addresses.listing("pipeline", state="work"),
            ),
            Figure(
                "pipelines paused with work", _bounded(paused.order_by()), addresses.listing("pipeline", state="paused")
            ),
            Figure("workers alive", str(len(alive)), addresses.listing("worker"), f"of {len(workers)} known"),
        ]
    )
    if not alive:
        text = (
            "No worker is alive: nothing is delivered until one starts." if workers else "No worker has ever started."
        )
        result.notices.append(Notice(text, addresses.listing("worker")))
    for worker in workers:
        if worker not in alive and worker.stopped_at is None:
            text = f"Worker {worker.name} has sent no heartbeat for {_whole(now - worker.heartbeat_at)}."
            result.notices.append(Notice(text, addresses.listing("worker")))
    if nearest is not None and nearest[0] < now - timedelta(seconds=OVERDUE_SECONDS):
        paused_user = Pipeline.objects.filter(user_id=nearest[1], paused_at__isnull=False).exists()
        if not paused_user:
            text = "Engagements are pending beyond their deadline: is a worker or beat running?"
            result.notices.append(Notice(text, addresses.pipeline(nearest[1])))
    return result


def is_alive(worker: Worker) -> bool:
    """Not stopped, and a heartbeat in the last seconds."""
    age = timezone.now() - worker.heartbeat_at
    return worker.stopped_at is None and age < timedelta(seconds=conf.WORKER_DEAD_SECONDS)


def _bounded(rows: QuerySet[Engagement] | QuerySet[Pipeline]) -> str:
    """The order given is that of the index to count by."""
    number = rows[: FIGURE_LIMIT + 1].count()
    return f"{FIGURE_LIMIT:,}+" if number > FIGURE_LIMIT else f"{number:,}"


def _whole(length: timedelta) -> str:
    return f"{max(0, round(length.total_seconds()))} s"
