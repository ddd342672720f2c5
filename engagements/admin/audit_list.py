"""The list of the audit: the latest first, and behind the last page of a long one a link that goes on."""

from typing import Any

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest

from engagements.admin import display
from engagements.admin.audit_filters import OLDER
from engagements.admin.console_list import ConsoleList
from engagements.models import AuditEntry

LARGEST_ID = 2**63 - 1


class AuditList(ConsoleList):
    """Pages of as many entries as a list counts; `older` in the address begins behind the last of them."""

    note = ""
    further = ""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self._behind = _entry(request.GET.get(OLDER, ""))
        super().__init__(request, *args, **kwargs)
        self.params.pop(OLDER, None)  # a search begins with the latest again

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[AuditEntry]:
        queryset: QuerySet[AuditEntry] = super().get_queryset(request, exclude_parameters)
        if self._behind is None:
            return queryset
        # A comparison of whole rows, which is where an index of these columns is entered.
        behind = RawSQL("(at, id) < (%s, %s)", [self._behind.at, self._behind.pk], output_field=BooleanField())
        return queryset.filter(behind)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self._behind is not None:
            self.note = f"before {display.exact(self._behind.at)}"
        rows = list(self.result_list)
        if rows and getattr(self.paginator, "more", False) and self.page_num == self.paginator.num_pages:
            self.further = self.get_query_string({OLDER: str(rows[-1].pk)})


def _entry(key: str) -> AuditEntry | None:
    """None where the address names none."""
    if not (key.isascii() and key.isdecimal() and len(key) < 20 and int(key) <= LARGEST_ID):
        return None
    return AuditEntry.objects.filter(pk=int(key)).first()
