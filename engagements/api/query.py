"""Reading query parameters and action bodies: whatever is unknown or wrong is named in a 400."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from engagements.domain.draft import text_problem
from engagements.domain.errors import FieldError, Invalid

PAGE_SIZE = 100
PAGE_SIZE_LIMIT = 500
REASON_LENGTH = 500
WORKER_LENGTH = 255

_CURSOR = re.compile(r"([np])(.+)", re.DOTALL)


class Query:
    """The query parameters of one request. Ask for each, then call `done`, which raises Invalid for what was wrong."""

    def __init__(self, given: QueryDict) -> None:
        self._given = given
        self._asked: set[str] = set()
        self._errors: list[FieldError] = []

    def text(self, name: str, longest: int) -> str | None:
        value = self._value(name)
        if value is None:
            return None
        problem = text_problem(value) if 1 <= len(value) <= longest else f"must have 1 to {longest} characters"
        if problem:
            self._refuse(name, problem)
        return value

    def choice(self, name: str, choices: list[str]) -> str | None:
        value = self._value(name)
        if value is not None and value not in choices:
            self._refuse(name, f"must be one of {', '.join(choices)}")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.choice(name, ["true", "false"])
        return None if value is None else value == "true"

    def page_size(self) -> int:
        value = self._value("page_size")
        if value is None:
            return PAGE_SIZE
        if value.isascii() and value.isdecimal() and len(value) < 9 and 1 <= int(value) <= PAGE_SIZE_LIMIT:
            return int(value)
        self._refuse("page_size", f"must be a number from 1 to {PAGE_SIZE_LIMIT}")
        return PAGE_SIZE

    def cursor(self) -> "Cursor":
        """Where the page starts; the first page when none is given."""
        value = self._value("cursor")
        if value is None:
            return Cursor()
        try:
            plain = base64.b64decode(value, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            plain = ""
        match = _CURSOR.fullmatch(plain)
        if match is None or text_problem(match[2]):
            self._refuse("cursor", "must be taken from `next` or `previous` of a page as it is")
            return Cursor()
        return Cursor(match[2], backwards=match[1] == "p")

    def refuse_cursor(self) -> None:
        self._refuse("cursor", "must be taken from `next` or `previous` of a page as it is")

    def done(self) -> None:
        unknown = [name for name in self._given if name not in self._asked]
        for name in unknown:
            self._refuse(name, f"is no parameter of this call; there are {', '.join(sorted(self._asked))}")
        if self._errors:
            raise Invalid(self._errors)

    def _value(self, name: str) -> str | None:
        self._asked.add(name)
        values = self._given.getlist(name)
        if len(values) > 1:
            self._refuse(name, "is given more than once")
        return values[-1] if values else None

    def _refuse(self, name: str, detail: str) -> None:
        self._errors.append(FieldError(name, detail))


class Cursor:
    """A place in a list: the key of the last row seen, and the direction. No key: the beginning."""

    def __init__(self, key: str | None = None, *, backwards: bool = False) -> None:
        self.key = key
        self.backwards = backwards

    def __str__(self) -> str:
        plain = f"{'p' if self.backwards else 'n'}{self.key}"
        return base64.b64encode(plain.encode(), altchars=b"-_").decode()


def read_object(data: Any, allowed: tuple[str, ...]) -> Mapping[str, Any]:
    """The body as a JSON object with no other fields than these; no body at all is an empty one. Raises Invalid."""
    if not isinstance(data, dict):
        raise Invalid.field("", "the body must be a JSON object")
    unknown = [name for name in data if name not in allowed]
    if unknown:
        known = f"the fields are {', '.join(allowed)}" if allowed else "it takes none"
        raise Invalid([FieldError(name, f"is no field of this call; {known}") for name in unknown])
    return data


def read_reason(fields: Mapping[str, Any]) -> str:
    """The optional `reason` of an action, for the audit. Raises Invalid."""
    reason = fields.get("reason")
    if reason is None:
        return ""
    if not isinstance(reason, str) or len(reason) > REASON_LENGTH:
        raise Invalid.field("reason", f"must be a string of at most {REASON_LENGTH} characters")
    problem = text_problem(reason)
    if problem:
        raise Invalid.field("reason", problem)
    return reason
