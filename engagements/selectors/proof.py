"""The proof of order: recorded history, read in bounded steps and judged by domain/proof.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engagements.domain.proof import Check, Judge, ParentRecord, Recorded, Span, Tried
from engagements.models import Engagement
from engagements.selectors.engagements import engagements
from engagements.store import pipelines, read_proof
from engagements.store.connection import current

USERS_AT_ONCE = 500
"""Judges held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Proof:
    """engagements: in recorded order, then those without a number. omitted: older ones that were not judged."""

    checks: list[Check]
    engagements: list[Engagement]
    omitted: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """One user's verdict and how many engagements it is about."""

    user_id: str
    checks: list[Check]
    engagements: int


def of_user(user_id: str) -> Proof:
    """The proof for one user, over what arrived last (some thousands). Raises NotFound."""
    pipelines.must_exist(current(), user_id)
    judge = Judge(_spans())
    recorded = _see(judge, read_proof.latest(current(), user_id))
    omitted = max(0, read_proof.count(current(), user_id) - len(recorded)) if recorded else 0
    _count_depth(user_id, user_id, {user_id: judge})
    full = engagements([engagement.id for engagement in recorded])
    shown = [full[engagement.id] for engagement in recorded if engagement.id in full]
    return Proof(judge.checks, shown, omitted)


def reaching_back(user_id: str, *, most: int) -> tuple[Verdict, int]:
    """The same without what is only looked at, and how many older ones are left out. Raises NotFound."""
    pipelines.must_exist(current(), user_id)
    judge = Judge(_spans())
    recorded = _see(judge, read_proof.latest(current(), user_id, most=most))
    _count_depth(user_id, user_id, {user_id: judge})
    omitted = max(0, read_proof.count(current(), user_id) - len(recorded)) if recorded else 0
    return Verdict(user_id, judge.checks, len(recorded)), omitted


def lately(user_id: str, *, most: int) -> Verdict:
    """The verdict over this user's last arrivals, `most` of them, in two statements."""
    judge = Judge(_spans())
    recorded = _see(judge, read_proof.latest(current(), user_id, most=most))
    return Verdict(user_id, judge.checks, len(recorded))


def _see(judge: Judge, rows: list[dict[str, Any]]) -> list[Recorded]:
    """Show the judge these, in recorded order, then those without a number."""
    recorded = [_recorded(row) for row in rows]
    numbered = sorted((r for r in recorded if r.sequence is not None), key=lambda r: r.sequence or 0)
    rest = sorted((r for r in recorded if r.sequence is None), key=lambda r: (r.order_time, r.arrival))
    for engagement in [*numbered, *rest]:
        judge.see(engagement)
    return [*numbered, *rest]


def verdicts(user_id: str | None = None, *, at_once: int = USERS_AT_ONCE) -> Iterator[Verdict]:
    """The verdicts on the whole history of one user or of all, ascending. Raises NotFound for an unknown user."""
    if user_id is not None:
        pipelines.must_exist(current(), user_id)
        yield from _judged([user_id])
        return
    after = ""
    while users := read_proof.users(current(), after=after, limit=at_once):
        yield from _judged(users)
        after = users[-1]


def _judged(users: list[str]) -> Iterator[Verdict]:
    spans = _spans()
    judges = {user: Judge(spans) for user in users}
    counts = dict.fromkeys(users, 0)
    for row in read_proof.history(current(), users[0], users[-1]):
        if row["user_id"] in judges:  # else a user who appeared meanwhile
            judges[row["user_id"]].see(_recorded(row))
            counts[row["user_id"]] += 1
    _count_depth(users[0], users[-1], judges)
    for user, judge in judges.items():
        yield Verdict(user, judge.checks, counts[user])


def _count_depth(first: str, last: str, judges: dict[str, Judge]) -> None:
    for user, depth, pending in read_proof.miscounted(current(), first, last):
        if user in judges:
            judges[user].lost(f"the pipeline counts {depth} pending, but {pending} are")


def _spans() -> list[Span]:
    return [Span(start, end) for start, end in read_proof.spans(current())]


def _recorded(row: dict[str, Any]) -> Recorded:
    parent = None
    if row["parent_received_at"] is not None:
        parent = ParentRecord(row["parent_received_at"], row["parent_settled_at"], row["parent_replays"])
    return Recorded(
        id=row["id"],
        status=row["status"],
        order_time=row["order_time"],
        arrival=row["arrival"],
        expires_at=row["expires_at"],
        settled_at=row["settled_at"],
        late=row["late"],
        replays=row["replays"],
        sequence=row["sequence"],
        causal_parent=row["causal_parent"],
        parent=parent,
        paused=row["paused"],
        now=row["now"],
        attempts=_attempts(row),
    )


def _attempts(row: dict[str, Any]) -> list[Tried]:
    if row["numbers"] is None:
        return []
    columns = (row[name] for name in ("numbers", "sequences", "tokens", "started", "durations", "outcomes"))
    return [
        Tried(number, sequence, token, started, started + timedelta(seconds=duration), outcome)
        for number, sequence, token, started, duration, outcome in zip(*columns, strict=True)
    ]
