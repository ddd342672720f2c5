"""What an action on many says about itself: before it is confirmed, and while it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements import operations
from engagements.admin import addresses, display
from engagements.admin.confirmation import Confirmation
from engagements.admin.read_only import permitted
from engagements.domain.ring import UNORDERED_QUEUE, worker_of
from engagements.models import Operation
from engagements.operations import KEYS, Action
from engagements.store import read_operations
from engagements.store.connection import current
from engagements.store.read_operations import COUNTED, SAMPLE, Children, One

LOOKED_AT = 1_000
"""Of the pipelines concerned: those that the sample and the number of waiting children are taken from."""

Text = str | SafeString

GOES_ON = (
    "It is done in batches. What takes longer than a second is finished by the workers, whether a page stays open or "
    "not; it can be stopped, and what is done by then stays done."
)

PURGED = "will be settled as purged and never delivered, those in service included."

DONE = {
    Action.PURGE: "purged",
    Action.PURGE_QUEUE: "purged",
    Action.PAUSE: "paused",
    Action.RESUME: "resumed",
    Action.REPLAY: "replayed",
}


def counted(operation: Operation, number: int) -> str:
    """So many of what it acts on."""
    return display.number(number, "pipeline" if operation.action in (Action.PAUSE, Action.RESUME) else "engagement")


def shown(operation: Operation) -> str:
    """The number that the confirmation shows; a queue of more than can be counted in time says so."""
    if operation.queue == UNORDERED_QUEUE and operation.shown > COUNTED:
        return f"more than {COUNTED:,} engagements"
    return counted(operation, operation.shown)


def title(operation: Operation) -> str:
    """Of its page, once it is confirmed."""
    verb = "purge" if operation.queue else operation.action
    return f"{verb.capitalize()} {operation.scope}"


@dataclass(frozen=True, slots=True)
class Running:
    """One that is under way, in a line."""

    title: str
    address: str
    percent: int
    done: str


def running(request: HttpRequest, found: Sequence[Operation]) -> list[Running]:
    """Those under way, for who may see them, as the audit tells the same."""
    if not permitted(request, "view_auditentry"):
        return []
    return [
        Running(
            title(one),
            addresses.operation(one.token),
            percent(one),
            f"{counted(one, one.done)} {DONE[Action(one.action)]}",
        )
        for one in found
    ]


def percent(operation: Operation) -> int:
    """Of the way that lies behind it; all of it only at its end."""
    if operation.finished_at is not None and not operation.stopped_by and not operation.problem:
        return 100
    return min(99, int(100 * operations.handled(operation) / max(1, operation.total)))


def confirmation(operation: Operation, back: str) -> Confirmation:
    """What the operator is about to do."""
    say = {
        Action.PURGE: _purge,
        Action.PURGE_QUEUE: _purge_unordered if operation.queue == UNORDERED_QUEUE else _purge_queue,
        Action.PAUSE: _pause,
        Action.RESUME: _resume,
        Action.REPLAY: _replay,
    }
    effects, sample, concerned = say[Action(operation.action)](operation)
    if operation.more:
        effects.append(
            f"More match than the {KEYS:,} that one operation takes: these are the first. Repeat it for the rest."
        )
    verb = "Purge" if operation.queue else operation.action.capitalize()
    of = f" of {display.number(operation.total, 'pipeline')}" if operation.action == Action.PURGE else ""
    return Confirmation(
        title=f"{verb} {shown(operation)}{of}?",
        verb=verb,
        effects=[format_html("Chosen: {}.", operation.scope), *effects, GOES_ON],
        hidden=[("shown", str(operation.shown))],
        sample=sample,
        more=max(0, concerned - len(sample)),
        back=back,
    )


Said = tuple[list[Text], Sequence[SafeString], int]


def _purge(operation: Operation) -> Said:
    users = read_operations.keys(current(), operation.token, after=0, limit=LOOKED_AT)
    effects: list[Text] = [
        f"{shown(operation)} of {display.number(operation.total, 'user')} {PURGED}",
        "What arrives after you confirm is not purged. Unordered engagements stay: they are not in a pipeline.",
        *_released(read_operations.children_of_users(current(), users), bounded=operation.total > len(users)),
    ]
    sample = [_pipeline(user, depth) for user, depth in read_operations.deepest(current(), users)]
    return effects, sample, operation.total


def _purge_queue(operation: Operation) -> Said:
    users = read_operations.some_of_worker(current(), worker_of(operation.queue) or "", limit=LOOKED_AT)
    effects: list[Text] = [
        f"{shown(operation)} of {display.number(operation.total, 'user')} of this worker {PURGED}",
        "What arrives after you confirm is not purged. Unordered engagements stay: they have a queue of their own.",
        *_released(read_operations.children_of_users(current(), users), bounded=operation.total > len(users)),
    ]
    sample = [_pipeline(user, depth) for user, depth in read_operations.deepest(current(), users)]
    return effects, sample, operation.total


def _purge_unordered(operation: Operation) -> Said:
    effects: list[Text] = [
        f"{shown(operation).capitalize()} that are in no pipeline will be settled as purged and never delivered.",
        "What arrives after you confirm is not purged. Attempts that run are cut; the receiver may have got them.",
        *_released(read_operations.children_of_unordered(current()), bounded=False),
    ]
    return effects, [_one(row) for row in read_operations.oldest_unordered(current())], operation.shown


def _pause(operation: Operation) -> Said:
    effects: list[Text] = [
        "Nothing of these users starts from then on, retries included. Attempts that run may finish.",
        "Their deadlines stand still. Others' engagements that wait for theirs do so until deadlines of their own.",
        "Unordered engagements go on being delivered, and everything is still accepted.",
    ]
    return effects, _users(operation), operation.total


def _resume(operation: Operation) -> Said:
    effects: list[Text] = [
        "These users go on, and every pending deadline moves by the time it stood still.",
        "Children that wait for a parent of theirs go ahead once it is settled.",
    ]
    return effects, _users(operation), operation.total


def _replay(operation: Operation) -> Said:
    effects: list[Text] = [
        f"{shown(operation)} will be pending again: exactly these, whatever else fails meanwhile.",
        "Each goes to the end of its pipeline, with a fresh deadline and a new sequence; a user's keep their order.",
        "They wait for no causal parent, and no child waits for them.",
    ]
    ids = read_operations.keys(current(), operation.token, after=0, limit=SAMPLE)
    return effects, [_one(row) for row in read_operations.engagements(current(), ids)], operation.total


def _released(children: Children, *, bounded: bool) -> list[Text]:
    """What becomes of those who wait for what is purged."""
    if not children.number:
        found = "none was found in a first look" if children.bounded or bounded else "there are none"
        return [f"Engagements of others that wait for one of these as their causal parent go ahead; {found}."]
    least = "At least " if children.bounded or bounded else ""
    what = "engagement of another user waits" if children.number == 1 else "engagements of other users wait"
    return [f"{least}{children.number:,} {what} for what is purged: their wait ends, and they go ahead."]


def _users(operation: Operation) -> list[SafeString]:
    users = read_operations.keys(current(), operation.token, after=0, limit=LOOKED_AT)
    return [_pipeline(user, depth) for user, depth in read_operations.deepest(current(), users)]


def _pipeline(user: str, depth: int) -> SafeString:
    return format_html('{} <span class="quiet">{} pending</span>', display.user(user), f"{depth:,}")


def _one(row: One) -> SafeString:
    return format_html(
        '{} {} <span class="quiet">{}, received {}</span>',
        display.engagement(row.id, "short"),
        display.user(row.user_id),
        row.status,
        display.since(row.received_at),
    )
