"""Values as cells of a CSV file: exact for programs, and harmless in a spreadsheet."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

BYTE_ORDER_MARK = "\ufeff"
"""Without it some spreadsheets take UTF-8 for the encoding of their country."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as text, each ended by CR LF (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """None is empty; times are RFC 3339 in UTC, to the microsecond; objects and lists are JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, dict | list):
        return harmless(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    if isinstance(value, int | float):
        return str(value)
    return harmless(str(value))


def harmless(text: str) -> str:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULA) else text
