"""The use cases: what REST, admin, commands and other Python code call. Transactions and audit are here.

Each works inside the caller's own atomic() block; wake-ups are published on commit, and their loss is survived.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from engagements import audit, conf, liveness, wakeups
from engagements.domain.draft import Draft, read_draft, timeout_or_none, user_id_problem
from engagements.domain.errors import EngagementsError, FieldError, Invalid, NotFound
from engagements.domain.ring import UNORDERED_QUEUE, worker_of
from engagements.models import Channel, Engagement, Worker
from engagements.store import children, everything, operate, operate_many, pipelines
from engagements.store import produce as produce_store
from engagements.store.connection import current, spare_health_check
from engagements.store.deadlock import retried
from engagements.store.operate import LAST
from engagements.store.operate_many import Done
from engagements.store.produce import Duplicate, Produced
from engagements.store.rows import Stored

BULK_LIMIT = 1000
"""Engagements per bulk call: one transaction of some tens of milliseconds."""

RESUME_SECONDS = 1.0
"""How long resuming everything keeps its caller: some ten thousand users."""

BUSY_TRIES = 20
BUSY_SECONDS = 0.02
"""How often, and how far apart, a child's locked pipeline is tried: batches of an engine hold theirs for less."""


TEST_SECONDS = 10.0
"""How long a test may take, with its retries: longer nobody wants to look at a page for its answer."""


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
    drafts = [_draft_or_error(fields) for fields in engagements]
    outcomes = _store(drafts) if drafts else []
    return [_bulk_item(index, drafts[index], outcome) for index, outcome in enumerate(outcomes)]


def check_bulk(engagements: Sequence[Mapping[str, Any]]) -> list[BulkItem]:
    """What produce_bulk would answer to this list now, of any length; nothing is stored, and status "new" is for what
    would be. What comes in meanwhile may change the answer."""
    drafts = [_draft_or_error(fields) for fields in engagements]
    outcomes = produce_store.check(current(), drafts) if drafts else []
    return [
        BulkItem(index, draft.id if isinstance(draft, Draft) else None, "new")
        if outcome is None
        else _bulk_item(index, draft, outcome)
        for index, (draft, outcome) in enumerate(zip(drafts, outcomes, strict=True))
    ]


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


def pause_everything(*, actor: str, reason: str = "") -> None:
    """The same for all pipelines, new ones included; unordered engagements go on. Twice is once.

    Raises Conflict while everything is being resumed.
    """
    with transaction.atomic():
        everything.pause(current())
        audit.record(actor, "pause everything", "all pipelines", reason=reason)


def resume_everything(*, actor: str, reason: str = "") -> None:
    """Go on, every pending deadline moved by the time it stood still; what was paused on its own stays so.

    Users go on in ascending order. What takes longer than a second is finished by the workers and by beat, whatever
    becomes of the caller.
    """
    with transaction.atomic():
        if everything.begin_resume(current()):
            audit.record(actor, "resume everything", "all pipelines", reason=reason)
    until = time.monotonic() + RESUME_SECONDS
    while resume_more() and time.monotonic() < until:
        pass


