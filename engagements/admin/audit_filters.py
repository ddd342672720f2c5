"""The filters of the audit: who, what and since when. Each walks an index, however long the audit has become."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from engagements.admin.filters import Continued, Onward
from engagements.models import AuditEntry

RECENT = 1_000
"""Entries looked at for the words on offer; one that none of them has can stand in the address all the same."""

OLDER = "older"
"""Of the address: the id of an entry behind which the list begins."""

SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


class _Word(Continued):
    """One of the words that the latest entries have in a column, or another one from the address."""

    onward = OLDER

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        column = str(self.parameter_name)
        latest = AuditEntry.objects.order_by("-at", "-id").values_list(column, flat=True)[:RECENT]
        asked = self.value()
        words = {*latest, *([asked] if asked and "\0" not in asked else [])}
        return [(word, word) for word in sorted(words)]

    def narrow(self, queryset: QuerySet[AuditEntry], chosen: str) -> QuerySet[AuditEntry]:
        return queryset.filter(**{str(self.parameter_name): chosen})


class ActionFilter(_Word):
    title = "action"
    parameter_name = "action"


class ActorFilter(_Word):
    title = "actor"
    parameter_name = "actor"


class SinceFilter(Continued):
    title = "in the last"
    parameter_name = "since"
    onward = OLDER
    options = [("hour", "hour"), ("day", "day"), ("week", "7 days"), ("month", "30 days")]

    def narrow(self, queryset: QuerySet[AuditEntry], chosen: str) -> QuerySet[AuditEntry]:
        return queryset.filter(at__gt=Now() - SPANS[chosen])


class OlderParameter(Onward):
    title = OLDER
    parameter_name = OLDER
