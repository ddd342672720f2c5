"""How channels do: success, speed and errors of their latest attempts, what waits for them, and their last test."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from engagements import conf
from engagements.models import Attempt, Engagement
from engagements.store import read_channels
from engagements.store.connection import current
from engagements.store.read_channels import ATTEMPTS_LOOKED_AT, FailedAttempt, Pending, Recent

ERRORS = 10
"""Failed attempts that the page of a channel lists."""


@dataclass(frozen=True, slots=True)
class Span:
    name: str
    title: str
    lasting: timedelta


SPANS = (Span("15m", "15 minutes", timedelta(minutes=15)), Span("1h", "hour", timedelta(hours=1)))


@dataclass(frozen=True, slots=True)
class Health:
    """Of one channel. recent: None when it is not among the attempts looked at. pending: those found, see Healths."""

    recent: Recent | None
    pending: int
    retrying: int

    @property
    def success(self) -> float | None:
        """Of all attempts in the span, the share that delivered; None without any."""
        recent = self.recent
        return recent.delivered / recent.attempts if recent is not None and recent.attempts else None


@dataclass(frozen=True, slots=True)
class Healths:
    """Of all channels.

    looked_at: how many attempts, back to reached. bounded: the span reaches further back than they do.
    pending_bounded: more is pending than was looked at.
    """

    span: Span
    by_channel: dict[str, Health]
    looked_at: int
    reached: datetime | None
    bounded: bool
    pending_bounded: bool

    def of(self, channel: str) -> Health:
        return self.by_channel.get(channel, Health(None, 0, 0))


@dataclass(frozen=True, slots=True)
class LastTest:
    """The latest test of a channel. attempt: the last that ended, None before. None of it once history is deleted."""

    engagement: Engagement
    attempt: Attempt | None


def span(name: str | None) -> Span:
    """The span of this name; the shortest where there is none."""
    return next((one for one in SPANS if one.name == name), SPANS[0])


def healths(of: Span) -> Healths:
    """Two statements, whatever the number of channels."""
    conn = current()
    latest = read_channels.latest(conn, span=of.lasting)
    pending, pending_bounded = read_channels.pending(conn)
    by_channel = {}
    for name in latest.by_channel.keys() | pending.keys():
        waiting = pending.get(name, Pending(0, 0))
        by_channel[name] = Health(latest.by_channel.get(name), waiting.engagements, waiting.retrying)
    reached = latest.reached
    return Healths(
        span=of,
        by_channel=by_channel,
        looked_at=latest.looked_at,
        reached=reached,
        bounded=latest.looked_at >= ATTEMPTS_LOOKED_AT
        and reached is not None
        and reached > timezone.now() - of.lasting,
        pending_bounded=pending_bounded,
    )


def errors(channel: str) -> list[FailedAttempt]:
    """The latest attempts that delivered nothing."""
    return read_channels.errors(current(), channel, limit=ERRORS)


def last_test(channel: str) -> LastTest | None:
    """Two statements, each a look into an index."""
    tests = Engagement.objects.filter(user_id=f"{conf.TEST_USER}{channel}", channel_id=channel)
    engagement = tests.order_by("-arrival").defer("payload").first()
    if engagement is None:
        return None
    return LastTest(engagement, Attempt.objects.filter(engagement_id=engagement.id).order_by("-id").first())
