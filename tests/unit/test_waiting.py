"""The sentence that says why a head has not been delivered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagements.domain.waiting import Line, Parent, PendingHead, is_blocked, why_waiting

few = settings(max_examples=50, deadline=None)
"""Unit tests stay under a second or two, on a busy machine too."""

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
PARENT = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


HEAD = PendingHead(
    channel="log",
    channel_kind="log",
    expires_at=after(12),
    held_until=after(-1),
    in_service=False,
    attempt=0,
    since=after(-0.3),
)
LINE = Line(
    now=NOW,
    head=HEAD,
    paused_at=None,
    everything_paused_at=None,
    due_at=after(-1),
    worker="w1@up",
    worker_alive=True,
    any_alive=True,
    lease_worker=None,
    lease_until=None,
)
LEASED = replace(LINE, lease_worker="w1@up", lease_until=after(8))
SERVED = replace(HEAD, in_service=True, attempt=2, channel="crm", channel_kind="webhook")


def child(parent: Parent) -> Line:
    return replace(LINE, head=replace(HEAD, parent=parent), due_at=after(12))


CASES: list[tuple[Line, str | None]] = [
    (replace(LINE, head=None, due_at=None), None),
    (replace(LINE, head=None, due_at=None, paused_at=after(-5)), None),
    (LINE, "due; worker w1@up takes it next"),
    (replace(LINE, any_alive=False, worker_alive=False), "no worker is alive"),
    (replace(LINE, worker_alive=False), "due; its worker w1@up is dead, another takes over"),
    (replace(LINE, worker=None, worker_alive=False), "due; a worker is being chosen"),
    (replace(LINE, paused_at=after(-3600)), "paused since 2026-01-31 11:00:00 UTC"),
    (replace(LINE, everything_paused_at=after(-3600)), "everything is paused since 2026-01-31 11:00:00 UTC"),
    (
        replace(LEASED, head=replace(SERVED, since=NOW), paused_at=after(-1)),
        "paused since 2026-01-31 11:59:59 UTC; attempt 2 on webhook crm is running on w1@up for 0 ms, which may finish",
    ),
    (replace(LEASED, head=SERVED), "attempt 2 on webhook crm is running on w1@up for 300 ms; expires in 12 s"),
    (
        replace(LEASED, head=replace(HEAD, in_service=True, attempt=1, since=after(-2.34))),
        "attempt 1 on log is running on w1@up for 2.3 s; expires in 12 s",
    ),
    (LEASED, "waits until w1@up lets go of what it attempted before, at most 8.0 s; expires in 12 s"),
    (
        replace(LINE, head=SERVED, due_at=after(1.2)),
        "attempt 3 on webhook crm in 1.2 s; expires in 12 s",
    ),
    (replace(LINE, head=SERVED), "attempt 3 on webhook crm is due; worker w1@up takes it next; expires in 12 s"),
    (
        replace(LEASED, head=SERVED, lease_until=after(-1), worker_alive=False),
        "attempt 3 on webhook crm is due; its worker w1@up is dead, another takes over; expires in 12 s",
    ),
    (child(Parent(PARENT)), "waits for its parent 7c9e6679…, which has not arrived; expires in 12 s"),
    (
        child(Parent(PARENT, "pending", "bob", place=1)),
        "waits for its parent 7c9e6679… of user bob, which is first in line; expires in 12 s",
    ),
    (
        child(Parent(PARENT, "pending", "bob", place=2)),
        "waits for its parent 7c9e6679… of user bob, which is 2nd in line; expires in 12 s",
    ),
    (
        child(Parent(PARENT, "pending", "bob", place=101)),
        "waits for its parent 7c9e6679… of user bob, which has more than 100 before it; expires in 12 s",
    ),
    (
        child(Parent(PARENT, "pending", "bob", unordered=True)),
        "waits for its parent 7c9e6679… of user bob, which is unordered; expires in 12 s",
    ),
    (
        replace(LINE, head=replace(HEAD, held_until=after(0.08)), due_at=after(0.08)),
        "held for the reorder window, 80 ms more",
    ),
    (replace(LINE, due_at=after(3)), "looked at again in 3.0 s; expires in 12 s"),
    (
        replace(LINE, head=replace(HEAD, expires_at=after(-0.2))),
        "its deadline passed 200 ms ago; it is being settled as expired",
    ),
    (replace(LINE, head=replace(SERVED, expires_at=after(3000)), due_at=after(130)), None),
]


@pytest.mark.parametrize(("line", "sentence"), CASES[:-1])
def test_each_reason_has_its_sentence(line: Line, sentence: str | None) -> None:
    assert why_waiting(line) == sentence


def test_long_times_are_told_in_minutes() -> None:
    assert why_waiting(CASES[-1][0]) == "attempt 3 on webhook crm in 2 min; expires in 50 min"


@pytest.mark.parametrize(
    ("place", "text"), [(3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"), (100, "100th")]
)
def test_places_are_told_as_ordinals(place: int, text: str) -> None:
    sentence = why_waiting(child(Parent(PARENT, "pending", "bob", place=place)))
    assert sentence is not None
    assert f"which is {text} in line" in sentence


def blocked(**changed: Any) -> bool:
    """Of a line that gets on: due a moment ago, its first attempt just begun; changed as said."""
    head = {name: changed.pop(name) for name in list(changed) if name in PendingHead.__dataclass_fields__}
    on = PendingHead("crm", "webhook", after(20), after(-1), in_service=True, attempt=1, since=after(-0.1))
    line = Line(
        now=NOW,
        head=replace(on, **head),
        paused_at=None,
        everything_paused_at=None,
        due_at=after(-0.2),
        worker="w1",
        worker_alive=True,
        any_alive=True,
        lease_worker="w1",
        lease_until=after(9),
    )
    return is_blocked(replace(line, **changed), window=timedelta(seconds=0.1))


def test_blocked_is_what_cannot_go_or_should_have_gone() -> None:
    waits = {"in_service": False, "lease_until": None, "lease_worker": None}
    assert not blocked()
    assert not blocked(due_at=after(-60))
    assert blocked(due_at=after(-60), since=after(-2))
    assert blocked(attempt=2)
    assert blocked(lease_until=after(-1))
    assert blocked(worker_alive=False)
    assert not blocked(**waits)
    assert not blocked(**waits, due_at=after(0.1))
    assert blocked(**waits, due_at=after(5))
    assert not blocked(**waits, due_at=after(-3))
    assert blocked(**waits, due_at=after(-3), since=after(-3))
    for pause in ("paused_at", "everything_paused_at"):
        assert not blocked(worker_alive=False, attempt=5, **{pause: after(-60)})
    assert not is_blocked(replace(CASES[0][0], head=None), window=timedelta())


times = st.none() | st.floats(-100, 100).map(after)


@few
@given(
    st.builds(
        Line,
        now=st.just(NOW),
        head=st.none()
        | st.builds(
            PendingHead,
            channel=st.sampled_from(["log", "crm"]),
            channel_kind=st.sampled_from(["log", "webhook", ""]),
            expires_at=st.floats(-100, 100).map(after),
            held_until=st.floats(-100, 100).map(after),
            in_service=st.booleans(),
            attempt=st.integers(0, 10),
            since=st.floats(-100, 100).map(after),
            parent=st.none() | st.builds(Parent, st.just(PARENT), place=st.none() | st.integers(1, 101)),
        ),
        paused_at=times,
        due_at=times,
        worker=st.none() | st.just("w1"),
        worker_alive=st.booleans(),
        any_alive=st.booleans(),
        lease_worker=st.just("w1"),
        lease_until=times,
    )
)
def test_there_is_always_one_plain_sentence(line: Line) -> None:
    sentence = why_waiting(line)
    assert (sentence is None) == (line.head is None)
    if sentence is not None:
        assert "\n" not in sentence
        assert "None" not in sentence
        assert not sentence.endswith(".")
        assert 5 < len(sentence) < 250
