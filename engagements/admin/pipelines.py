"""Pipelines: who waits, behind what, and until when; pausing, resuming, purging and skipping through the services."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from engagements import services
from engagements.admin import addresses, display
from engagements.admin.confirmation import confirm
from engagements.admin.filters import WorkerFilter, WorkFilter
from engagements.admin.page import render
from engagements.admin.pipeline_list import PipelineList, state_of
from engagements.admin.pipeline_page import facts_of, head_of
from engagements.admin.purging import Grown, purge_as_shown, purge_confirmation, skip_confirmation
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.draft import uuid_or_none
from engagements.domain.errors import EngagementsError
from engagements.models import Pipeline

SELECTED_LIMIT = 500
"""Pipelines paused or resumed by one click: each is a transaction of its own, about 2 s in all."""


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin[Pipeline]):
    list_display = ["user", "depth_count", "oldest", "waiting", "worker_name", "session", "head"]
    list_display_links = None
    list_filter = [WorkFilter, WorkerFilter]
    search_fields = ["user_id"]
    search_help_text = "A user id or its beginning"
    sortable_by = ["user", "depth_count"]
    ordering = ["user_id"]
    actions = ["pause_selected", "resume_selected"]
    empty_text = "No user has a pipeline yet: the first engagement makes it."

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "operate_pipeline")

    # --- the list ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PipelineList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Pipeline], search_term: str
    ) -> tuple[QuerySet[Pipeline], bool]:
        term = search_term.strip()
        return (queryset.filter(user_id__startswith=term) if term else queryset), False

    @admin.display(description="user", ordering="user_id")
    def user(self, row: Pipeline) -> SafeString:
        return display.user(row.user_id)

    @admin.display(description="depth", ordering="depth")
    def depth_count(self, row: Pipeline) -> str:
        return display.count(row.depth)

    @admin.display(description="oldest")
    def oldest(self, row: Pipeline) -> str:
        found = state_of(row)
        return display.duration(found.oldest_pending_age_seconds if found else None)

    @admin.display(description="waiting for")
    def waiting(self, row: Pipeline) -> SafeString | str:
        found = state_of(row)
        return display.waiting((found and found.waiting) or "", paused=row.paused_at is not None)

    @admin.display(description="worker")
    def worker_name(self, row: Pipeline) -> str:
        found = state_of(row)
        return (found.worker if found else None) or display.EMPTY

    @admin.display(description="session until")
    def session(self, row: Pipeline) -> SafeString | str:
        found = state_of(row)
        return display.moment_of(found.session_until if found else None)

    @admin.display(description="head")
    def head(self, row: Pipeline) -> SafeString | str:
        found = state_of(row)
        return display.engagement(found.head if found else None, "short")

    @admin.action(description="Pause selected pipelines", permissions=["operate"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> None:
        self._each(request, queryset.filter(paused_at__isnull=True), services.pause, "paused")

    @admin.action(description="Resume selected pipelines", permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> None:
        self._each(request, queryset.filter(paused_at__isnull=False), services.resume, "resumed")

    def _each(self, request: HttpRequest, queryset: QuerySet[Pipeline], service: Any, done: str) -> None:
        users = list(queryset.values_list("user_id", flat=True)[: SELECTED_LIMIT + 1])
        if len(users) > SELECTED_LIMIT:
            text = f"Nothing was {done}: more than {SELECTED_LIMIT} pipelines at once. Filter or select fewer."
            messages.error(request, text)
            return
        for user_id in users:
            service(user_id, actor=request.user.get_username())
        if users:
            messages.success(request, f"{display.number(len(users), 'pipeline')} {done}.")
        else:
            messages.warning(request, f"All of these were {done} already.")

    # --- one pipeline ---

    def get_urls(self) -> list[URLPattern]:
        views = {
            "pause": self.pause_view,
            "resume": self.resume_view,
            "purge": self.purge_view,
            "skip": self.skip_view,
            "end-session": self.end_session_view,
        }
        return [
            *(
                path(
                    f"<path:object_id>/{page}/",
                    self.admin_site.admin_view(view),
                    name=f"engagements_pipeline_{page.replace('-', '_')}",
                )
                for page, view in views.items()
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        pipeline = self.get_object(request, addresses.object_id(object_id))
        if pipeline is None:
            return self.gone(request, object_id)
        return render(
            request,
            self,
            "pipeline.html",
            title=f"Pipeline of {display.visible(pipeline.user_id)}",
            **facts_of(pipeline),
            may_operate=self.has_operate_permission(request),
            may_add=permitted(request, "add_engagement"),
        )

    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._at_once(
            request, object_id, services.pause, "Paused: nothing starts, and the deadlines stand still."
        )

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._at_once(
            request, object_id, services.resume, "Resumed: every deadline has moved by the time it stood still."
        )

    def end_session_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._at_once(
            request, object_id, services.end_session, "The session ends once nothing is pending: the ring chooses anew."
        )

    def purge_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pipeline = self._to_operate(request, object_id)
        if isinstance(pipeline, HttpResponse):
            return pipeline
        here = HttpResponseRedirect(addresses.pipeline(pipeline.user_id))
        if not pipeline.depth:
            messages.warning(request, "Nothing is pending in this pipeline: there is nothing to purge.")
            return here
        reason = confirm(request, self, purge_confirmation(pipeline))
        if isinstance(reason, HttpResponse):
            return reason
        try:
            shown = int(request.POST.get("shown", ""))
        except ValueError:
            shown = 0
        actor = request.user.get_username()
        try:
            purged = purge_as_shown(pipeline.user_id, shown=shown, actor=actor, reason=reason)
        except Grown as grown:
            messages.error(request, f"Nothing was purged: {grown}. Look again before you confirm.")
            return HttpResponseRedirect(addresses.pipeline(pipeline.user_id, "purge"))
        messages.success(request, f"{display.number(purged, 'engagement')} purged.")
        return here

    def skip_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pipeline = self._to_operate(request, object_id)
        if isinstance(pipeline, HttpResponse):
            return pipeline
        here = HttpResponseRedirect(addresses.pipeline(pipeline.user_id))
        head = head_of(pipeline)
        if head is None:
            messages.warning(request, "Nothing is pending in this pipeline: there is no head to skip.")
            return here
        reason = confirm(request, self, skip_confirmation(pipeline, head))
        if isinstance(reason, HttpResponse):
            return reason
        shown = uuid_or_none(request.POST.get("head", "")) or head.id
        try:
            services.skip(pipeline.user_id, shown, actor=request.user.get_username(), reason=reason)
        except EngagementsError as error:
            messages.warning(request, f"Nothing was skipped: {error}.")
        else:
            messages.success(request, f"Skipped {shown}.")
        return here

    def _at_once(self, request: HttpRequest, object_id: str, service: Any, done: str) -> HttpResponse:
        """An action that loses nothing: done by the click."""
        pipeline = self._to_operate(request, object_id)
        if isinstance(pipeline, HttpResponse):
            return pipeline
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            service(pipeline.user_id, actor=request.user.get_username())
        except EngagementsError as error:
            messages.warning(request, f"Nothing was done: {error}.")
        else:
            messages.success(request, done)
        return HttpResponseRedirect(addresses.pipeline(pipeline.user_id))

    def _to_operate(self, request: HttpRequest, object_id: str) -> Pipeline | HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        return self.get_object(request, addresses.object_id(object_id)) or self.gone(request, object_id)
