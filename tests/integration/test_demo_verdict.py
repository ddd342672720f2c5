"""The demo's verdict finds every kind of broken order; what it is given here never happened."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from engagements.management.demo.verdict import Record, violations
from engagements.models import Attempt, Engagement

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def engagement(number: int, **changes: object) -> Engagement:
    """Attempted and settled in the second of that number."""
    fields: dict[str, object] = {
        "id": uuid4(),
        "payload": {"text": f"number {number}"},
        "status": "delivered",
        "sequence": number,
        "arrival": number,
        "order_time": at(number),
        "expires_at": at(number + 30),
        "settled_at": at(number + 0.5),
    }
    return Engagement(**{**fields, **changes})


def attempt(engagement: Engagement, **changes: object) -> Attempt:
    sequence = engagement.sequence or 0
    fields: dict[str, object] = {
        "engagement": engagement,
        "sequence": sequence,
        "token": 1,
        "started_at": at(sequence),
        "duration_seconds": 0.5,
        "outcome": "delivered",
    }
    return Attempt(**{**fields, **changes})


def record(engagements: list[Engagement], attempts: list[Attempt] | None = None) -> Record:
    made = attempts or [attempt(engagement) for engagement in engagements]
    return Record(engagements, made, {engagement.id: engagement.settled_at for engagement in engagements})


def test_a_line_in_order_has_no_violations() -> None:
    first, second, banner = engagement(1), engagement(2), engagement(3, sequence=None, unordered=True)
    overtaking = [attempt(banner, started_at=at(1), sequence=None), attempt(first), attempt(second)]
    assert violations(record([first, second, banner], overtaking)) == []


def test_a_late_one_out_of_its_place_is_no_violation() -> None:
    assert violations(record([engagement(1), engagement(2, order_time=at(0), late=True)])) == []


def unsettled() -> Record:
    return record([engagement(1, status="pending", settled_at=None)])


def settled_too_late() -> Record:
    return record([engagement(1, settled_at=at(32.5))])


def out_of_order_time() -> Record:
    return record([engagement(1), engagement(2, order_time=at(0))])


def a_step_back() -> Record:
    first, second = engagement(1), engagement(2)
    return record([first, second], [attempt(first), attempt(second), attempt(first, started_at=at(9))])


def two_in_flight() -> Record:
    first, second = engagement(1), engagement(2)
    return record([first, second], [attempt(first, duration_seconds=1.1), attempt(second)])


def before_its_parent() -> Record:
    parent, child = engagement(1), engagement(2)
    child.causal_parent = parent.id
    made = record([parent, child])
    return Record([child], [attempt(child)], {**made.settled_at, parent.id: at(9)})


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (unsettled, "was not settled"),
        (settled_too_late, "was not settled"),
        (out_of_order_time, "in spite of its order time"),
        (a_step_back, "sequence 1 was attempted after 2"),
        (two_in_flight, "while 1 was in flight"),
        (before_its_parent, "before its parent"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_it_finds(broken: Callable[[], Record], says: str) -> None:
    [violation] = violations(broken())
    assert says in violation
