"""Actions on many: shown before they are done, their progress while they go on, and what became of them."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import operations
from engagements.admin import addresses, display
from engagements.admin.confirmation import confirm
from engagements.admin.operating import back_of
from engagements.admin.operation_words import DONE, confirmation, counted, percent, title
from engagements.admin.page import render
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.draft import uuid_or_none
from engagements.domain.errors import EngagementsError, NotFound
from engagements.domain.ring import UNORDERED_QUEUE
from engagements.models import Operation
from engagements.operations import Action, Grown


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin[Operation]):
    list_display = ["begun", "what", "progress", "standing", "actor", "reason"]
    list_display_links = None
    sortable_by = ()
    ordering = ["-made_at"]
    empty_text = "Nobody has purged, paused, resumed or replayed many at once yet. Begin with a list: check its rows."

    # --- who may what ---

    def has_view_permission(self, request: HttpRequest, obj: Operation | None = None) -> bool:
        """Whoever may see the audit: it tells the same."""
        return permitted(request, "view_auditentry")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    # --- the list ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        return super().get_queryset(request).defer("keys", "busy", "refusals").filter(started_at__isnull=False)

    @admin.display(description="begun")
    def begun(self, row: Operation) -> SafeString | str:
        return display.moment(row.started_at)

    @admin.display(description="what")
    def what(self, row: Operation) -> SafeString:
        return format_html('<a href="{}">{}</a>', addresses.operation(row.token), title(row))

    @admin.display(description="done")
    def progress(self, row: Operation) -> str:
        return f"{counted(row, row.done)} {DONE[Action(row.action)]}"

    @admin.display(description="state")
    def standing(self, row: Operation) -> SafeString:
        return state_of(row)

    # --- one ---

    def get_urls(self) -> list[URLPattern]:
        stop = self.admin_site.admin_view(self.stop_view)
        return [path("<path:object_id>/stop/", stop, name="engagements_operation_stop"), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What it would do, for who asked for it; once it is confirmed, how far it is."""
        if request.method not in ("GET", "HEAD", "POST") or not self.has_view_permission(request):
            raise PermissionDenied
        operation = _found(object_id)
        if operation is None:
            return self.gone(request, object_id)
        if request.method == "POST" and not may_operate(request, operation):
            raise PermissionDenied
        if operation.started_at is None:
            return self._confirmation(request, object_id, operation)
        if request.method == "POST":  # a second click: it is under way
            return HttpResponseRedirect(request.get_full_path())
        return self._progress(request, operation)

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        operation = _found(object_id)
        if operation is None and self.has_view_permission(request):
            return self.gone(request, object_id)
        if operation is None or not may_operate(request, operation):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            operations.stop(operation.token, actor=request.user.get_username())
        except EngagementsError as error:
            messages.warning(request, f"Nothing was stopped: {error}.")
        else:
            messages.success(request, "Stopped: what is done stays done, and nothing more is.")
        return HttpResponseRedirect(_with_query(request, addresses.operation(operation.token)))

    def _confirmation(self, request: HttpRequest, object_id: str, operation: Operation) -> HttpResponse:
        if operation.actor != request.user.get_username():
            return self.gone(request, object_id)
        if not may_operate(request, operation):
            raise PermissionDenied
        reason = confirm(request, self, confirmation(operation, back_of(request, operation)))
        if isinstance(reason, HttpResponse):
            return reason
        shown = request.POST.get("shown", "")
        number = int(shown) if shown.isascii() and shown.isdecimal() and len(shown) < 19 else 0
        try:
            operations.confirm(operation.token, shown=number, actor=operation.actor, reason=reason)
        except Grown as grown:
            messages.error(
                request, f"Nothing was {DONE[Action(operation.action)]}: {grown}. Look again before you confirm."
            )
        except NotFound as error:
            messages.warning(request, f"Nothing was done: {error}.")
        return HttpResponseRedirect(request.get_full_path())

    def _progress(self, request: HttpRequest, operation: Operation) -> HttpResponse:
        handled = operations.handled(operation)
        total = max(operation.total, handled)
        ended = operation.finished_at is not None
        free = operation.action == Action.REPLAY or operation.queue == UNORDERED_QUEUE
        return render(
            request,
            self,
            "operation.html",
            title=title(operation),
            operation=operation,
            state=state_of(operation),
            done_noun="pipeline" if operation.action in (Action.PAUSE, Action.RESUME) else "engagement",
            done_word=DONE[Action(operation.action)],
            handled=handled,
            total=total,
            percent=percent(operation),
            steps="engagement" if free else "pipeline",
            took=(operation.finished_at - operation.started_at)
            if operation.finished_at and operation.started_at
            else None,
            running=not ended,
            may_stop=not ended and may_operate(request, operation),
            stop_address=_with_query(request, addresses.operation(operation.token, "stop")),
            refusals=[(uuid_or_none(key), why) for key, why in operation.refusals],
            more_refusals=operation.refused - len(operation.refusals),
            back=back_of(request, operation),
            audit=addresses.listing("auditentry", actor=operation.actor),
        )


def may_operate(request: HttpRequest, operation: Operation) -> bool:
    """Whether this one may begin and stop it."""
    return permitted(request, "replay_engagement" if operation.action == Action.REPLAY else "operate_pipeline")


def _found(object_id: str) -> Operation | None:
    token = uuid_or_none(addresses.object_id(object_id))
    try:
        return operations.one(token) if token else None
    except NotFound:
        return None


def _with_query(request: HttpRequest, address: str) -> str:
    """Which list it was begun from stays known."""
    query = request.META.get("QUERY_STRING", "")
    return f"{address}?{query}" if query else address


def state_of(operation: Operation) -> SafeString:
    """One word: under way, done, stopped or failed."""
    if operation.problem:
        return display.flag("ended by an error", kind="failed")
    if operation.stopped_by:
        return display.flag("stopped", kind="paused")
    if operation.finished_at is not None:
        return display.flag("done", kind="delivered")
    return display.flag("under way", kind="pending")
