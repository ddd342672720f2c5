"""What an entry of the audit is about, with links to it. It may be gone by now; its page says so then."""

from collections.abc import Callable

from django.utils.html import format_html
from django.utils.safestring import SafeString

from engagements.admin import addresses, display
from engagements.domain.draft import uuid_or_none
from engagements.domain.ring import UNORDERED_QUEUE, worker_of
from engagements.models import AuditEntry

Text = SafeString | str


def linked(entry: AuditEntry) -> Text:
    """The target as a link, where its action tells what kind of thing that is; else its text. Of an action on many,
    with a link to that."""
    show = _KINDS.get(entry.action)
    text = display.visible(entry.target) if show is None else show(entry.target)
    if entry.operation is None:
        return text
    link = format_html('<a href="{}">{}</a>', addresses.operation(entry.operation), "operation" if show else text)
    return format_html("{} <small>{}</small>", text, link) if show else link


def _engagement(target: str, form: str = "long") -> Text:
    id = uuid_or_none(target)
    return display.visible(target) if id is None else display.engagement(id, form)


def _head(target: str) -> Text:
    """Of a skip: the user, a space, and the engagement."""
    user, _, id = target.rpartition(" ")
    return format_html("{} {}", display.user(user), _engagement(id, "short")) if user else display.visible(target)


def _queue(target: str) -> Text:
    if target == UNORDERED_QUEUE:
        address = addresses.listing("engagement", unordered="1")
    elif (worker := worker_of(target)) is not None:
        address = addresses.listing("pipeline", worker=worker)
    else:
        return display.visible(target)
    return format_html('<a class="delivery-queue" href="{}">{}</a>', address, display.visible(target))


def _queues(target: str) -> Text:
    return format_html('<a href="{}">{}</a>', addresses.listing("worker"), display.visible(target))


def _test(target: str) -> Text:
    """The channel, a space, and the engagement that was sent."""
    channel, _, id = target.rpartition(" ")
    return format_html("{} {}", _channel(channel), _engagement(id, "short")) if channel else display.visible(target)


def _channel(target: str) -> Text:
    return format_html('<a href="{}">{}</a>', addresses.channel(target), display.visible(target))


_KINDS: dict[str, Callable[[str], Text]] = {
    **dict.fromkeys(("pause", "resume", "purge", "end session", "set time-out"), display.user),
    **dict.fromkeys(("pause everything", "resume everything"), _queues),
    **dict.fromkeys(("create channel", "change channel", "rotate secret"), _channel),
    "skip": _head,
    "test channel": _test,
    "replay": _engagement,
    "purge queue": _queue,
}
"""By action of engagements/services.py and engagements/channels.py."""
