"""The figures at the head of the admin's index: what waits, who works, what needs a look. Each is bounded."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from engagements.admin import addresses, display
from engagements.admin.read_only import permitted
from engagements.models import Engagement, Pipeline
from engagements.store import read_queues
from engagements.store.connection import current

FIGURE_LIMIT = 10_000
"""Rows that a figure counts; from there on it says "10,000+"."""

OVERDUE_SECONDS = 2.0
"""What is pending so long after its deadline should have been swept: a second, and one more for a busy moment."""


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
    workers = read_queues.workers(current())
    alive = [worker for worker in workers if worker["alive"]]
    overdue = pending.filter(expires_at__lt=Now() - timedelta(seconds=OVERDUE_SECONDS))
    longest_overdue = overdue.order_by("expires_at").values_list("user_id", flat=True).first()
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
        if worker["recent"] and not worker["alive"] and not worker["stopped"]:
            text = f"Worker {worker['name']} has sent no heartbeat for {display.duration(worker['silent_seconds'])}."
            result.notices.append(Notice(text, addresses.listing("worker")))
    if longest_overdue is not None and not paused.filter(user_id=longest_overdue).exists():
        text = "Engagements are pending beyond their deadline: is a worker or beat running?"
        result.notices.append(Notice(text, addresses.pipeline(longest_overdue)))
    return result


def _bounded(rows: QuerySet[Engagement] | QuerySet[Pipeline]) -> str:
    """The order given is that of the index to count by."""
    number = rows[: FIGURE_LIMIT + 1].count()
    return f"{FIGURE_LIMIT:,}+" if number > FIGURE_LIMIT else f"{number:,}"
