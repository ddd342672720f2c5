"""What the pages of pipelines show: a bounded number of rows in a fixed number of queries."""

from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Left

from engagements.admin import addresses
from engagements.models import Engagement, Pipeline
from engagements.selectors.pipelines import pipelines

LINE = 100
"""Engagements in line that the page of a pipeline shows; who looks further uses the list of engagements."""

HISTORY = 50
"""Settled engagements that the page shows."""

HISTORY_REACH = 500
"""Arrivals of the user looked through for settled ones that never were in service, and so have no sequence."""

PREVIEW = 120
"""Characters of a payload in a line."""


def line_of(pipeline: Pipeline, limit: int = LINE) -> list[Engagement]:
    """The engagements in line, the one in service first, each with the beginning of its payload."""
    rows = _previewed(Engagement.objects.filter(user_id=pipeline.user_id, status="pending", unordered=False))
    line = list(rows.order_by("order_time", "arrival")[:limit])
    if pipeline.in_service is not None:
        served = [row for row in line if row.id == pipeline.in_service]
        served = served or list(rows.filter(id=pipeline.in_service))
        for row in served:
            row.sequence, row.attempts = pipeline.sequence, pipeline.attempt
        line = served + [row for row in line if row.id != pipeline.in_service]
    return line


def history_of(pipeline: Pipeline) -> list[Engagement]:
    """What was settled lately, the latest first: those that were in service by sequence, the others by arrival."""
    rows = Engagement.objects.filter(user_id=pipeline.user_id).defer("payload", "content_digest")
    served = rows.filter(sequence__isnull=False).exclude(status="pending").order_by("-sequence")[:HISTORY]
    recent = rows.order_by("-arrival")[:HISTORY_REACH]
    settled = {row.id: row for row in served}
    settled |= {row.id: row for row in recent if row.settled_at is not None and not row.unordered}
    return sorted(settled.values(), key=lambda row: (row.settled_at, row.sequence or 0), reverse=True)[:HISTORY]


def head_of(pipeline: Pipeline) -> Engagement | None:
    """The engagement that is next: the one in service, else the first in line."""
    return next(iter(line_of(pipeline, 1)), None)


def facts_of(pipeline: Pipeline) -> dict[str, Any]:
    """The context of the template."""
    line = line_of(pipeline)
    parents = parents_of(line)
    user_id = pipeline.user_id
    state = pipelines([user_id]).get(user_id)
    return {
        "pipeline": pipeline,
        "state": state,
        "waiting": (state and state.waiting) or "",
        "line": [(row, parents.get(row.causal_parent)) for row in line],
        "behind": max(0, pipeline.depth - len(line)),
        "history": history_of(pipeline),
        "history_address": addresses.listing("engagement", q=user_id),
        "line_address": addresses.listing("engagement", q=user_id, status="pending"),
        "add_address": addresses.add_engagement(user_id=user_id),
        "addresses": {
            page: addresses.pipeline(user_id, page) for page in ("pause", "resume", "purge", "skip", "end_session")
        },
    }


def parents_of(rows: list[Engagement]) -> dict[Any, Engagement]:
    """The causal parents of these, by id, as far as they are known."""
    ids = {row.causal_parent for row in rows if row.causal_parent}
    return Engagement.objects.only("id", "user_id", "status").in_bulk(list(ids)) if ids else {}


def _previewed(rows: QuerySet[Engagement]) -> QuerySet[Engagement]:
    return rows.defer("payload", "content_digest").annotate(preview=Left(Cast("payload", TextField()), PREVIEW))
