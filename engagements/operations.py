"""The use cases around actions on many: shown first, confirmed with a reason, done batch by batch, stopped, reported.

What an operation acts on is fixed when it is shown: its keys wait in its row. Nothing of it depends on who began it:
the request that confirms it does what a second allows, and workers and beat go on.
"""

import logging
import time
from collections.abc import Sequence
from functools import partial
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Sum
from django.utils import timezone

from engagements import audit, services
from engagements.domain.errors import Conflict, NotFound
from engagements.domain.ring import UNORDERED_QUEUE, worker_of
from engagements.models import AuditEntry, Operation
from engagements.selectors.operations import handled as handled
from engagements.selectors.operations import one as one
from engagements.selectors.operations import running as running
from engagements.selectors.operations import without_keys
from engagements.services import BULK_LIMIT
from engagements.store import operate, operate_many, read_operations
from engagements.store.connection import current
from engagements.store.deadlock import retried
from engagements.store.operate_many import Done

logger = logging.getLogger("engagements.operations")

KEYS = 100_000
"""Pipelines or engagements that one operation takes: the first of them, and its page says that there are more."""

BATCH = 500
"""Pipelines looked at per transaction: some ten milliseconds of row locks."""

REPLAYS = 200
"""Engagements replayed per transaction: about as long."""

REQUEST_SECONDS = 1.0
"""How long a confirmation keeps its caller: smaller ones are done when the page comes back."""

TOLERANCE = 0.1
"""By how much the number may have grown since it was shown: a tenth."""

REFUSALS = 100
"""Refusals kept with their reasons; the others are counted."""

Action = Operation.Action


class Grown(Conflict):
    """By more than a tenth over what was shown; nothing was done, and the new number is shown from now on."""

    def __init__(self, now: int, shown: int) -> None:
        super().__init__(f"it is {now:,} by now, and {shown:,} were shown")


def prepare(action: str, keys: Sequence[str], *, scope: str, actor: str, selected: bool) -> Operation:
    """Keep what an action would act on, to be shown; nothing is done yet.

    keys: users ascending, or the ids of engagements in order of their arrival; beyond KEYS they are left out, and
    `more` says so. scope: the same in words. selected: one by one, so that the audit names each.
    """
    taken = list(keys[:KEYS])
    shown = read_operations.of_users(current(), taken).engagements if action == Action.PURGE else len(taken)
    return Operation.objects.create(
        token=uuid4(),
        action=action,
        actor=actor,
        scope=scope[:300],
        selected=selected,
        keys=taken,
        more=len(keys) > KEYS,
        shown=shown,
        total=len(taken),
    )


def prepare_queue(name: str, *, actor: str) -> Operation:
    """The same for purging a queue: of all its users, or of the unordered engagements; not kept where none is pending.

    Raises NotFound.
    """
    worker = worker_of(name)
    if name != UNORDERED_QUEUE and (worker is None or not services.known_worker(worker)):
        raise NotFound(f"there is no queue {name!r}")
    operation = Operation(
        token=uuid4(), action=Action.PURGE_QUEUE, actor=actor, scope=name, queue=name, shown=0, total=0
    )
    _count(operation)
    if operation.shown:
        operation.save(force_insert=True)
    return operation


def confirm(token: UUID, *, shown: int, actor: str, reason: str) -> Operation:
    """Begin it, and do what a second allows; its state then. Confirmed twice, it is one operation.

    shown: the number that whoever confirms has seen. Raises NotFound for an operation of somebody else, too, and Grown.
    """
    now = _begin(token, shown=shown, actor=actor, reason=reason)
    if now is not None:
        raise Grown(now, shown)
    until = time.monotonic() + REQUEST_SECONDS
    while step(token) and time.monotonic() < until:
        pass
    return one(token)


