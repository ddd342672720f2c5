"""The audit: who did what, when, to how many, and why. Read only, and never deleted from here."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from engagements.admin import display
from engagements.admin.filters import AuditActionFilter
from engagements.admin.read_only import ReadOnlyAdmin
from engagements.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    list_display = ["when", "actor", "action", "target_text", "count", "reason"]
    list_display_links = None
    list_filter = [AuditActionFilter]
    search_fields = ["target"]
    search_help_text = "The beginning of a target, or an actor"
    sortable_by = []
    ordering = ["-id"]
    empty_text = "Nobody has paused, purged, replayed or changed anything yet."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        return (queryset.filter(Q(target__startswith=term) | Q(actor=term)) if term else queryset), False

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

    @admin.display(description="target")
    def target_text(self, row: AuditEntry) -> str:
        return display.visible(row.target)
