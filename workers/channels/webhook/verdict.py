"""What an answer means."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from workers.channels.base import Delivered, Failed, Outcome, Retry

RETRIED = frozenset({408, 425, 429})
"""Client errors that say "later"; every 5xx does as well."""

EXCERPT_CHARACTERS = 200
"""Of an answer, for the record of attempts: enough for an error message, too short for a page."""

LONGEST_PAUSE_SECONDS = 86_400.0
"""Cap of Retry-After. No engagement waits longer than an hour, so any more means the same."""


def verdict(status: int, *, excerpt: str = "", retry_after: float | None = None, location: str = "") -> Outcome:
    """The outcome for an HTTP status; the rest goes into the record."""
    answer = f"HTTP {status}: {excerpt}" if excerpt else f"HTTP {status}"
    if 200 <= status < 300:
        return Delivered(answer)
    if status in RETRIED or 500 <= status < 600:
        return Retry(answer, retry_after)
    if 300 <= status < 400:
        to = f" to {location}" if location else ""
        return Failed(f"HTTP {status}: a redirect{to}; redirects are not followed, set the channel's final URL")
    return Failed(answer)


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """Seconds from `now` that a Retry-After header asks for, by number or HTTP date; None if unreadable.

    now: by the receiver's own clock (its Date header) if it said so, else by ours.
    """
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return min(float(value), LONGEST_PAUSE_SECONDS)
    moment = http_date(value)
    if moment is None:
        return None
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_PAUSE_SECONDS)


def http_date(value: str | None) -> datetime | None:
    """An HTTP date, aware; None if it is none."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def printable(text: str) -> str:
    """One line that can be stored and shown: no control characters (PostgreSQL refuses NUL), and short."""
    line = " ".join(text[: 4 * EXCERPT_CHARACTERS].split())
    line = "".join(character if character.isprintable() else "\ufffd" for character in line)
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"
