"""The list of engagements: pages that an index answers, at any size of the table.

Each page walks one index by arrival, chosen by the most telling condition: the user searched for, a status other than
delivered, or late. What else is filtered by is looked for among the first RECENT rows of that walk.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from engagements.admin.console_list import ConsoleList
from engagements.admin.filters import chosen_of, of_status
from engagements.domain.draft import uuid_or_none
from engagements.models import Engagement, Pipeline

RECENT = 50_000
"""Rows of the walk that a filter beside it looks at, the newest first: some tens of milliseconds."""

FILTERS = ("status", "time", "channel", "late", "unordered")

_UNREAD = ("payload", "content_digest", "last_error")
"""Columns that the list does not show; a payload may be 64 KiB."""


@dataclass(frozen=True, slots=True)
class Walk:
    """An index to walk. lead: its column before arrival. covers: the filters that it answers. prefix: of user ids."""

    rows: QuerySet[Engagement]
    lead: str = ""
    covers: tuple[str, ...] = ()
    prefix: bool = False

    def order(self, *, oldest_first: bool) -> list[str]:
        """The order of the index; matches of a prefix always come user by user, as they stand there."""
        sign = "" if oldest_first or self.prefix else "-"
        return [f"{sign}{column}" for column in (self.lead, "arrival") if column]


class EngagementList(ConsoleList):
    """Walks an index, bounds what is filtered beside it, and shows those in service as they are now."""

    only_recent = False
    recent = RECENT
    whole = False
    """Whether all that matches is wanted with all of its columns, as for a file, however long that takes."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Engagement]:
        queryset: QuerySet[Engagement] = super().get_queryset(request, exclude_parameters)
        chosen = chosen_of(self.filter_specs)
        walk = choose_walk(self.query.strip(), chosen)
        oldest_first = "arrival" in queryset.query.order_by
        queryset = (queryset & walk.rows).order_by(*walk.order(oldest_first=oldest_first))
        if self.whole:
            return queryset
        queryset = queryset.defer(*_UNREAD)
        if set(chosen) - set(walk.covers):
            bound = _bound(walk)
            self.only_recent = bound is not None
            queryset = queryset if bound is None else queryset.filter(bound)
        return queryset

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Engagement] = list(self.result_list)
        show_in_service(rows)
        self.result_list = rows


def choose_walk(term: str, chosen: dict[str, str]) -> Walk:
    """The walk for a search term and the filters chosen.

    term: an engagement's id; else a user's id; else the beginning of users' ids.
    """
    rows = Engagement.objects.all()
    if term:
        id = uuid_or_none(term)
        if id is not None and rows.filter(id=id).exists():
            return Walk(rows.filter(id=id), covers=FILTERS)
        if rows.filter(user_id=term).exists():
            # A range of one value: for an equality the planner may walk all arrivals instead of this user's.
            return Walk(rows.filter(user_id__gte=term, user_id__lte=term), "user_id")
        return Walk(rows.filter(user_id__startswith=term), "user_id", prefix=True)
    if chosen.get("time") == "overdue":
        return Walk(rows, covers=("status", "time"))  # the filter names at most some thousand by their ids
    status = chosen.get("status", "delivered")
    if status != "delivered":
        return Walk(of_status(rows, status), "status", ("status",))
    if chosen.get("late") == "1":
        return Walk(rows.filter(late=True), covers=("late",))
    return Walk(rows)


def show_in_service(rows: list[Engagement]) -> None:
    """While an engagement is in service, its sequence and running attempt stand in its pipeline; one query."""
    users = {row.user_id for row in rows if row.status == Engagement.Status.PENDING and not row.unordered}
    if not users:
        return
    pipelines = Pipeline.objects.filter(user_id__in=users, in_service__isnull=False)
    served = {pipeline.in_service: pipeline for pipeline in pipelines}
    for row in rows:
        pipeline = served.get(row.id)
        if pipeline is not None:
            row.sequence, row.attempts = pipeline.sequence, pipeline.attempt


def _bound(walk: Walk) -> Q | None:
    """What keeps to the first RECENT rows of the walk; None when there are no more than those."""
    ordered = walk.rows.order_by(*walk.order(oldest_first=False)).values_list("user_id", "arrival")
    last = next(iter(ordered[RECENT : RECENT + 1]), None)
    if last is None:
        return None
    user_id, arrival = last
    if walk.prefix:
        return Q(user_id__lte=user_id) & (Q(user_id__lt=user_id) | Q(arrival__lt=arrival))
    return Q(arrival__gt=arrival)
