"""The list of channels: beside each row how it has done lately, read for all of them together."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from engagements.admin import display
from engagements.admin.console_list import ConsoleList
from engagements.admin.filters import Choice
from engagements.models import Channel
from engagements.selectors.channels import SPANS, Health, Healths, healths, span

SPAN = "span"
"""Of the address: the stretch of time that success and speed are told of."""


class SpanChoice(Choice):
    """Narrows nothing: it says of which time the figures are."""

    title = "figures of the last"
    parameter_name = SPAN
    options = [(one.name, one.title) for one in SPANS]

    def narrow(self, queryset: QuerySet[Channel], chosen: str) -> QuerySet[Channel]:
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        shown = span(self.value()).name
        for value, title in self.lookup_choices:
            yield {
                "selected": value == shown,
                "query_string": changelist.get_query_string({SPAN: value}),
                "display": title,
            }


class ChannelList(ConsoleList):
    note = ""
    further = ""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = healths(span(request.GET.get(SPAN)))
        rows: list[Channel] = list(self.result_list)
        for row in rows:
            row.health = found.of(row.name)  # type: ignore[attr-defined]
        self.result_list = rows
        self.note = note_on(found)
        self.has_active_filters = False  # the span is none


def health_of(row: Channel) -> Health:
    found: Health = row.health  # type: ignore[attr-defined]
    return found


def note_on(found: Healths) -> str:
    """What the figures are of."""
    title = found.span.title
    if found.bounded and found.reached is not None:
        text = f"Of the last {title}, the latest {display.count(found.looked_at)} attempts of all channels: "
        text += f"those since {display.exact(found.reached)[11:19]}."
    else:
        text = f"Of all attempts of the last {title}."
    if found.pending_bounded:
        text += " Pending: of the 10,000 that expire first."
    return text
