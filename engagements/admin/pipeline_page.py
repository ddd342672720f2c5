"""What the page of a pipeline shows: a bounded number of rows in a fixed number of statements."""

from typing import Any

from engagements.admin import addresses, display
from engagements.models import Engagement, Pipeline
from engagements.selectors import proof
from engagements.selectors.line import FOLLOWERS_COUNTED, InLine, history, line
from engagements.selectors.pipelines import with_chain

LINE = 100
"""Engagements in line that the page shows; who looks further uses the list of engagements."""

HISTORY = 50
"""Settled engagements that the page shows."""

HISTORY_REACH = 500
"""Arrivals of the user looked through for settled ones that never were in service, and so have no sequence."""

PREVIEW = 120
"""Characters of a payload in a line."""

JUDGED = 200
"""Arrivals of the user whose order the page judges at each refresh; some milliseconds."""


def head_of(pipeline: Pipeline) -> Engagement | None:
    """The engagement that is next: the one in service, else the first in line."""
    return next((row.engagement for row in line(pipeline.user_id, limit=1)), None)


def facts_of(pipeline: Pipeline) -> dict[str, Any]:
    """The context of the template. Six statements."""
    user_id = pipeline.user_id
    state, *chain = with_chain(user_id)
    rows = line(user_id, limit=LINE)
    return {
        "pipeline": pipeline,
        "state": state,
        "chain": chain,
        "line": [(row, preview_of(row), followers_of(row)) for row in rows],
        "behind": max(0, pipeline.depth - len(rows)),
        "history": history(user_id, limit=HISTORY, reach=HISTORY_REACH),
        "proof": proof.lately(user_id, most=JUDGED),
        "history_address": addresses.listing("engagement", q=user_id),
        "line_address": addresses.listing("engagement", q=user_id, status="pending"),
        "add_address": addresses.add_engagement(user_id=user_id),
        "addresses": {
            page: addresses.pipeline(user_id, page)
            for page in ("pause", "resume", "purge", "skip", "end_session", "proof")
        },
    }


def preview_of(row: InLine) -> str:
    """The beginning of the payload of a row in line."""
    return f"{row.bytes // 1024} KiB" if row.payload is None else display.preview(row.payload, PREVIEW)


def followers_of(row: InLine) -> str:
    """How many wait for a row in line."""
    if not row.followers:
        return ""
    if row.followers > FOLLOWERS_COUNTED:
        return f"more than {FOLLOWERS_COUNTED} wait for it"
    return f"{row.followers} {'waits' if row.followers == 1 else 'wait'} for it"
