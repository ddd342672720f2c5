"""What the page of one engagement shows: a bounded number of rows in a fixed number of queries."""

from typing import Any

from engagements.admin import addresses, display
from engagements.admin.engagement_list import show_in_service
from engagements.models import Attempt, Engagement
from engagements.selectors.pipelines import pipelines

ATTEMPTS = 50
"""Attempts shown, the latest first: one that retries for an hour has some hundreds."""

CHILDREN = 50
"""Causal children shown, in order of arrival."""


def facts_of(engagement: Engagement) -> dict[str, Any]:
    """The context of the template."""
    show_in_service([engagement])
    in_line = engagement.status == Engagement.Status.PENDING and not engagement.unordered
    state = pipelines([engagement.user_id]).get(engagement.user_id) if in_line else None
    attempts = list(Attempt.objects.filter(engagement_id=engagement.id).order_by("-id")[: ATTEMPTS + 1])
    children = list(
        Engagement.objects.filter(causal_parent=engagement.id)
        .only("id", "user_id", "status", "received_at", "settled_at", "arrival")
        .order_by("arrival")[: CHILDREN + 1]
    )
    parent = (
        Engagement.objects.filter(id=engagement.causal_parent).only("id", "user_id", "status").first()
        if engagement.causal_parent
        else None
    )
    return {
        "engagement": engagement,
        "payload": display.payload(engagement.payload),
        "attempts": attempts[:ATTEMPTS],
        "earlier_attempts": len(attempts) > ATTEMPTS,
        "children": children[:CHILDREN],
        "more_children": len(children) > CHILDREN,
        "parent": parent,
        "in_line": in_line,
        "is_head": state is not None and state.head == engagement.id,
        "waiting": (state and state.waiting) or "",
        "took": engagement.settled_at and engagement.settled_at - engagement.received_at,
        "replayable": engagement.status in (Engagement.Status.FAILED, Engagement.Status.EXPIRED),
        "pipeline_address": addresses.pipeline(engagement.user_id),
        "replay_address": addresses.engagement(engagement.id, "replay"),
        "child_address": addresses.add_engagement(
            causal_parent=str(engagement.id), user_id=engagement.user_id, channel=engagement.channel_id
        ),
    }
