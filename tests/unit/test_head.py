"""What to do with the head of a pipeline: the one decision that order rests on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagements.domain.head import Expire, Head, Raise, Serve, Wait, consider
from engagements.domain.moves import Status
from engagements.domain.ordering import TICK
from tests.support.properties import quick

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

PLAIN = Head(order_time=NOW, held_until=NOW, expires_at=NOW + 30 * SECOND, in_service=False, has_parent=False)
CHILD = replace(PLAIN, has_parent=True)

moments = st.integers(-60, 60).map(lambda seconds: NOW + seconds * SECOND)
heads = st.builds(
    Head,
    order_time=moments,
    held_until=moments,
    expires_at=moments,
    in_service=st.booleans(),
    has_parent=st.booleans(),
    parent_status=st.none() | st.sampled_from(Status),
    parent_order_time=st.none() | moments,
).filter(lambda head: head.has_parent or (head.parent_status is None and head.parent_order_time is None))


@quick
@given(heads)
def test_past_its_deadline_it_expires_whatever_else_holds(head: Head) -> None:
    assert (consider(head, now=NOW) == Expire()) == (head.expires_at <= NOW)


@quick
@given(heads)
def test_one_in_service_is_only_served_again_or_expired(head: Head) -> None:
    """It was attempted: nothing of its user may overtake it, and no parent that comes later can stop it."""
    decision = consider(replace(head, in_service=True), now=NOW)
    assert isinstance(decision, Serve | Expire)


@quick
@given(heads)
def test_a_child_is_first_served_when_its_parent_has_settled_and_sorts_before_it(head: Head) -> None:
    if head.has_parent and not head.in_service and consider(head, now=NOW) == Serve():
        assert head.parent_status is not None
        assert head.parent_status.settled
        assert head.parent_order_time is None or head.parent_order_time < head.order_time


@quick
@given(heads)
def test_nothing_is_first_served_inside_its_reorder_window(head: Head) -> None:
    if not head.in_service and consider(head, now=NOW) == Serve():
        assert head.held_until <= NOW


@quick
@given(heads)
def test_a_wait_ends_in_the_future_and_no_later_than_the_deadline(head: Head) -> None:
    decision = consider(head, now=NOW)
    if isinstance(decision, Wait):
        assert NOW < decision.until <= head.expires_at


@quick
@given(heads)
def test_a_raise_puts_it_right_after_its_parent_and_is_not_repeated(head: Head) -> None:
    decision = consider(head, now=NOW)
    if isinstance(decision, Raise):
        assert head.parent_order_time is not None
        assert decision.order_time == head.parent_order_time + TICK > head.order_time
        raised = replace(head, order_time=decision.order_time)
        assert not isinstance(consider(raised, now=NOW), Raise)


def test_a_plain_one_is_served() -> None:
    assert consider(PLAIN, now=NOW) == Serve()


def test_inside_the_window_it_waits_for_its_end_or_for_its_deadline() -> None:
    assert consider(replace(PLAIN, held_until=NOW + SECOND), now=NOW) == Wait(NOW + SECOND)
    soon = replace(PLAIN, held_until=NOW + 60 * SECOND)
    assert consider(soon, now=NOW) == Wait(soon.expires_at)


def test_an_unknown_parent_is_waited_for_until_the_childs_own_deadline() -> None:
    assert consider(CHILD, now=NOW) == Wait(CHILD.expires_at)


@pytest.mark.parametrize("status", [status for status in Status if status.settled])
def test_any_final_status_of_the_parent_lets_the_child_go(status: Status) -> None:
    assert consider(replace(CHILD, parent_status=status, parent_order_time=NOW - SECOND), now=NOW) == Serve()


def test_a_pending_parent_is_waited_for() -> None:
    head = replace(CHILD, parent_status=Status.PENDING, parent_order_time=NOW - SECOND)
    assert consider(head, now=NOW) == Wait(head.expires_at)
