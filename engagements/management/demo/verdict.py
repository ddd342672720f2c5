"""The end of the demo: for every user, what was recorded judged as a strict receiver would judge it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from engagements.management.demo.screen import Screen
from engagements.management.demo.stage import Stage
from engagements.models import Attempt, Engagement

EXPIRY_SECONDS = 1.0
"""How long after its deadline an engagement may be settled at the latest (promise 3)."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored about one user of the demo. settled_at: also of the others' engagements, for the parents."""

    engagements: Sequence[Engagement]
    attempts: Sequence[Attempt]
    settled_at: dict[UUID, datetime | None]


def show_verdict(stage: Stage, screen: Screen) -> bool:
    """Print a line per user and what is wrong; whether nothing is."""
    everything = Engagement.objects.in_bulk(list(stage.items))
    settled_at = {id: engagement.settled_at for id, engagement in everything.items()}
    tried: dict[UUID, list[Attempt]] = {}
    for attempt in Attempt.objects.filter(engagement_id__in=everything).order_by("started_at", "id"):
        tried.setdefault(attempt.engagement_id, []).append(attempt)
    lines: list[tuple[str, ...]] = []
    wrong: list[str] = []
    for name in dict.fromkeys(item.user for item in stage.items.values()):
        own = [everything[id] for id, item in stage.items.items() if item.user == name]
        attempts = [attempt for engagement in own for attempt in tried.get(engagement.id, [])]
        found = violations(Record(own, attempts, settled_at))
        found += [
            f"{item.text!r} is {engagement.status}; nothing kept it from being {item.ends}"
            for engagement in own
            if (item := stage.items[engagement.id]).ends != engagement.status
        ]
        wrong += [f"{name}: {violation}" for violation in found]
        count = {status: sum(engagement.status == status for engagement in own) for status in ("delivered", "expired")}
        late = sum(engagement.late for engagement in own)
        numbers = (len(own), count["delivered"], count["expired"], late, len(attempts))
        lines.append((name, *map(str, numbers), "NO" if found else "yes"))
    screen.table(("user", "posted", "delivered", "expired", "late", "attempts", "in order"), lines)
    for violation in wrong:
        screen.say(violation, style="bold red")
    return not wrong


def violations(record: Record) -> list[str]:
    """What breaks promises 1 to 5, a sentence each."""
    line = sorted(
        (engagement for engagement in record.engagements if engagement.sequence is not None),
        key=lambda engagement: engagement.sequence or 0,
    )
    ordered = {engagement.id for engagement in record.engagements if not engagement.unordered}
    attempts = sorted(
        (attempt for attempt in record.attempts if attempt.engagement_id in ordered),
        key=lambda attempt: attempt.started_at,
    )
    return [
        *_unsettled(record),
        *_misplaced(line),
        *_steps_back(attempts),
        *_overlaps(attempts),
        *_before_parent(record),
    ]


def _unsettled(record: Record) -> list[str]:
    found = []
    for engagement in record.engagements:
        latest = engagement.expires_at + timedelta(seconds=EXPIRY_SECONDS)
        if engagement.settled_at is None or engagement.settled_at > latest:
            found.append(f"{_text(engagement)} was not settled within a second of its deadline (promises 3 and 4)")
    return found


def _misplaced(line: Sequence[Engagement]) -> list[str]:
    on_time = [engagement for engagement in line if not engagement.late]
    return [
        f"{_text(second)} came after {_text(first)} in spite of its order time (promise 1)"
        for first, second in pairwise(on_time)
        if (first.order_time, first.arrival) > (second.order_time, second.arrival)
    ]


def _steps_back(attempts: Sequence[Attempt]) -> list[str]:
    return [
        f"sequence {second.sequence} was attempted after {first.sequence} (promises 1 and 5)"
        for first, second in pairwise(attempts)
        if (first.sequence or 0, first.token) > (second.sequence or 0, second.token)
    ]


def _overlaps(attempts: Sequence[Attempt]) -> list[str]:
    return [
        f"sequence {second.sequence} was attempted while {first.sequence} was in flight (promise 1)"
        for first, second in pairwise(attempts)
        if first.started_at + timedelta(seconds=first.duration_seconds) > second.started_at
    ]


def _before_parent(record: Record) -> list[str]:
    begun: dict[UUID, datetime] = {}
    for attempt in record.attempts:
        begun[attempt.engagement_id] = min(attempt.started_at, begun.get(attempt.engagement_id, attempt.started_at))
    return [
        f"{_text(child)} was attempted before its parent was settled (promise 2)"
        for child in record.engagements
        if child.causal_parent is not None
        and child.id in begun
        and begun[child.id] < (record.settled_at.get(child.causal_parent) or begun[child.id] + timedelta(days=1))
    ]


def _text(engagement: Engagement) -> str:
    return repr(engagement.payload["text"])
