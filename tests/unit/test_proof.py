"""The judgement of recorded history: no true history is called wrong, and each false one is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagements.domain.proof import KEPT, Judge, ParentRecord, Recorded, Span, Tried

few = settings(max_examples=50, deadline=None)
"""Unit tests stay under a second or two, on a busy machine too."""

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
ALWAYS = Span(START - timedelta(days=1), START + timedelta(days=1))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def tried(
    number: int, sequence: int | None, start: float, end: float, outcome: str = "delivered", token: int | None = None
) -> Tried:
    return Tried(number, sequence, (sequence or 0) if token is None else token, at(start), at(end), outcome)


def delivered(sequence: int, *attempts: Tried, order: float | None = None) -> Recorded:
    attempts = attempts or (tried(1, sequence, sequence, sequence + 0.5),)
    return Recorded(
        id=UUID(int=sequence),
        status="delivered",
        order_time=at(sequence if order is None else order),
        arrival=sequence,
        expires_at=at(sequence + 30),
        settled_at=attempts[-1].ended_at,
        late=False,
        replays=0,
        sequence=sequence,
        causal_parent=None,
        parent=None,
        paused=False,
        now=at(100),
        attempts=attempts,
    )


def broken(history: Sequence[Recorded], spans: Sequence[Span] = (ALWAYS,)) -> list[int]:
    judge = Judge(spans)
    for engagement in history:
        judge.see(engagement)
    assert [check.promise for check in judge.checks] == [1, 2, 3, 4, 5]
    assert all(bool(check.violations) == bool(check.count) for check in judge.checks)
    return [check.promise for check in judge.checks if check.count]


def pending(sequence: int | None, *attempts: Tried, expires: float = 200) -> Recorded:
    one = delivered(sequence or 50, *(attempts or (tried(1, sequence, 50, 51),)))
    return replace(one, status="pending", settled_at=None, sequence=sequence, attempts=attempts, expires_at=at(expires))


def test_nothing_is_wrong_with_nothing() -> None:
    assert broken([]) == []


@few
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5), st.integers(1, 4)), max_size=20))
def test_whatever_goes_one_after_the_other_holds(steps: list[tuple[float, float, int]]) -> None:
    clock, token, history = 0.0, 0, []
    for sequence, (pause, duration, attempts) in enumerate(steps, 1):
        log = []
        for number in range(1, attempts + 1):
            clock += pause
            token += 1
            outcome = "delivered" if number == attempts else "retry"
            log.append(tried(number, sequence, clock, clock + duration, outcome, token))
            clock += duration
        one = delivered(sequence, *log)
        history.append(replace(one, expires_at=at(clock + 1)))
    assert broken(history) == []


@few
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_order_holds_exactly_when_order_times_never_fall(orders: list[int]) -> None:
    history = [delivered(place, order=order) for place, order in enumerate(orders, 1)]
    assert (broken(history) == []) == (orders == sorted(orders))


def test_equal_order_times_go_in_order_of_arrival() -> None:
    first, second = (replace(delivered(n, order=0), arrival=9 - n) for n in (1, 2))
    assert broken([first, second]) == [1]


def test_a_late_one_may_step_back_and_does_not_excuse_the_next() -> None:
    late = replace(delivered(3, order=1), late=True)
    assert broken([delivered(1), delivered(2), late, delivered(4)]) == []
    assert broken([delivered(1), delivered(2), late, delivered(4, order=1.5)]) == [1]


def test_a_replayed_one_is_judged_by_its_new_life() -> None:
    former = tried(1, 1, 1, 1.5, "failed")
    again = replace(delivered(3, former, tried(1, 3, 3, 3.5)), replays=1)
    assert broken([delivered(2), again]) == []
    assert broken([delivered(2), replace(again, order_time=at(0))]) == [1]
    waiting = replace(pending(None, former), replays=1)
    assert broken([delivered(2), waiting]) == []


def test_overlapping_attempts_are_found_and_rounding_is_forgiven() -> None:
    assert broken([delivered(1, tried(1, 1, 1, 2.5)), delivered(2)]) == [1]
    assert broken([delivered(1, tried(1, 1, 1, 2.0005)), delivered(2)]) == []
    assert broken([delivered(1, tried(1, 1, 1, 2, "retry"), tried(2, 1, 1.5, 3)), delivered(3)]) == [1]


def test_an_attempt_after_the_settle_is_found() -> None:
    assert broken([replace(delivered(1), settled_at=at(0.5))]) == [1]


@pytest.mark.parametrize(
    ("settled_at", "replays", "own_replays", "expected"),
    [
        (at(0.9), 0, 0, []),
        (at(1.0), 0, 0, []),
        (at(1.2), 0, 0, [2]),
        (None, 0, 0, [2]),
        (None, 1, 0, []),
        (at(1.2), 0, 1, []),
    ],
)
def test_a_child_follows_its_parent(
    settled_at: datetime | None, replays: int, own_replays: int, expected: list[int]
) -> None:
    parent = ParentRecord(START, settled_at, replays)
    child = replace(delivered(1), causal_parent=UUID(int=9), parent=parent, replays=own_replays)
    assert broken([child]) == expected
    never = replace(child, status="expired", sequence=None, attempts=(), settled_at=child.expires_at)
    assert broken([never]) == []


def expired(settled: float, *attempts: Tried) -> Recorded:
    return replace(
        delivered(1, *attempts), status="expired", expires_at=at(10), settled_at=at(settled), attempts=attempts
    )


@pytest.mark.parametrize(("settled", "expected"), [(10, []), (10.9, []), (11, []), (11.1, [3]), (9.9, [3])])
def test_expiry_is_neither_early_nor_more_than_a_second_late(settled: float, expected: list[int]) -> None:
    assert broken([expired(settled)]) == expected


def test_a_late_one_that_was_refused_expired_when_it_arrived() -> None:
    assert broken([replace(expired(0), late=True, sequence=None)]) == []


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([Span(at(0), at(20))], [3]),
        ([Span(at(10), at(11))], [3]),
        ([Span(at(10.1), at(20))], []),
        ([Span(at(0), at(10.9))], []),
        ([Span(at(0), at(10.5)), Span(at(10.4), at(20))], []),
        ([Span(at(0), at(1)), Span(at(2), at(20))], [3]),
    ],
)
def test_a_deadline_is_judged_where_a_worker_lived_through_it(spans: list[Span], expected: list[int]) -> None:
    assert broken([expired(15)], spans) == expected


def test_what_is_purged_or_paused_has_no_deadline_to_keep() -> None:
    assert broken([replace(expired(15), status="purged")]) == []
    overdue = pending(1, tried(1, 1, 1, 2, "retry"), expires=10)
    assert broken([overdue]) == [3]
    assert broken([replace(overdue, paused=True)]) == []


def test_an_attempt_that_was_not_cut_at_the_deadline_is_found() -> None:
    assert broken([expired(10.5, tried(1, 1, 1, 10.4, "cut"))]) == []
    assert broken([expired(10.5, tried(1, 1, 1, 12, "cut"))]) == [3]


@pytest.mark.parametrize(
    ("status", "outcomes", "expected"),
    [
        ("delivered", ["retry", "delivered"], []),
        ("delivered", ["delivered", "delivered"], [4]),
        ("delivered", ["failed"], [4]),
        ("delivered", ["retry"], [4]),
        ("failed", ["retry", "failed"], []),
        ("failed", ["failed", "delivered"], [4]),
        ("expired", ["retry", "cut"], []),
        ("expired", ["interrupted"], []),
        ("purged", ["delivered"], [4]),
        ("pending", ["retry"], []),
        ("pending", ["delivered"], [4]),
    ],
)
def test_a_status_is_what_exactly_one_attempt_ended_in(status: str, outcomes: list[str], expected: list[int]) -> None:
    log = [tried(n, 1, n, n + 0.5, outcome, token=n) for n, outcome in enumerate(outcomes, 1)]
    one = replace(delivered(1, *log), status=status, expires_at=at(200 if status == "pending" else 2))
    if status == "pending":
        one = replace(one, settled_at=None)
    assert broken([one], spans=[]) == ([3, *expected] if status == "expired" and one.settled_at < at(2) else expected)  # type: ignore[operator]


def test_a_status_without_its_time_is_found() -> None:
    assert broken([replace(delivered(1), settled_at=None, expires_at=at(200))]) == [4]


def test_tokens_and_sequences_never_step_back() -> None:
    assert broken([delivered(1, tried(1, 1, 1, 2, token=7)), delivered(2, tried(1, 2, 2, 3, token=7))]) == []
    assert broken([delivered(1, tried(1, 1, 1, 2, token=7)), delivered(2, tried(1, 2, 2, 3, token=6))]) == [5]
    assert broken([delivered(1, tried(1, 1, 1, 2), tried(2, 2, 3, 4, "retry"))]) == [5]


def test_what_was_attempted_has_a_sequence() -> None:
    assert broken([replace(delivered(1), sequence=None, attempts=())]) == [4, 5]
    assert broken([pending(None, tried(1, None, 1, 2, "retry"))]) == [5]


def test_violations_are_all_counted_and_some_kept() -> None:
    judge = Judge([])
    judge.see(delivered(1, order=1000))
    for sequence in range(2, 300):
        judge.see(delivered(sequence))
    assert judge.checks[0].count == 298
    assert len(judge.checks[0].violations) == KEPT
    assert str(UUID(int=2)) in judge.checks[0].violations[0]
