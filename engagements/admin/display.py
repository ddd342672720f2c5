"""How values look on the admin's pages. Everything is escaped here; templates and lists only place it."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from engagements.admin import addresses
from engagements.domain.waiting import BLOCKED_SECONDS, short_of
from engagements.models import Engagement
from engagements.payloads import shown
from engagements.selectors.pipelines import PipelineState

EMPTY = "\u2013"

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def moment(value: datetime | None) -> SafeString | str:
    """A time to the millisecond; the exact value with its zone on hover."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value)
    text = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"
    return _time(value, text, "moment")


def moment_of(value: datetime | None) -> SafeString | str:
    """A time for a column of many: without the date when that is today's."""
    if value is None:
        return EMPTY
    local = timezone.localtime(value)
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
    text = clock if local.date() == timezone.localdate() else f"{local:%b} {local.day}, {clock[:8]}"
    return _time(value, text, "clock")


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
    return _relative(value, "{} ago", "age")


def until(value: datetime | None) -> SafeString | str:
    """How long from now; a time that has passed says so."""
    if value is not None and value <= timezone.now():
        return since(value)
    return _relative(value, "in {}", "countdown")


def _relative(value: datetime | None, phrase: str, kind: str) -> SafeString | str:
    if value is None:
        return EMPTY
    return _time(value, phrase.format(duration(abs(timezone.now() - value))), kind)


def exact(value: datetime) -> str:
    """A time to the microsecond, with its zone."""
    return timezone.localtime(value).isoformat(sep=" ", timespec="microseconds")


def _time(value: datetime, text: str, kind: str) -> SafeString:
    """kind: how the viewer's browser shows it anew, in the viewer's zone and by the second (static times.js)."""
    return format_html(
        '<time class="delivery-time" datetime="{}" title="{}" data-{}>{}</time>',
        value.isoformat(),
        exact(value),
        kind,
        text,
    )


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
    """JSON for people: indented, keys in order, letters as letters, and the fields masked that people are not shown."""
    return json.dumps(shown(value), indent=2, ensure_ascii=False, sort_keys=True)


def preview(value: Any, length: int) -> str:
    """The beginning of a payload, on one line, masked."""
    text = json.dumps(shown(value), ensure_ascii=False)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def shortened(text: str, length: int) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def count(value: int | None) -> str:
    """A number with thin gaps between the thousands."""
    return EMPTY if value is None else f"{value:,}".replace(",", "\u202f")


def rate(per_second: float) -> str:
    """So many a second: whole numbers from ten on."""
    return f"{per_second:.1f}/s" if 0 < per_second < 9.95 else f"{per_second:,.0f}/s"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


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


def standing(state: PipelineState) -> SafeString:
    """One word on a pipeline: paused, blocked, at work or idle."""
    if state.paused:
        return flag("paused", kind="paused", title="Nothing of it starts, and its deadlines stand still.")
    if state.blocked:
        return flag("blocked", kind="failed", title=f"Its head cannot go now, or for {BLOCKED_SECONDS:g} s did not.")
    return flag("at work", kind="pending") if state.depth else flag("idle")


def waiting(state: PipelineState | None) -> SafeString | str:
    """The sentence on why the head has not been delivered, with links to the parent and to its user's pipeline."""
    if state is None or not state.waiting:
        return EMPTY
    parent = state.parent
    if parent is None:
        return state.waiting
    named = f"{short_of(parent)} of user {parent.user_id}" if parent.status else short_of(parent)
    before, found, after = state.waiting.partition(named)
    if not found:
        return state.waiting
    if not parent.status:
        return format_html("{}<code>{}</code>{}", before, named, after)
    link = format_html('<a class="delivery-id" href="{}">{}</a>', addresses.engagement(parent.id), short_of(parent))
    return format_html("{}{} of user {}{}", before, link, user(parent.user_id), after)


def upper_first(text: str) -> str:
    """The beginning of a sentence in upper case; what is safe to show stays so."""
    raised = f"{text[:1].upper()}{text[1:]}"
    return mark_safe(raised) if isinstance(text, SafeString) else raised  # noqa: S308 - one letter of what was safe
