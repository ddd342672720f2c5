"""Engagements: found, read, added through the produce service, and replayed."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import services
from engagements.admin import addresses, display, suggestions
from engagements.admin.engagement_form import EngagementForm
from engagements.admin.engagement_list import EngagementList
from engagements.admin.engagement_page import facts_of
from engagements.admin.export_list import export_attempts, whole_list
from engagements.admin.filters import ChannelFilter, LateFilter, StatusFilter, TimeFilter, UnorderedFilter
from engagements.admin.form_page import add_page
from engagements.admin.importing import Importing
from engagements.admin.operating import on_engagements
from engagements.admin.page import render
from engagements.admin.read_only import ReadOnlyAdmin, permitted
from engagements.domain.draft import uuid_or_none
from engagements.domain.errors import Conflict, EngagementsError, IdReused, NotFound
from engagements.models import Engagement


@admin.register(Engagement)
class EngagementAdmin(ReadOnlyAdmin[Engagement]):
    list_display = [
        "short_id",
        "user",
        "state",
        "channel_name",
        "produced",
        "received",
        "settled",
        "sequence_number",
        "attempt_count",
    ]
    list_display_links = None
    list_filter = [StatusFilter, TimeFilter, ChannelFilter, LateFilter, UnorderedFilter]
    search_fields = ["user_id"]
    search_help_text = "A user id or its beginning, or the id of an engagement"
    sortable_by = ["received"]
    ordering = ["-arrival"]
    actions = ["replay_selected"]
    empty_text = "No engagement has come in yet. Add one here, or post it to /api/v1/engagements/."

    class Media:
        css = {"all": ["engagements/pipelines.css"]}

    # --- who may what ---

    def has_add_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "add_engagement")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return permitted(request, "replay_engagement")

    # --- the list ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EngagementList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Engagement], search_term: str
    ) -> tuple[QuerySet[Engagement], bool]:
        return queryset, False  # EngagementList looks for it: the search decides which index is walked

    @admin.display(description="id")
    def short_id(self, row: Engagement) -> SafeString | str:
        return display.engagement(row.id, "short")

    @admin.display(description="user")
    def user(self, row: Engagement) -> SafeString:
        return display.user(row.user_id)

    @admin.display(description="status")
    def state(self, row: Engagement) -> SafeString:
        return format_html("{} {}", display.status(row.status), display.marks(row))

    @admin.display(description="channel")
    def channel_name(self, row: Engagement) -> str:
        return row.channel_id

    @admin.display(description="produced")
    def produced(self, row: Engagement) -> SafeString | str:
        return display.moment_of(row.produced_at)

    @admin.display(description="received", ordering="arrival")
    def received(self, row: Engagement) -> SafeString | str:
        return display.moment_of(row.received_at)

    @admin.display(description="settled")
    def settled(self, row: Engagement) -> SafeString | str:
        return display.moment_of(row.settled_at)

    @admin.display(description="sequence")
    def sequence_number(self, row: Engagement) -> str:
        return display.EMPTY if row.sequence is None else str(row.sequence)

    @admin.display(description="attempts")
    def attempt_count(self, row: Engagement) -> str:
        return str(row.attempts)

    # --- one engagement ---

    def get_urls(self) -> list[URLPattern]:
        replay = self.admin_site.admin_view(self.replay_view)
        return [
            path("<path:object_id>/replay/", replay, name="engagements_engagement_replay"),
            path(
                "<path:object_id>/attempts/",
                self.admin_site.admin_view(self.attempts_view),
                name="engagements_engagement_attempts",
            ),
            *Importing(self).urls(),
            *suggestions.urls(self),
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
        id = uuid_or_none(addresses.object_id(object_id))
        engagement = Engagement.objects.select_related("channel").filter(id=id).first() if id else None
        if engagement is None:
            return self.gone(request, object_id)
        return render(
            request,
            self,
            "engagement.html",
            title=f"Engagement {engagement.id}",
            **facts_of(engagement),
            may_replay=self.has_replay_permission(request),
            may_add=self.has_add_permission(request),
        )

    def attempts_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """All attempts as a CSV file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        id = uuid_or_none(addresses.object_id(object_id))
        engagement = Engagement.objects.only("id").filter(id=id).first() if id else None
        return export_attempts(request, engagement) if engagement else self.gone(request, object_id)

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_replay_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        id = uuid_or_none(addresses.object_id(object_id))
        if id is None:
            return self.gone(request, object_id)
        try:
            services.replay(id, actor=request.user.get_username())
        except NotFound:
            return self.gone(request, object_id)
        except Conflict as error:
            messages.warning(request, f"Not replayed: {error}.")
        else:
            messages.success(request, "Replayed: it is pending again, at the end of its pipeline.")
        return HttpResponseRedirect(addresses.engagement(id))

    # --- replaying many ---

    @admin.action(description="Replay…", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Engagement]) -> HttpResponse:
        return on_engagements(request, whole_list(request, self))

    # --- adding one ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            form = EngagementForm(request.POST)
            if form.is_valid():
                created = self._produce(request, form)
                if created is not None:
                    return self._after_adding(request, created)
        else:
            initial = {key: value for key, value in request.GET.items() if key in EngagementForm.base_fields}
            initial.pop("id", None)
            form = EngagementForm(initial=initial)
        return add_page(request, self, form, add_another=True)

    def _produce(self, request: HttpRequest, form: EngagementForm) -> Engagement | None:
        try:
            result = services.produce(**form.given())
        except IdReused:
            # The hidden id makes a double click one engagement; changed and sent again it is meant as another.
            form.renew_id()
            form.add_error(
                None, "This form has already added an engagement, with other content. Save again to add a second one."
            )
        except EngagementsError as error:
            form.refuse(error)
        else:
            if result.created:
                self.log_addition(request, result.engagement, [{"added": {}}])
            return result.engagement
        return None

    def _after_adding(self, request: HttpRequest, engagement: Engagement) -> HttpResponse:
        link = display.engagement(engagement.id)
        messages.success(
            request, format_html("Engagement {} for {} was added.", link, display.user(engagement.user_id))
        )
        parent = engagement.causal_parent
        if parent is not None and not Engagement.objects.filter(id=parent).exists():
            messages.warning(
                request, f"Its causal parent {parent} is not known yet. It is waited for until this one's deadline."
            )
        if "_addanother" in request.POST:
            return HttpResponseRedirect(addresses.add_engagement())
        return HttpResponseRedirect(addresses.engagement(engagement.id))