def go_on(*, seconds: float) -> bool:
    """Go on with all that are under way, a batch of each in turn, for about that long; whether there is more to do."""
    until = time.monotonic() + seconds
    tokens = [operation.token for operation in running()]
    while tokens and time.monotonic() < until:
        tokens = [token for token in tokens if step(token)]
    return bool(tokens)


def step(token: UUID) -> bool:
    """One batch, in a transaction; whether there is more to do at once.

    Does nothing while somebody else is at it. An error that no other try can mend ends the operation, and its page
    tells of it: what was done stays done.
    """
    try:
        return retried(partial(_step, token))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("operation %s ended by an error", token)
        _end(token, problem=str(error))
        return False


def stop(token: UUID, *, actor: str) -> None:
    """End it after the batch that is being done; twice is once. Raises NotFound, or Conflict where it has ended."""
    ended = _end(token, stopped_by=actor)
    if ended is None:
        raise NotFound("there is no such operation, or not any more")
    if not ended.stopped_by:
        raise Conflict("it has ended already")


def _end(token: UUID, *, stopped_by: str = "", problem: str = "") -> Operation | None:
    """End it, unless it has ended; how it stands."""
    with transaction.atomic():
        operation = without_keys().select_for_update().filter(token=token, started_at__isnull=False).first()
        if operation is None or operation.finished_at is not None:
            return operation
        operation.stopped_by, operation.problem = stopped_by, problem
        operation.finished_at = timezone.now()
        operation.save(update_fields=["stopped_by", "problem", "finished_at"])
        _record_rest(operation)
        if stopped_by:
            reason = f"{operation.action}: {operation.done:,} done"
            audit.record(stopped_by, "stop", operation.scope, count=0, reason=reason, operation=token)
        return operation


def _begin(token: UUID, *, shown: int, actor: str, reason: str) -> int | None:
    """Set it going; the number as it is now where that has grown too much. Not a second time."""
    with transaction.atomic():
        operation = without_keys().select_for_update().filter(token=token, actor=actor).first()
        if operation is None:
            raise NotFound("there is no such operation of yours; they wait for a day to be confirmed")
        if operation.started_at is not None:
            return None
        upto = operate.last_arrival(current())
        _count(operation)
        grown = operation.shown > shown * (1 + TOLERANCE)
        if not grown:
            operation.started_at, operation.upto, operation.reason = timezone.now(), upto, reason[:500]
        operation.save(update_fields=["started_at", "upto", "reason", "shown", "total"])
        return operation.shown if grown else None


def _count(operation: Operation) -> None:
    """Set shown and total to what they are now; what is named by its keys can only have grown within them."""
    conn = current()
    if operation.queue == UNORDERED_QUEUE:
        operation.shown = operation.total = read_operations.unordered(conn)
    elif operation.queue:
        operation.total, operation.shown = read_operations.of_worker(conn, worker_of(operation.queue) or "")
    elif operation.action == Action.PURGE:
        operation.shown = read_operations.of_keys(conn, operation.token).engagements


def _step(token: UUID) -> bool:
    with transaction.atomic():
        locked = without_keys().select_for_update(skip_locked=True)
        operation = locked.filter(token=token, started_at__isnull=False, finished_at__isnull=True).first()
        if operation is None:
            return False
        if operation.queue == UNORDERED_QUEUE:
            done, more = _unordered_batch(operation)
        elif batch := _next(operation):
            done, more = _batch(operation, batch), True
            operation.busy += done.busy
        else:
            done, more = _busy_batch(operation)
        operation.done += done.number
        operation.refused += len(done.refused)
        room = REFUSALS - len(operation.refusals)
        operation.refusals += [[str(id), why] for id, why in list(done.refused.items())[:room]]
        if not more and not operation.busy:
            operation.finished_at = timezone.now()
        _record(operation, done)
        operation.save(
            update_fields=["taken", "cursor", "busy", "done", "refused", "refusals", "finished_at"],
        )
        return more


