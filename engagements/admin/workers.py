"""Queues and workers on one page: who is alive, since when, and what waits in each queue."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from engagements.admin import addresses
from engagements.admin.page import render
from engagements.admin.read_only import ReadOnlyAdmin
from engagements.domain.ring import UNORDERED_QUEUE
from engagements.models import Worker
from engagements.selectors.queues import QueueState, queues


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue with the worker behind it; the unordered queue has none of its own."""

    queue: QueueState
    worker: Worker | None
    address: str


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    def list_title(self) -> str:
        return "Queues and workers"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        states = queues()
        workers = Worker.objects.in_bulk([state.worker for state in states if state.worker])
        rows = [QueueRow(state, workers.get(state.worker or ""), _users_address(state)) for state in states]
        return render(
            request,
            self,
            "queues.html",
            title=self.list_title(),
            rows=rows,
            any_alive=any(row.queue.alive for row in rows if row.queue.worker),
            depth_known=any(row.queue.broker_depth is not None for row in rows),
        )

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
