"""The use cases: what REST, admin, commands and other Python code call. Transactions and audit are here.

Each works inside the caller's own atomic() block; wake-ups are published on commit, and their loss is survived.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from engagements import audit, liveness, wakeups
from engagements.domain.draft import Draft, read_draft, timeout_or_none, user_id_problem
from engagements.domain.errors import EngagementsError, FieldError, Invalid, NotFound
from engagements.domain.ring import UNORDERED_QUEUE, worker_of
from engagements.models import Engagement, Worker
from engagements.store import children, operate, pipelines
from engagements.store import produce as produce_store
from engagements.store.connection import current
from engagements.store.deadlock import retried
from engagements.store.produce import Duplicate, Produced
from engagements.store.rows import Stored

BULK_LIMIT = 1000
"""Engagements per bulk call: one transaction of some tens of milliseconds."""

BUSY_TRIES = 20
BUSY_SECONDS = 0.02
"""How often, and how far apart, a child's locked pipeline is tried: batches of an engine hold theirs for less."""


@dataclass(frozen=True, slots=True)
class Result:
    """One produced engagement; created is False when the same id and content came before."""

    engagement: Engagement
    created: bool


@dataclass(frozen=True, slots=True)
class BulkItem:
    """What became of one item of a bulk: status is created, duplicate or refused (then with the error)."""

    index: int
    id: UUID | None
    status: str
    error: EngagementsError | None = None


def produce(**fields: Any) -> Result:
    """Store one engagement; fields as in the API (user_id, payload, and optionally id, produced_at, causal_parent,
    unordered, channel, timeout_seconds).

    Inside an atomic() block it is part of that transaction; once that commits it will end in exactly one final status.
    Raises Invalid with one error per wrong field, or IdReused; nothing is stored then.
    """
    draft = read_draft(fields)
    [outcome] = _store([draft])
    if isinstance(outcome, EngagementsError):
        raise outcome
    if isinstance(outcome, Duplicate):
        return Result(Engagement.objects.get(id=outcome.id), created=False)
    return Result(_engagement(outcome, fields["payload"]), created=True)


def produce_bulk(engagements: Sequence[Mapping[str, Any]]) -> list[BulkItem]:
    """Store up to 1,000 engagements in list order, in one transaction; one answer per item, in order.

    What is refused does not keep the others from being stored. Raises Invalid for a list that is too long.
    """
    if len(engagements) > BULK_LIMIT:
        raise Invalid.field("engagements", f"holds {len(engagements)} engagements; the limit is {BULK_LIMIT} per call")
    drafts: list[Draft | EngagementsError] = []
    for fields in engagements:
        try:
            drafts.append(read_draft(fields))
        except Invalid as error:
            drafts.append(error)
    outcomes = _store(drafts) if drafts else []
    return [_bulk_item(index, drafts[index], outcome) for index, outcome in enumerate(outcomes)]


def pause(user_id: str, *, actor: str, reason: str = "") -> None:
    """Nothing of this user starts from now; the deadlines stand still. Creates an unknown pipeline."""
    _check_user(user_id)
    with transaction.atomic():
        operate.pause(current(), user_id)
        audit.record(actor, "pause", user_id, reason=reason)


def resume(user_id: str, *, actor: str, reason: str = "") -> None:
    """Go on; every pending deadline moves by the time it stood still. Raises NotFound."""
    with transaction.atomic():
        pipelines.must_exist(current(), user_id)
        worker = operate.resume(current(), user_id)
        audit.record(actor, "resume", user_id, reason=reason)
        if worker is not None:
            _wake_on_commit({worker: [user_id]})


def purge(user_id: str, *, actor: str, reason: str = "") -> int:
    """Settle everything pending of this user as purged; how many. Raises NotFound."""
    with transaction.atomic():
        pipelines.must_exist(current(), user_id)
        ids = operate.purge(current(), [user_id])
        audit.record(actor, "purge", user_id, count=len(ids), reason=reason)
        _wake_children_on_commit(ids)
    return len(ids)


def purge_queue(name: str, *, actor: str, reason: str = "") -> int:
    """Purge all users of a worker's queue, or all unordered engagements; how many. Raises NotFound.

    In transactions of some hundred users each, every one with its audit entry: a crash leaves whole batches purged, and
    calling again goes on.
    """
    worker = worker_of(name)
    total = 0
    if name == UNORDERED_QUEUE:
        while True:
            purged = _purge(name, lambda: operate.purge_unordered(current(), limit=BULK_LIMIT), actor, reason)
            total += purged
            if purged < BULK_LIMIT:
                break
    elif worker is not None and _known_worker(worker):
        after = ""
        while users := operate.queue_users(current(), worker, after=after):
            total += _purge(name, partial(_purge_users, users), actor, reason)
            after = users[-1]
        if not after:  # that there was nothing to purge is worth an entry, too
            audit.record(actor, "purge queue", name, count=0, reason=reason)
    else:
        raise NotFound(f"there is no queue {name!r}; GET /api/v1/queues/ lists them")
    return total


