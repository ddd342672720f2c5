"""The filters of the lists. Each names its parameter; an unknown value filters nothing."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from engagements.models import AuditEntry, Channel, Engagement, Pipeline, Worker

NAMES_LIMIT = 100
"""Channels or workers offered as a filter; more would bury the others."""

RECENT_AUDIT = 1_000
"""Entries looked at for the actions that there are: a list of a dozen needs no index over the whole record."""


class Choice(admin.SimpleListFilter):
    """A filter whose value must be one of those on offer; what else stands in the address is ignored."""

    template = "engagements/admin/filter.html"
    options: list[tuple[str, str]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return self.options

    def chosen(self) -> str | None:
        value = self.value()
        return value if value in {str(key) for key, _ in self.lookup_choices} else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else self.narrow(queryset, chosen)

    def narrow(self, queryset: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        raise NotImplementedError

    def has_output(self) -> bool:
        return True


class StatusFilter(Choice):
    title = "status"
    parameter_name = "status"
    options = [(value, value) for value in Engagement.Status.values]

    def narrow(self, queryset: QuerySet[Engagement], chosen: str) -> QuerySet[Engagement]:
        return of_status(queryset, chosen)


class _Flag(Choice):
    options = [("1", "yes"), ("0", "no")]

    def narrow(self, queryset: QuerySet[Any], chosen: str) -> QuerySet[Any]:
        assert self.parameter_name
        return queryset.filter(**{self.parameter_name: chosen == "1"})


class LateFilter(_Flag):
    title = "late"
    parameter_name = "late"


class UnorderedFilter(_Flag):
    title = "unordered"
    parameter_name = "unordered"


class _Named(Choice):
    """A choice among the rows of a small table."""

    model: type[Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        names = self.model._default_manager.order_by("pk").values_list("pk", flat=True)[:NAMES_LIMIT]
        return [(name, name) for name in names]


class ChannelFilter(_Named):
    title = "channel"
    parameter_name = "channel"
    model = Channel

    def narrow(self, queryset: QuerySet[Engagement], chosen: str) -> QuerySet[Engagement]:
        return queryset.filter(channel_id=chosen)


class WorkFilter(Choice):
    """Paused, or with pending work and not paused: what the two small indexes of pipelines hold."""

    title = "state"
    parameter_name = "state"
    options = [("work", "at work"), ("paused", "paused")]

    def narrow(self, queryset: QuerySet[Pipeline], chosen: str) -> QuerySet[Pipeline]:
        if chosen == "paused":
            return queryset.filter(paused_at__isnull=False)
        return queryset.filter(due_at__isnull=False, paused_at__isnull=True)


class WorkerFilter(_Named):
    """Pipelines of one worker with work that is not paused: what the index of the poll holds."""

    title = "at work for"
    parameter_name = "worker"
    model = Worker

    def narrow(self, queryset: QuerySet[Pipeline], chosen: str) -> QuerySet[Pipeline]:
        return queryset.filter(worker=chosen, due_at__isnull=False, paused_at__isnull=True)


class AuditActionFilter(Choice):
    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        recent = AuditEntry.objects.order_by("-id").values_list("action", flat=True)[:RECENT_AUDIT]
        return [(action, action) for action in sorted(set(recent))]

    def narrow(self, queryset: QuerySet[AuditEntry], chosen: str) -> QuerySet[AuditEntry]:
        return queryset.filter(action=chosen)


def chosen_of(filters: Iterable[admin.ListFilter]) -> dict[str, str]:
    """What the filters of a list are set to, by parameter; without those that are not set."""
    set_to = {spec.parameter_name: spec.chosen() for spec in filters if isinstance(spec, Choice)}
    return {name: value for name, value in set_to.items() if name is not None and value is not None}


def of_status(rows: QuerySet[Engagement], status: str) -> QuerySet[Engagement]:
    """Those of a status, in the words of the index that holds all but the delivered."""
    if status == "delivered":
        return rows.filter(status=status)
    return rows.exclude(status="delivered").filter(status__gte=status, status__lte=status)
