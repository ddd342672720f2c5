"""What the page of one channel shows: how it does, its latest errors, its last test."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements.admin import addresses, display
from engagements.admin.channel_list import SPAN, note_on
from engagements.admin.confirmation import Confirmation
from engagements.channels import secret_mark
from engagements.models import Channel
from engagements.selectors import channels as selector
from engagements.selectors.channels import SPANS, Health

GOOD, BAD = 0.99, 0.9
"""From which share of successes on a channel does well, and below which it does badly."""


@dataclass(frozen=True, slots=True)
class SpanLink:
    title: str
    address: str
    chosen: bool


def facts_of(channel: Channel, request: HttpRequest) -> dict[str, Any]:
    """The context of the template. Five statements."""
    found = selector.healths(selector.span(request.GET.get(SPAN)))
    health = found.of(channel.name)
    recent = health.recent
    failed = recent is not None and recent.error_at is not None
    return {
        "health": health,
        "recent": recent,
        "success": success(health),
        "note": note_on(found),
        "span": found.span,
        "spans": [SpanLink(f"last {one.title}", f"?{SPAN}={one.name}", one == found.span) for one in SPANS],
        "errors": selector.errors(channel.name) if failed else [],
        "test": selector.last_test(channel.name),
        "pending_address": addresses.listing("engagement", status="pending", channel=channel.name),
        "failed_address": addresses.listing("engagement", status="failed", channel=channel.name),
        "queues_address": addresses.listing("worker"),
    }


def success(health: Health) -> SafeString | str:
    """The share of attempts that delivered, and how many there were; in colour when it is bad."""
    share, recent = health.success, health.recent
    if share is None or recent is None:
        return display.EMPTY
    kind = "good" if share >= GOOD else "bad" if share < BAD else "fair"
    # Rounded down, so that one failure in a thousand is not 100 %.
    text = "100 %" if recent.delivered == recent.attempts else f"{int(share * 1000) / 10:.1f} %"
    return format_html(
        '<span class="delivery-share delivery-share-{}">{}</span> <span class="quiet">of {}</span>',
        kind,
        text,
        display.count(recent.attempts),
    )


def rotation_of(channel: Channel) -> Confirmation:
    """What the operator is about to do to everybody who checks this channel's signatures."""
    effects: list[str | SafeString] = [
        "A new secret is made, and shown on the next page, this once.",
        "From then on each post carries the signatures of both, the new and the present one, until the next rotation.",
        "So receivers may change over whenever they like until then.",
        "Workers sign with it within about a second.",
    ]
    if channel.previous_secret:
        effects.append(
            "The secret before the present one, with which posts are signed as well until now, ends: "
            "a receiver that still checks with that one will refuse posts."
        )
    return Confirmation(
        title=f"Rotate the secret of channel {channel.name}?",
        verb="Rotate the secret",
        effects=effects,
        hidden=[("instead_of", secret_mark(channel))],
        back=addresses.channel(channel.name),
    )