def _purge_users(users: list[str]) -> list[UUID]:
    return operate.purge(current(), users)


def _purge(queue: str, some: Callable[[], Sequence[UUID]], actor: str, reason: str) -> int:
    def once() -> int:
        with transaction.atomic():
            ids = some()
            audit.record(actor, "purge queue", queue, count=len(ids), reason=reason)
            _wake_children_on_commit(ids)
        return len(ids)

    return retried(once)


def skip(user_id: str, id: UUID, *, actor: str, reason: str = "") -> None:
    """Settle the head of a pipeline as purged. Raises NotFound, or Conflict when it is no longer the head."""
    with transaction.atomic():
        pipelines.must_exist(current(), user_id)
        skipped = operate.skip(current(), user_id, id)
        audit.record(actor, "skip", f"{user_id} {id}", reason=reason)
        _wake_children_on_commit(skipped.ids)
        _wake_on_commit(skipped.wake)


def end_session(user_id: str, *, actor: str, reason: str = "") -> None:
    """Let the ring choose the worker anew once the pending work is done. Raises NotFound."""
    with transaction.atomic():
        pipelines.must_exist(current(), user_id)
        operate.end_session(current(), user_id)
        audit.record(actor, "end session", user_id, reason=reason)


def set_timeout(user_id: str, seconds: object, *, actor: str) -> None:
    """The pending time-out of this user's new engagements, in seconds; None: the default. Creates the pipeline."""
    _check_user(user_id)
    errors: list[FieldError] = []
    value = timeout_or_none(seconds, errors)
    if errors:
        raise Invalid(errors)
    with transaction.atomic():
        operate.set_timeout(current(), user_id, value)
        audit.record(actor, "set time-out", user_id, reason="default" if value is None else f"{value:g} s")


def replay(id: UUID, *, actor: str, reason: str = "") -> Engagement:
    """Give a failed or expired engagement a new life at the end of its pipeline. Raises NotFound or Conflict."""

    def once() -> None:
        with transaction.atomic():
            replayed = operate.replay(current(), id, liveness.ring())
            audit.record(actor, "replay", str(id), reason=reason)
            if replayed.unordered:
                transaction.on_commit(wakeups.wake_unordered, robust=True)
            else:
                _wake_on_commit({replayed.worker: [replayed.user_id]})

    retried(once)
    return Engagement.objects.get(id=id)


def wake_children(parents: Sequence[UUID]) -> None:
    """Announce the users with a pending child of these, which settled or came.

    A pipeline that somebody has locked is tried again for a moment; the poll mends what a crash or longer lock leaves.
    """
    users = children.users_of(current(), parents)
    for _ in range(BUSY_TRIES):
        if not users:
            break
        woken = children.wake(current(), users)
        wakeups.wake(woken.wake)
        users = woken.busy
        if users:
            time.sleep(BUSY_SECONDS)


def _store(drafts: Sequence[Draft | EngagementsError]) -> Sequence[Stored | Duplicate | EngagementsError]:
    def once() -> Produced:
        with transaction.atomic():
            produced = produce_store.insert(current(), drafts, liveness.ring())
            _wake_on_commit(produced.wake)
            if produced.unordered:
                transaction.on_commit(wakeups.wake_unordered, robust=True)
            _wake_children_on_commit(produced.named)
            return produced

    return retried(once).outcomes


def _engagement(stored: Stored, payload: Any) -> Engagement:
    return Engagement(
        id=stored.id,
        user_id=stored.draft.user_id,
        payload=payload,
        produced_at=stored.produced_at,
        received_at=stored.received_at,
        expires_at=stored.expires_at,
        settled_at=stored.received_at if stored.status.settled else None,
        order_time=stored.order_time,
        held_until=stored.held_until,
        status=stored.status.value,
        causal_parent=stored.draft.causal_parent,
        unordered=stored.draft.unordered,
        channel_id=stored.channel,
        late=stored.late,
        timeout_seconds=stored.draft.timeout_seconds,
        last_error=stored.last_error,
    )


def _bulk_item(index: int, draft: Draft | EngagementsError, outcome: Stored | Duplicate | EngagementsError) -> BulkItem:
    if isinstance(outcome, Stored):
        return BulkItem(index, outcome.id, "created")
    if isinstance(outcome, Duplicate):
        return BulkItem(index, outcome.id, "duplicate")
    return BulkItem(index, draft.id if isinstance(draft, Draft) else None, "refused", outcome)


def _wake_on_commit(users: Mapping[str | None, Sequence[str]]) -> None:
    if users:
        transaction.on_commit(lambda: wakeups.wake(users), robust=True)


def _wake_children_on_commit(ids: Sequence[UUID]) -> None:
    if ids:
        transaction.on_commit(lambda: wake_children(ids), robust=True)


def _check_user(user_id: str) -> None:
    problem = user_id_problem(user_id)
    if problem:
        raise Invalid.field("user_id", problem)


def _known_worker(name: str) -> bool:
    return Worker.objects.filter(name=name).exists()