def resume_more() -> bool:
    """One step of resuming everything; whether there is more to do at once."""
    resumed = everything.resume_some(current())
    _wake_on_commit(resumed.wake)
    return resumed.more


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
    calling again goes on. Who is busy comes last, and keeps nobody else waiting.
    """
    worker = worker_of(name)
    total = 0
    if name == UNORDERED_QUEUE:
        upto = operate.last_arrival(current())
        while True:
            purged = _in_batch(partial(purge_some_unordered, upto=upto), _queue_record(name, actor, reason)).number
            total += purged
            if purged < BULK_LIMIT:
                break
    elif worker is not None and known_worker(worker):
        after, busy = "", list[str]()
        while users := operate.queue_users(current(), worker, after=after):
            light = operate_many.light(current(), users)
            done = _in_batch(partial(purge_some, light), _queue_record(name, actor, reason))
            total += done.number
            busy += done.busy
            after = light[-1]
        for user in busy:
            total += _in_batch(partial(_purge_waiting, user), _queue_record(name, actor, reason)).number
        if not after:  # that there was nothing to purge is worth an entry, too
            audit.record(actor, "purge queue", name, count=0, reason=reason)
    else:
        raise NotFound(f"there is no queue {name!r}; GET /api/v1/queues/ lists them")
    return total


def purge_some(users: Sequence[str], *, upto: int = LAST) -> Done:
    """Part of the caller's transaction, which records it: purge these users, but for those who are busy.

    upto: the greatest arrival number that is purged.
    """
    done = operate_many.purge(current(), users, upto=upto)
    _wake_on_commit(done.wake)
    _wake_children_on_commit(done.settled)
    return done


def purge_some_unordered(*, upto: int = LAST) -> Done:
    """The same for up to 1,000 unordered engagements."""
    ids = operate.purge_unordered(current(), limit=BULK_LIMIT, upto=upto)
    _wake_children_on_commit(ids)
    return Done(number=len(ids))


def pause_some(users: Sequence[str]) -> Done:
    """The same for pausing."""
    return operate_many.pause(current(), users)


def resume_some(users: Sequence[str]) -> Done:
    """The same for resuming."""
    done = operate_many.resume(current(), users)
    _wake_on_commit(done.wake)
    return done


def replay_some(ids: Sequence[UUID], *, behind: Collection[str] = ()) -> Done:
    """The same for replaying; those of one user keep their order. behind: users left out as if they were busy."""
    done = operate_many.replay(current(), ids, liveness.ring(), behind=behind)
    _wake_on_commit(done.wake)
    if done.unordered:
        transaction.on_commit(wakeups.wake_unordered, robust=True)
    return done


def _purge_waiting(user: str) -> Done:
    ids = operate.purge(current(), [user])
    _wake_children_on_commit(ids)
    return Done(number=len(ids))


def _queue_record(queue: str, actor: str, reason: str) -> Callable[[Done], None]:
    return lambda done: audit.record(actor, "purge queue", queue, count=done.number, reason=reason)


def _in_batch(some: Callable[[], Done], record: Callable[[Done], None]) -> Done:
    def once() -> Done:
        with transaction.atomic():
            done = some()
            record(done)
        return done

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


def send_test(channel: str, *, id: UUID, actor: str) -> Engagement:
    """Produce a test engagement by this channel, also by one that is switched off.

    It takes the way of all others, to the channel's own receiver, but goes past every pipeline and pause: it is
    unordered, of the user `test:<channel>`, and expires after TEST_SECONDS. The same id again is the same test.
    Raises NotFound, or IdReused.
    """
    if not Channel.objects.filter(name=channel).exists():
        raise NotFound(f"there is no channel {channel!r}; GET /api/v1/channels/ lists them")
    draft = read_draft(
        {
            "id": str(id),
            "user_id": f"{conf.TEST_USER}{channel}",
            "payload": {"test": True, "text": f"A test of channel {channel}"},
            "unordered": True,
            "channel": channel,
            "timeout_seconds": TEST_SECONDS,
        }
    )
    with transaction.atomic():
        [outcome] = _store([draft], switched_off=True)
        if isinstance(outcome, EngagementsError):
            raise outcome
        if isinstance(outcome, Stored):
            audit.record(actor, "test channel", f"{channel} {id}")
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


def _store(
    drafts: Sequence[Draft | EngagementsError], *, switched_off: bool = False
) -> Sequence[Stored | Duplicate | EngagementsError]:
    def once() -> Produced:
        spare_health_check()
        with transaction.atomic():
            produced = produce_store.insert(current(), drafts, liveness.ring(), switched_off=switched_off)
            _wake_on_commit(produced.wake)
            if produced.unordered:
                transaction.on_commit(wakeups.wake_unordered, robust=True)
            _wake_children_on_commit(produced.named)
            return produced

    return retried(once).outcomes


def _draft_or_error(fields: Mapping[str, Any]) -> Draft | EngagementsError:
    try:
        return read_draft(fields)
    except Invalid as error:
        return error


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


def known_worker(name: str) -> bool:
    """Whether there is a queue of that worker, alive or not."""
    return Worker.objects.filter(name=name).exists()
