"""The audit: who did what, when, to how many, and why. PostgreSQL refuses whatever would change or delete it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements.admin import addresses, audit_target, display
from engagements.admin.audit_filters import ActionFilter, ActorFilter, OlderParameter, SinceFilter
from engagements.admin.audit_list import AuditList
from engagements.admin.read_only import ReadOnlyAdmin
from engagements.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    list_display = ["when", "actor_link", "action", "target_text", "count", "reason"]
    list_display_links = None
    list_filter = [ActionFilter, ActorFilter, SinceFilter, OlderParameter]
    search_fields = ["target"]
    search_help_text = "The beginning of a target, or an actor"
    sortable_by = []
    ordering = ["-at", "-id"]
    empty_text = "Nobody has paused, purged, replayed or changed anything yet."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(target__startswith=term) | Q(actor=term)) if term else queryset), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AuditList

    def list_title(self) -> str:
        return "Audit"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        return super().change_view(request, object_id, form_url, {"title": "Audit entry", **(extra_context or {})})

    @admin.display(description="when", ordering="id")
    def when(self, row: AuditEntry) -> SafeString | str:
        return display.moment(row.at)

    @admin.display(description="actor")
    def actor_link(self, row: AuditEntry) -> SafeString:
        """To all that this one did."""
        address = addresses.listing("auditentry", actor=row.actor)
        return format_html('<a class="delivery-user" href="{}">{}</a>', address, display.visible(row.actor))

    @admin.display(description="target")
    def target_text(self, row: AuditEntry) -> SafeString | str:
        return audit_target.linked(row)