def _next(operation: Operation) -> list[str]:
    """The keys of the next batch, taken off what is left."""
    conn = current()
    if operation.queue:
        worker = worker_of(operation.queue) or ""
        batch = operate_many.light(conn, operate.queue_users(conn, worker, after=operation.cursor))
        operation.cursor = batch[-1] if batch else operation.cursor
    elif operation.action == Action.REPLAY:
        batch = read_operations.keys(conn, operation.token, after=operation.taken, limit=REPLAYS)
    else:
        batch = read_operations.keys(conn, operation.token, after=operation.taken, limit=BATCH)
        if operation.action != Action.PAUSE:
            batch = operate_many.light(conn, batch)
    operation.taken += len(batch)
    return batch


def _batch(operation: Operation, keys: Sequence[str]) -> Done:
    match operation.action:
        case Action.PAUSE:
            return services.pause_some(keys)
        case Action.RESUME:
            return services.resume_some(keys)
        case Action.REPLAY:
            # One that comes behind another of its user, which had to be left for later, waits as well.
            waiting = _owners(operation.busy) if operation.busy else {}
            return services.replay_some([UUID(key) for key in keys], behind=set(waiting.values()))
    return services.purge_some(keys, upto=operation.upto or 0)


def _unordered_batch(operation: Operation) -> tuple[Done, bool]:
    done = services.purge_some_unordered(upto=operation.upto or 0)
    return done, done.number == BULK_LIMIT


def _busy_batch(operation: Operation) -> tuple[Done, bool]:
    """Those left for later: all who are free by now, else the first of them alone, in line for a second."""
    waiting, operation.busy = operation.busy, []
    if not waiting:
        return Done(), False
    tried, rest = waiting[:REPLAYS], waiting[REPLAYS:]
    done = _batch(operation, tried)
    if len(done.busy) == len(tried):
        done = _in_line(operation, tried) or done
    operation.busy = _behind_the_others(operation, done.busy, rest)
    return done, len(done.busy) < len(tried)


def _behind_the_others(operation: Operation, stuck: list[str], rest: list[str]) -> list[str]:
    """Who was not to be had goes to the end; replays of one user stay in their order."""
    if operation.action != Action.REPLAY or not stuck or not rest:
        return rest + stuck
    users = _owners([*stuck, *rest])
    theirs = {users[key] for key in stuck}
    return [
        *(key for key in rest if users.get(key) not in theirs),
        *stuck,
        *(key for key in rest if users.get(key) in theirs),
    ]


def _in_line(operation: Operation, keys: Sequence[str]) -> Done | None:
    """The same keys once the first one's pipeline is to be had; None when its turn has not come."""
    user = _owners(keys[:1]).get(keys[0]) if operation.action == Action.REPLAY else keys[0]
    if user is None:
        return None
    return operate_many.in_line(current(), user, lambda _: _batch(operation, keys))


def _owners(keys: Sequence[str]) -> dict[str, str]:
    return operate_many.owners(current(), [UUID(key) for key in keys])


def _record(operation: Operation, done: Done) -> None:
    """Of what was selected one by one, an entry for each. Else one for the first batch, and at the end for the rest: in
    between this row tells, which stays until then."""
    if operation.selected and done.number:
        audit.record_each(
            operation.actor, operation.action, done.counts, reason=operation.reason, operation=operation.token
        )
    elif operation.done == done.number > 0:
        _record_rest(operation)
    if operation.finished_at is not None:
        _record_rest(operation)


def _record_rest(operation: Operation) -> None:
    """What no entry has told of yet; that nothing was done is worth one, too."""
    told = AuditEntry.objects.filter(operation=operation.token).aggregate(count=Sum("count"))["count"]
    if told is not None and told == operation.done:
        return
    action = operation.action if operation.queue else f"{operation.action} many"
    audit.record(
        operation.actor,
        action,
        operation.scope,
        count=operation.done - (told or 0),
        reason=operation.reason,
        operation=operation.token,
    )
