"""How values look on the admin's pages. Everything is escaped here; templates and lists only place it."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engagements.admin import addresses
from engagements.models import Engagement

EMPTY = "\u2013"

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def moment(value: datetime | None) -> SafeString | str:
    """A time to the millisecond; the exact value with its zone on hover."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value)
    text = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"
    return _time(value, text)


def moment_of(value: datetime | None) -> SafeString | str:
    """A time for a column of many: without the date when that is today's."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value)
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
    text = clock if local.date() == timezone.localdate() else f"{local:%b} {local.day}, {clock[:8]}"
    return _time(value, text)


def duration(value: timedelta | float | None) -> str:
    """A length of time in at most two units: 3.2 s, 4 min 10 s, 2 d 3 h."""
    if value is None:
        return EMPTY
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for name, size in _UNITS:
        if whole >= size:
            count, rest = divmod(whole, size)
            smaller, smaller_size = {"d": ("h", 3_600), "h": ("min", 60), "min": ("s", 1)}[name]
            parts = [f"{count} {name}"]
            if rest // smaller_size:
                parts.append(f"{rest // smaller_size} {smaller}")
            return " ".join(parts)
    return f"{whole} s"


def since(value: datetime | None) -> SafeString | str:
    """How long ago; the exact time on hover."""
    return _relative(value, "{} ago")


def until(value: datetime | None) -> SafeString | str:
    """How long from now; a time that has passed says so."""
    if value is not None and value <= timezone.now():
        return since(value)
    return _relative(value, "in {}")


def _relative(value: datetime | None, phrase: str) -> SafeString | str:
    if value is None:
        return EMPTY
    return _time(value, phrase.format(duration(abs(timezone.now() - value))))


def _time(value: datetime, text: str) -> SafeString:
    exact = timezone.localtime(value).isoformat(sep=" ", timespec="microseconds")
    return format_html('<time class="delivery-time" datetime="{}" title="{}">{}</time>', value.isoformat(), exact, text)


def status(value: str) -> SafeString:
    return format_html('<span class="delivery-badge delivery-{}">{}</span>', value, value)


def flag(text: str, *, kind: str = "flag", title: str = "") -> SafeString:
    """A small mark beside something: late, unordered, paused; what it means on hover."""
    return format_html('<span class="delivery-badge delivery-{}" title="{}">{}</span>', kind, title, text)


def visible(text: str) -> str:
    """Text that a reader can see: an id of blanks or control characters is shown as a Python literal."""
    return text if text.isprintable() and text == text.strip() and text else repr(text)


def user(user_id: str) -> SafeString:
    """A user id, linked to its pipeline."""
    return format_html(
        '<a class="delivery-user" href="{}"><bdi>{}</bdi></a>', addresses.pipeline(user_id), visible(user_id)
    )


def engagement(id: UUID | None, form: str = "long") -> SafeString | str:
    """An engagement's id, linked to its page; in its short form the first eight digits, the whole on hover."""
    if id is None:
        return EMPTY
    text = str(id)[:8] if form == "short" else str(id)
    return format_html('<a class="delivery-id" href="{}" title="{}">{}</a>', addresses.engagement(id), id, text)


def payload(value: Any) -> str:
    """JSON for people: indented, keys in order, letters as letters."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def count(value: int | None) -> str:
    """A number with thin gaps between the thousands."""
    return EMPTY if value is None else f"{value:,}".replace(",", "\u202f")


def number(many: int, noun: str) -> str:
    """So many of something: 1 engagement, 1,200 engagements."""
    return f"{many:,} {noun}" if many == 1 else f"{many:,} {noun}s"


def marks(engagement: Engagement) -> SafeString:
    """What is special about an engagement: late, unordered, a child, replayed."""
    found = []
    if engagement.late:
        found.append(flag("late", kind="late", title="It arrived after a later one had been attempted."))
    if engagement.unordered:
        found.append(flag("unordered", title="It goes past the user's pipeline."))
    if engagement.causal_parent:
        found.append(flag("child", title=f"It follows {engagement.causal_parent}."))
    if engagement.replays:
        found.append(flag("replayed", title=f"Replayed {engagement.replays} times."))
    return format_html_join(" ", "{}", ((mark,) for mark in found))


def waiting(sentence: str, *, paused: bool) -> SafeString | str:
    """Why a head has not been delivered; that its pipeline is paused is marked."""
    if not paused:
        return sentence or EMPTY
    return format_html("{} {}", flag("paused", kind="paused"), sentence.removeprefix("paused "))
