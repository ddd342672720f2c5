"""The filters and the order of the list of pipelines.

They narrow nothing themselves: one bounded search (store/find_pipelines.py) answers all that is chosen together.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet

from engagements.admin.filters import Continued, Named, Onward, chosen_of
from engagements.models import Channel, Pipeline, Worker

AFTER = "after"
"""Of the address: the arrival number from which a search goes on that was cut short."""


class _PipelineChoice(Continued):
    """A choice that is read by the list; a new choice begins its search anew."""

    onward = AFTER

    def narrow(self, queryset: QuerySet[Pipeline], chosen: str) -> QuerySet[Pipeline]:
        return queryset


class StateFilter(_PipelineChoice):
    title = "state"
    parameter_name = "state"
    options = [("blocked", "blocked"), ("unleased", "due, nobody at it"), ("work", "at work"), ("paused", "paused")]


class LateFilter(_PipelineChoice):
    title = "late arrivals"
    parameter_name = "late"
    options = [("1", "with some lately")]


class WorkerFilter(_PipelineChoice, Named):
    title = "at work for"
    parameter_name = "worker"
    model = Worker


class HeadChannelFilter(_PipelineChoice, Named):
    title = "head goes to"
    parameter_name = "channel"
    model = Channel


class SortChoice(_PipelineChoice):
    """Not in the heads of columns: two of the three orders are of a bounded number, and have one direction."""

    title = "sorted"
    parameter_name = "sort"
    options = [("user", "by user"), ("age", "oldest first"), ("depth", "deepest first")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        chosen = sort_of(chosen_of(changelist.filter_specs))
        for choice, (value, _) in zip(list(super().choices(changelist))[1:], self.options, strict=True):
            yield {**choice, "selected": value == chosen}


class AfterParameter(Onward):
    title = AFTER
    parameter_name = AFTER


def sort_of(chosen: Mapping[str, str]) -> str:
    """By what to sort; unless that is chosen, the longest waiting first where one looks for those that wait.

    chosen: what the filters are set to, by parameter.
    """
    waits = chosen.keys() & {"worker", "channel"} or chosen.get("state") in ("blocked", "unleased", "work")
    return chosen.get("sort", "age" if waits else "user")
