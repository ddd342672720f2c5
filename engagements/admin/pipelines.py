"""Pipelines: who waits, behind what, and until when; pausing, resuming, purging and skipping through the services."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import services
from engagements.admin import addresses, display
from engagements.admin.confirmation import confirm
from engagements.admin.operating import across, on_pipelines
from engagements.admin.page import render
from engagements.admin.pipeline_filters import (
    AfterParameter,
    HeadChannelFilter,
    LateFilter,
    SortChoice,
    StateFilter,
    WorkerFilter,
)
from engagements.admin.pipeline_list import PipelineList, state_of
from engagements.admin.pipeline_page import facts_of, head_of
from engagements.admin.purging import Grown, purge_as_shown, purge_confirmation, skip_confirmation
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.draft import uuid_or_none
from engagements.domain.errors import EngagementsError
from engagements.models import Pipeline
from engagements.operations import Action
from engagements.selectors.proof import reaching_back

JUDGED_ALONE = 1_000
"""Engagements that the page of a proof judges: a tenth of a second. The API judges 10,000, verify_order all."""


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin[Pipeline]):
    list_display = ["user", "waiting", "depth_count", "oldest", "worker_name", "session", "head"]
    list_display_links = None
    list_filter = [StateFilter, WorkerFilter, HeadChannelFilter, LateFilter, SortChoice, AfterParameter]
    search_fields = ["user_id"]
    search_help_text = "A user id or its beginning"
    sortable_by = ()
    ordering = ["user_id"]
    actions = ["pause_selected", "resume_selected", "purge_selected"]
    change_list_template = "engagements/admin/pipeline_list.html"
    empty_text = "No user has a pipeline yet: the first engagement makes it."

    class Media:
        css = {"all": ["engagements/pipelines.css"]}

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "operate_pipeline")

    # --- the list ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PipelineList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Pipeline], search_term: str
    ) -> tuple[QuerySet[Pipeline], bool]:
        return queryset, False  # PipelineList looks for it, together with the filters

    @admin.display(description="user")
    def user(self, row: Pipeline) -> SafeString:
        return display.user(row.user_id)

    @admin.display(description="depth")
    def depth_count(self, row: Pipeline) -> str:
        return display.count(row.depth)

    @admin.display(description="oldest")
    def oldest(self, row: Pipeline) -> str:
        found = state_of(row)
        return display.duration(found.oldest_pending_age_seconds if found else None)

    @admin.display(description="waiting for")
    def waiting(self, row: Pipeline) -> SafeString | str:
        found = state_of(row)
        if found is None or not found.depth:
            return display.standing(found) if found else display.EMPTY
        sentence = display.waiting(found)
        if found.paused and not found.everything_paused_at:
            sentence = sentence.removeprefix("paused ")
        return format_html("{} {}", display.standing(found), sentence)

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

    @admin.action(description="Pause", permissions=["operate"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> HttpResponse | None:
        if across(request):
            return on_pipelines(request, self.get_changelist_instance(request), Action.PAUSE)
        self._each(request, queryset.filter(paused_at__isnull=True), services.pause, "paused")
        return None

    @admin.action(description="Resume", permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> HttpResponse | None:
        if across(request):
            return on_pipelines(request, self.get_changelist_instance(request), Action.RESUME)
        self._each(request, queryset.filter(paused_at__isnull=False), services.resume, "resumed")
        return None

    @admin.action(description="Purge…", permissions=["operate"])
    def purge_selected(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> HttpResponse:
        return on_pipelines(request, self.get_changelist_instance(request), Action.PURGE)

    def _each(self, request: HttpRequest, queryset: QuerySet[Pipeline], service: Any, done: str) -> None:
        users = list(queryset.values_list("user_id", flat=True))
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
            "proof": self.proof_view,
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

    def proof_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        user_id = addresses.object_id(object_id)
        try:
            verdict, omitted = reaching_back(user_id, most=JUDGED_ALONE)
        except EngagementsError:
            return self.gone(request, object_id)
        return render(
            request,
            self,
            "proof.html",
            title=f"Order proof of {display.visible(user_id)}",
            user_id=user_id,
            verdict=verdict,
            omitted=omitted,
            holds=not any(check.count for check in verdict.checks),
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
