"""The filters of the lists. Each names its parameter; an unknown value filters nothing."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.http import HttpRequest

from engagements.models import Channel, Engagement
from engagements.store.read_overview import OVERDUE

NAMES_LIMIT = 100
"""Channels or workers offered as a filter; more would bury the others."""


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


class Continued(Choice):
    """A choice in a list that goes on from a place in the address; a new choice begins anew.

    onward: the parameter of that place.
    """

    onward: str

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        value = self.value()
        yield {
            "selected": value is None,
            "query_string": changelist.get_query_string(remove=[str(self.parameter_name), self.onward]),
            "display": "all",
        }
        for lookup, title in self.lookup_choices:
            yield {
                "selected": value == str(lookup),
                "query_string": changelist.get_query_string({str(self.parameter_name): lookup}, [self.onward]),
                "display": title,
            }


class Onward(admin.SimpleListFilter):
    """Takes the place to go on from out of the address, and shows nothing."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return ()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class StatusFilter(Choice):
    title = "status"
    parameter_name = "status"
    options = [(value, value) for value in Engagement.Status.values]

    def narrow(self, queryset: QuerySet[Engagement], chosen: str) -> QuerySet[Engagement]:
        return of_status(queryset, chosen)


class TimeFilter(Choice):
    title = "time"
    parameter_name = "time"
    options = [("hour", "settled in the last hour"), ("overdue", "beyond its deadline")]

    def narrow(self, queryset: QuerySet[Engagement], chosen: str) -> QuerySet[Engagement]:
        if chosen == "hour":
            return queryset.filter(settled_at__gt=Now() - timedelta(hours=1))
        # An array is looked up by id; a sub-select may make the planner walk all arrivals for it.
        ids = RawSQL(f"engagements_engagement.id = ANY(ARRAY({OVERDUE}))", [], output_field=BooleanField())  # noqa: S611
        return queryset.filter(ids)


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


class Named(Choice):
    """A choice among the rows of a small table."""

    model: type[Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        names = self.model._default_manager.order_by("pk").values_list("pk", flat=True)[:NAMES_LIMIT]
        return [(name, name) for name in names]


class ChannelFilter(Named):
    title = "channel"
    parameter_name = "channel"
    model = Channel

    def narrow(self, queryset: QuerySet[Engagement], chosen: str) -> QuerySet[Engagement]:
        return queryset.filter(channel_id=chosen)


def chosen_of(filters: Iterable[admin.ListFilter]) -> dict[str, str]:
    """What the filters of a list are set to, by parameter; without those that are not set."""
    set_to = {spec.parameter_name: spec.chosen() for spec in filters if isinstance(spec, Choice)}
    return {name: value for name, value in set_to.items() if name is not None and value is not None}


def of_status(rows: QuerySet[Engagement], status: str) -> QuerySet[Engagement]:
    """Those of a status, in the words of the index that holds all but the delivered."""
    if status == "delivered":
        return rows.filter(status=status)
    return rows.exclude(status="delivered").filter(status__gte=status, status__lte=status)
