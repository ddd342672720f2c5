"""Everything that the overview shows, in one call."""

import json
from dataclasses import dataclass
from typing import Any

from engagements.models import Operation
from engagements.selectors.activity import Activity, Span, activity
from engagements.selectors.operations import from_rows
from engagements.selectors.pipelines import Found, Order, PipelineState, Search, State, find, pipelines
from engagements.store import read_overview, read_queues
from engagements.store.connection import current
from engagements.store.read_overview import Figures

STUCK_SHOWN = 5
"""Blocked pipelines that the overview explains; the list has the others."""

CANDIDATES = 1_000
"""Pipelines that a search of the overview looks at: fewer than the list does, for every tab asks again and again."""


@dataclass(frozen=True, slots=True)
class Overview:
    """One look at the whole. workers: as store/read_queues.py tells them. stuck: the first of the blocked."""

    activity: Activity
    figures: Figures
    workers: list[dict[str, Any]]
    blocked: Found
    unleased: Found
    operations: list[Operation]
    stuck: list[PipelineState]


def overview(span: Span) -> Overview:
    """Seven statements, at any size of the tables."""
    blocked = find(Search(state=State.BLOCKED, order=Order.AGE, candidates=CANDIDATES))
    first = blocked.users[:STUCK_SHOWN]
    states = pipelines(first)
    figures = read_overview.figures(current())
    return Overview(
        activity=activity(span),
        figures=figures,
        workers=read_queues.workers(current()),
        blocked=blocked,
        operations=from_rows(json.loads(figures.operations)),
        unleased=find(Search(state=State.UNLEASED, candidates=CANDIDATES)),
        stuck=[states[user] for user in first if user in states],
    )
