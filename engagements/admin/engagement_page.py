"""What the page of one engagement shows: a bounded number of rows in a fixed number of queries."""

from typing import Any

from django.utils import timezone

from engagements.admin import addresses, attempt_timeline, causal_graph, display
from engagements.admin.attempt_timeline import Running
from engagements.admin.engagement_list import show_in_service
from engagements.models import Attempt, Engagement
from engagements.selectors.causes import causes_of, children_of
from engagements.selectors.pipelines import PipelineState, pipelines

ATTEMPTS = 50
"""Attempts shown, the latest first: one that retries for an hour has some hundreds."""

CHILDREN = 50
"""Children in the list below the drawing, where that has no room for all."""


def facts_of(engagement: Engagement) -> dict[str, Any]:
    """The context of the template. Seven statements at most."""
    show_in_service([engagement])
    in_line = engagement.status == Engagement.Status.PENDING and not engagement.unordered
    state = pipelines([engagement.user_id]).get(engagement.user_id) if in_line else None
    found = list(Attempt.objects.filter(engagement_id=engagement.id).order_by("-id")[: ATTEMPTS + 1])
    attempts = found[:ATTEMPTS]
    running = _running(engagement, attempts, state)
    causes = causes_of(engagement)
    return {
        "engagement": engagement,
        "payload": display.payload(engagement.payload),
        "attempts": attempt_timeline.lines(engagement, attempts),
        "earlier_attempts": len(found) > ATTEMPTS,
        "running": running,
        "timeline": attempt_timeline.timeline(engagement, attempts, running, now=timezone.now()),
        "causes": causes,
        "graphs": causal_graph.draw(causes),
        "children": children_of(engagement.id, most=CHILDREN) if causes.itself.more else [],
        "parent": causes.above[0] if causes.above else None,
        "in_line": in_line,
        "is_head": state is not None and state.head == engagement.id,
        "state": state,
        "took": engagement.settled_at and engagement.settled_at - engagement.received_at,
        "replayable": engagement.status in (Engagement.Status.FAILED, Engagement.Status.EXPIRED),
        "pipeline_address": addresses.pipeline(engagement.user_id),
        "replay_address": addresses.engagement(engagement.id, "replay"),
        "attempts_address": addresses.engagement(engagement.id, "attempts"),
        "child_address": addresses.add_engagement(
            causal_parent=str(engagement.id), user_id=engagement.user_id, channel=engagement.channel_id
        ),
    }


def _running(engagement: Engagement, attempts: list[Attempt], state: PipelineState | None) -> Running | None:
    """The attempt that runs now. Of an unordered one the row tells that somebody leases it, and not who."""
    if engagement.status != Engagement.Status.PENDING:
        return None
    last = attempts[0] if attempts else None
    since = max(engagement.received_at, attempt_timeline.ended(last)) if last else engagement.received_at
    if engagement.unordered:
        recorded = last.number if last and last.started_at >= engagement.received_at else 0
        leased = engagement.attempts > recorded and engagement.held_until > timezone.now()
        return Running(engagement.attempts, "", since) if leased else None
    if state is None or state.head != engagement.id or state.attempt is None or state.attempt_since is None:
        return None
    return Running(state.attempt, state.lease.worker if state.lease else "", max(since, state.attempt_since))
