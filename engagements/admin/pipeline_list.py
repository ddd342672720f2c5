"""The list of pipelines: what a bounded search finds, and for the rows of the page what their heads wait for."""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import InvalidPage, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from engagements.admin.console_list import ConsoleList
from engagements.admin.filters import chosen_of
from engagements.admin.pipeline_filters import AFTER, sort_of
from engagements.models import Pipeline
from engagements.selectors import pipelines as selector
from engagements.selectors.pipelines import Found, Order, PipelineState, Search, Source, State
from engagements.store.find_pipelines import CANDIDATES, SPREAD

LARGEST_ARRIVAL = 2**63 - 1


class PipelineList(ConsoleList):
    """Finds the users by one search, and looks at the heads of those on the page together."""

    search: Search
    found: Found
    note = ""
    further = ""
    nothing = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Pipeline]:
        """All that was found, for actions and exports; the page is cut out by get_results."""
        queryset: QuerySet[Pipeline] = super().get_queryset(request, exclude_parameters)
        self.search = self._search(request)
        self.found = selector.find(self.search)
        return queryset.filter(user_id__in=self.found.users)

    def get_results(self, request: HttpRequest) -> None:
        paginator = _Pages(self.found, self.list_per_page)
        try:
            users = list(paginator.page(self.page_num).object_list)
        except InvalidPage as error:
            raise IncorrectLookupParameters from error
        rows = Pipeline.objects.in_bulk(users)
        states = selector.pipelines(users)
        self.result_list = [rows[user] for user in users if user in rows]
        for row in self.result_list:
            row.state = states.get(row.user_id)
        self.result_count = paginator.count
        self.show_full_result_count = False
        self.full_result_count = None
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = paginator.num_pages > 1
        self.paginator = paginator
        self.note = note_on(self.found)
        if self.found.reached is not None and self.page_num == paginator.num_pages:
            self.further = self.get_query_string({AFTER: self.found.reached})
        if self.found.bounded:
            self.nothing = "Nothing matches among those that were looked at."
        elif request.GET.get("state") == "blocked":
            self.nothing = "Nobody of these is stuck."

    def _search(self, request: HttpRequest) -> Search:
        chosen = chosen_of(self.filter_specs)
        after = request.GET.get(AFTER, "")
        return Search(
            user=self.query.strip(),
            state=State(chosen["state"]) if "state" in chosen else None,
            worker=chosen.get("worker", ""),
            channel=chosen.get("channel", ""),
            late="late" in chosen,
            order=Order(sort_of(chosen)),
            after=min(int(after[:20]), LARGEST_ARRIVAL) if after.isascii() and after.isdecimal() else 0,
        )


class _Pages(Paginator):  # type: ignore[type-arg]
    """Pages through what a search found. more: it stopped at its bound."""

    def __init__(self, found: Found, size: int) -> None:
        super().__init__(found.users, size)
        self.more = found.bounded


def note_on(found: Found) -> str:
    """What a search that stopped at its bound has looked at; empty when it has seen all."""
    if not found.bounded:
        return ""
    match found.source:
        case Source.USERS | Source.PAUSED:
            return f"Looked at the first {CANDIDATES:,} by user id: search for others by the beginning of theirs."
        case Source.DUE:
            return f"Looked at {CANDIDATES:,}: those that are due, or asleep, for longest."
        case Source.LATE:
            return "Looked at the users of the latest late arrivals."
        case Source.PENDING:
            return "Looked at the users of the oldest pending engagements."
        case Source.SPREAD:
            return (
                "No index knows the depth, which changes with every delivery. Looked at the users of the "
                f"{CANDIDATES:,} oldest pending engagements and of {SPREAD:,} spread evenly over the others: "
                "who has one in 500 of all that is pending is among them."
            )


def state_of(row: Pipeline) -> PipelineState | None:
    """What the list found out about this row; None when it went away meanwhile."""
    found: PipelineState | None = row.state  # type: ignore[attr-defined]
    return found
