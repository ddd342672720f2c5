"""Purging and skipping as they were shown: what grew behind the operator's back is shown again instead."""

from django.db import transaction
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import services
from engagements.admin import addresses, display
from engagements.admin.confirmation import Confirmation
from engagements.admin.pipeline_page import preview_of
from engagements.models import Engagement, Pipeline
from engagements.selectors.line import InLine, line

CHILDREN_COUNTED = 1_000
"""Waiting children that a confirmation counts."""

SAMPLE = 5
"""Engagements that a confirmation shows."""

TOLERANCE = 0.1
"""How much a purge may have grown since its number was shown: a tenth."""


class Grown(Exception):
    """By more than a tenth over what was shown; the message has both numbers."""


def purge_as_shown(user_id: str, *, shown: int, actor: str, reason: str) -> int:
    """Purge this user's pipeline, unless it has grown by more than a tenth over what was shown; how many.

    Raises Grown, then nothing was purged, or NotFound.
    """
    with transaction.atomic():
        purged = services.purge(user_id, actor=actor, reason=reason)
        if purged > shown * (1 + TOLERANCE):
            raise Grown(f"{purged:,} engagements are pending now, and {shown:,} were shown")
    return purged


def purge_confirmation(pipeline: Pipeline) -> Confirmation:
    """What the operator is about to throw away."""
    in_line = line(pipeline.user_id, limit=SAMPLE)
    effects: list[str | SafeString] = [
        format_html(
            "{} of user {} will be settled as purged and never delivered, the one in service included.",
            display.number(pipeline.depth, "pending engagement"),
            display.user(pipeline.user_id),
        ),
        "Unordered engagements of this user stay: they are not in the pipeline.",
        *_children_effect(pipeline),
    ]
    return Confirmation(
        title=f"Purge {display.number(pipeline.depth, 'engagement')}?",
        verb="Purge",
        effects=effects,
        hidden=[("shown", str(pipeline.depth))],
        sample=[_sample(row) for row in in_line],
        more=max(0, pipeline.depth - len(in_line)),
        back=addresses.pipeline(pipeline.user_id),
    )


def skip_confirmation(pipeline: Pipeline, head: Engagement) -> Confirmation:
    """What skipping the head does."""
    children = Engagement.objects.filter(causal_parent=head.id, status=Engagement.Status.PENDING)[:CHILDREN_COUNTED]
    number = len(children)
    effects: list[str | SafeString] = [
        format_html("{} will be settled as purged and never delivered.", display.engagement(head.id)),
        "The next one in line moves up." if pipeline.depth > 1 else "Nothing is in line behind it.",
    ]
    if number:
        effects.append(_release(number))
    return Confirmation(
        title="Skip the head of this pipeline?",
        verb="Skip",
        effects=effects,
        hidden=[("head", str(head.id))],
        sample=[_sample(row) for row in line(pipeline.user_id, limit=1) if row.engagement.id == head.id],
        back=addresses.pipeline(pipeline.user_id),
    )


def _children_effect(pipeline: Pipeline) -> list[str]:
    mine = Engagement.objects.filter(
        user_id=pipeline.user_id, status=Engagement.Status.PENDING, unordered=False
    ).order_by("order_time", "arrival")[:CHILDREN_COUNTED]
    waiting = (
        Engagement.objects.filter(
            causal_parent__in=list(mine.values_list("id", flat=True)), status=Engagement.Status.PENDING
        )
        .exclude(user_id=pipeline.user_id)
        .values_list("id")[:CHILDREN_COUNTED]
    )
    number = len(waiting)
    return [_release(number)] if number else []


def _release(number: int) -> str:
    count = f"{number:,}+" if number == CHILDREN_COUNTED else f"{number:,}"
    what = "engagement of another user waits" if number == 1 else "engagements of other users wait"
    return f"{count} {what} for what is purged: their wait ends, and they go ahead."


def _sample(row: InLine) -> SafeString:
    return format_html(
        '{} received {} <span class="delivery-preview">{}</span>',
        display.engagement(row.engagement.id, "short"),
        display.since(row.engagement.received_at),
        preview_of(row),
    )
