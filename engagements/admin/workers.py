"""Queues and workers on one page: who is alive, since when, and what waits in each queue."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path

from engagements import liveness
from engagements.admin import addresses
from engagements.admin.operating import on_queue
from engagements.admin.operation_words import running
from engagements.admin.page import render
from engagements.admin.pausing import pause_everything, resume_everything
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.admin.ring_drawing import drawing_of
from engagements.domain.draft import text_problem
from engagements.domain.errors import NotFound
from engagements.domain.ring import UNORDERED_QUEUE
from engagements.models import Worker
from engagements.selectors.operations import standing
from engagements.selectors.queues import QueueState, queues
from engagements.store import read_queues
from engagements.store.connection import current


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue, where its users are listed, its deliveries per second, and where purging it begins."""

    queue: QueueState
    address: str
    rate: float
    purge: str


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    def list_title(self) -> str:
        return "Queues and workers"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        states = queues(wait=False)
        paused, operations = standing()
        rates, unordered_rate = read_queues.rates(current())
        stretches = drawing_of(liveness.ring())
        rows = [
            QueueRow(
                state,
                _users_address(state),
                rates.get(state.worker, 0.0) if state.worker else unordered_rate,
                addresses.queue(state.name, "purge"),
            )
            for state in states
        ]
        return render(
            request,
            self,
            "queues.html",
            title=self.list_title(),
            rows=rows,
            any_alive=any(row.queue.alive for row in rows if row.queue.worker),
            depth_known=any(row.queue.broker_depth is not None for row in rows),
            stretches=stretches,
            drawn=any(stretch.path for stretch in stretches),
            paused=paused,
            running=running(request, operations),
            may_operate=permitted(request, "operate_pipeline"),
        )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("pause-everything/", wrap(self.pause_view), name="engagements_worker_pause_everything"),
            path("resume-everything/", wrap(self.resume_view), name="engagements_worker_resume_everything"),
            path("<path:object_id>/purge/", wrap(self.purge_view), name="engagements_worker_purge"),
            *super().get_urls(),
        ]

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        return pause_everything(request, self)

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        return resume_everything(request, self)

    def purge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Shows what purging this queue would do, before anything is done."""
        if not permitted(request, "operate_pipeline"):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name = addresses.object_id(object_id)
        if text_problem(name):
            return self.gone(request, object_id)
        try:
            return on_queue(request, name)
        except NotFound:
            return self.gone(request, object_id)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A worker has no page beside its users'."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        worker = self.get_object(request, addresses.object_id(object_id))
        if worker is None:
            return self.gone(request, object_id)
        return HttpResponseRedirect(addresses.listing("pipeline", worker=worker.name))


def _users_address(state: QueueState) -> str:
    if state.name == UNORDERED_QUEUE:
        return addresses.listing("engagement", status="pending", unordered="1")
    return addresses.listing("pipeline", worker=state.worker or "")
