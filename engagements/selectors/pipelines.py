"""Pipelines as the API and the admin show them, each with the reason why its head waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from engagements import conf
from engagements.domain.draft import user_id_problem
from engagements.domain.errors import NotFound
from engagements.domain.waiting import Line, Parent, PendingHead, is_blocked, why_waiting
from engagements.store import find_pipelines, read_pipelines
from engagements.store.connection import current
from engagements.store.find_pipelines import Found as Found
from engagements.store.find_pipelines import Order as Order
from engagements.store.find_pipelines import Search as Search
from engagements.store.find_pipelines import Source as Source
from engagements.store.find_pipelines import State as State

CHAIN = 8
"""Pipelines that a chain of waiting is followed through."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who delivers for the pipeline now, and until when unless renewed."""

    worker: str
    token: int
    until: datetime


@dataclass(frozen=True, slots=True)
class PipelineState:
    """A pipeline at one moment. worker, session_until: of the pin; None when the ring would choose anew.

    head: the engagement that is next. waiting: why it has not been delivered. Both None when nothing is pending.
    parent: what the head waits for, if that is what keeps it. blocked: as domain/waiting.py says.
    attempt: the number of the one that runs now; it began at attempt_since or later.
    everything_paused_at: since when this pipeline stands still with all others.
    """

    user_id: str
    depth: int
    oldest_pending_age_seconds: float | None
    worker: str | None
    session_until: datetime | None
    lease: Lease | None
    paused: bool
    timeout_seconds: float | None
    head: UUID | None
    waiting: str | None
    parent: Parent | None = None
    blocked: bool = False
    attempt: int | None = None
    attempt_since: datetime | None = None
    everything_paused_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """before, after: the users from which the neighbouring pages go on; None at the ends."""

    pipelines: list[PipelineState]
    before: str | None
    after: str | None


def pipeline(user_id: str) -> PipelineState:
    """Raises NotFound."""
    found = {} if user_id_problem(user_id) else pipelines([user_id])
    if user_id not in found:
        raise NotFound.pipeline(user_id)
    return found[user_id]


def pipelines(user_ids: Sequence[str]) -> dict[str, PipelineState]:
    """Those of the users that have a pipeline, in one statement."""
    if not user_ids:
        return {}
    return {row["user_id"]: _state(row) for row in read_pipelines.details(current(), user_ids)}


def with_chain(user_id: str) -> list[PipelineState]:
    """This pipeline, and those behind which it waits, one behind the other: its head's parent's, and so on.

    The last one waits for no other pipeline, unless the chain is longer than CHAIN, or a circle. Two statements; empty
    when there is no such pipeline.
    """
    users = read_pipelines.waits_behind(current(), user_id, most=CHAIN)
    found = pipelines([user_id, *users])
    return [found[user] for user in (user_id, *users) if user in found] if user_id in found else []


def page(filters: dict[str, Any], *, start: str | None, backwards: bool, size: int) -> Page:
    """Ascending by user id. filters: of worker, paused, pending; only those given.

    A page may be short while more follow: the walk is bounded, and goes on with the next page.
    """
    found = read_pipelines.walk(current(), filters, start=start, backwards=backwards, limit=size + 1)
    users, more = found.users[:size], len(found.users) > size
    onward = users[-1] if more else found.scanned_to
    back = None
    if start is not None:  # an empty page leads back to the user it started behind
        back = users[0] if users else start + ("" if backwards else "\x01")
    found_states = pipelines(users)
    states = [found_states[user] for user in sorted(found_states, key=str.encode)]
    return Page(states, before=onward, after=back) if backwards else Page(states, before=back, after=onward)


def find(search: Search) -> Found:
    """The users of the pipelines that match, in the order asked for; a bounded number, and whether more may match."""
    return find_pipelines.find(current(), search)


def _state(row: dict[str, Any]) -> PipelineState:
    line = _line(row)
    pinned = row["session_until"] is not None and row["session_until"] > line.now and line.worker_alive
    lease = None
    if line.leased and row["lease_worker"] is not None:
        lease = Lease(row["lease_worker"], row["lease_token"], row["lease_until"])
    running = line.head if line.head and line.head.in_service and line.leased else None
    age = row["oldest_pending_age_seconds"]
    return PipelineState(
        user_id=row["user_id"],
        depth=row["depth"],
        oldest_pending_age_seconds=None if age is None else round(max(0.0, age), 3),
        worker=row["worker"] if pinned or row["due_at"] is not None else None,
        session_until=row["session_until"] if pinned else None,
        lease=lease,
        paused=row["paused_at"] is not None or row["everything_paused_at"] is not None,
        timeout_seconds=row["timeout_seconds"],
        head=row["head_id"],
        waiting=why_waiting(line),
        parent=line.head.parent if line.head else None,
        blocked=is_blocked(line, window=conf.reorder_window()),
        attempt=running.attempt if running else None,
        attempt_since=running.since if running else None,
        everything_paused_at=line.everything_paused_at,
    )


def _line(row: dict[str, Any]) -> Line:
    head = None
    if row["head_id"] is not None:
        parent = None
        if row["parent_id"] is not None:
            parent = Parent(
                id=row["parent_id"],
                status=row["parent_status"],
                user_id=row["parent_user_id"] or "",
                unordered=bool(row["parent_unordered"]),
                place=row["parent_place"],
            )
        head = PendingHead(
            channel=row["head_channel"],
            channel_kind=row["head_channel_kind"] or "",
            expires_at=row["head_expires_at"],
            held_until=row["head_held_until"],
            in_service=row["head_in_service"],
            attempt=row["head_attempt"],
            since=row["head_since"],
            parent=parent,
        )
    return Line(
        now=row["now"],
        head=head,
        paused_at=row["paused_at"],
        everything_paused_at=row["everything_paused_at"],
        due_at=row["due_at"],
        worker=row["worker"],
        worker_alive=row["worker"] in row["alive"],
        any_alive=bool(row["alive"]),
        lease_worker=row["lease_worker"],
        lease_until=row["lease_until"],
    )
