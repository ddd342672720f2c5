"""The address below each list that gives it as a CSV file."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase

from engagements.admin import addresses
from engagements.admin.export import csv_response, in_chunks
from engagements.admin.export_rows import ATTEMPTS, EXPORTS
from engagements.models import Attempt, Engagement


def export_list(request: HttpRequest, model_admin: "ModelAdmin[Any]") -> HttpResponseBase:
    """All rows that match the filters and the search in the address, for one who may see the list."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    model = model_admin.model
    export = EXPORTS[model]
    name = str(model._meta.verbose_name_plural).replace(" ", "-")
    if export.all_rows is not None:
        return csv_response(name, export, [export.all_rows()])
    try:
        rows: QuerySet[Any] = whole_list(request, model_admin).queryset
    except IncorrectLookupParameters:
        return HttpResponseRedirect(addresses.listing(str(model._meta.model_name)))
    return csv_response(name, export, in_chunks(rows.order_by(*export.order) if export.order else rows))


def export_attempts(request: HttpRequest, engagement: Engagement) -> HttpResponseBase:
    """All attempts of one engagement; its page shows the last of them."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    rows = Attempt.objects.filter(engagement_id=engagement.id).order_by("id")
    return csv_response(f"attempts-{engagement.id}", ATTEMPTS, in_chunks(rows))


def whole_list(request: HttpRequest, model_admin: "ModelAdmin[Any]") -> ChangeList:
    """The list without a bound and without reading a page of it: its queryset is all that matches."""
    base = model_admin.get_changelist(request)
    columns = model_admin.get_list_display(request)
    if model_admin.get_actions(request):
        columns = ["action_checkbox", *columns]  # sorts are given by the column's place

    class Whole(base):  # type: ignore[valid-type,misc]
        whole = True

        def get_results(self, request: HttpRequest) -> None:
            """None: the file is read in chunks."""

    changelist: ChangeList = Whole(
        request,
        model_admin.model,
        columns,
        None,
        model_admin.get_list_filter(request),
        None,
        model_admin.get_search_fields(request),
        model_admin.list_select_related,
        model_admin.list_per_page,
        model_admin.list_max_show_all,
        (),
        model_admin,
        model_admin.get_sortable_by(request),
        model_admin.search_help_text,
    )
    return changelist
