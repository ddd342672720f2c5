"""Reading an engagement as a producer sent it: shape, limits and the digest that makes posting idempotent."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from engagements.domain.errors import FieldError, Invalid
from engagements.domain.jsonvalue import JsonError, json_text

USER_ID_LENGTH = 200
PAYLOAD_BYTES = 64 * 1024
PAYLOAD_DEPTH = 32
CHANNEL_LENGTH = 100
TIMEOUT_SECONDS = 3600
"""The longest a pending engagement may wait; longer waits belong into the producer's own schedule."""

FIELDS = ("user_id", "payload", "id", "produced_at", "causal_parent", "unordered", "channel", "timeout_seconds")

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A well-formed engagement that is not stored yet. None: left out by the producer."""

    user_id: str
    payload: str
    digest: bytes
    id: UUID | None = None
    produced_at: datetime | None = None
    causal_parent: UUID | None = None
    unordered: bool = False
    channel: str | None = None
    timeout_seconds: float | None = None


def read_draft(fields: Mapping[str, Any]) -> Draft:
    """Check shape and limits; values may be JSON's or Python's (UUID, aware datetime).

    Raises Invalid with one error per wrong field. What needs the database (the channel's name, the clock, cycles) is
    checked by the store.
    """
    return _Reading(fields).draft()


class _Reading:
    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.errors: list[FieldError] = []

    def draft(self) -> Draft:
        if not isinstance(self.fields, Mapping):
            raise Invalid.field("", "an engagement is a JSON object")
        for name in self.fields:
            if name not in FIELDS:
                self._refuse(str(name), f"is no field of an engagement; the fields are {', '.join(FIELDS)}")
        user_id = self._user_id()
        payload, canonical_payload = self._payload()
        id = self._uuid("id")
        produced_at = self._produced_at()
        causal_parent = self._uuid("causal_parent")
        unordered = self._unordered()
        channel = self._channel()
        timeout_seconds = timeout_or_none(self.fields.get("timeout_seconds"), self.errors)
        if causal_parent is not None:
            if unordered:
                self._refuse("causal_parent", "an unordered engagement has no causal parent: leave one of them out")
            if causal_parent == id:
                self._refuse("causal_parent", "an engagement cannot be its own parent")
        if self.errors:
            raise Invalid(self.errors)
        sent = [
            user_id,
            produced_at and produced_at.isoformat(),
            causal_parent and causal_parent.hex,
            unordered if self.fields.get("unordered") is not None else None,
            channel,
            timeout_seconds,
        ]
        digest = blake2b(json.dumps(sent).encode() + canonical_payload, digest_size=16).digest()
        return Draft(user_id, payload, digest, id, produced_at, causal_parent, unordered, channel, timeout_seconds)

    def _refuse(self, field: str, detail: str) -> None:
        self.errors.append(FieldError(field, detail))

    def _user_id(self) -> str:
        value = self.fields.get("user_id")
        if value is None:
            self._refuse("user_id", "is required")
            return ""
        problem = user_id_problem(value)
        if problem:
            self._refuse("user_id", problem)
            return ""
        return str(value)

    def _payload(self) -> tuple[str, bytes]:
        value = self.fields.get("payload")
        if value is None:
            self._refuse("payload", "is required" if "payload" not in self.fields else "must be a JSON object")
            return "", b""
        if not isinstance(value, dict):
            self._refuse("payload", "must be a JSON object")
            return "", b""
        try:
            return json_text(value, depth=PAYLOAD_DEPTH, size=PAYLOAD_BYTES)
        except JsonError as error:
            self._refuse("payload", str(error))
            return "", b""

    def _uuid(self, field: str) -> UUID | None:
        value = self.fields.get(field)
        if value is None or isinstance(value, UUID):
            return value
        id = uuid_or_none(value)
        if id is None:
            self._refuse(field, "must be a UUID")
        return id

    def _produced_at(self) -> datetime | None:
        value = self.fields.get("produced_at")
        if value is None:
            return None
        if isinstance(value, str):
            if not _RFC3339.fullmatch(value):
                self._refuse("produced_at", "must be an RFC 3339 time with its zone, such as 2026-01-31T12:00:00.250Z")
                return None
            try:
                value = datetime.fromisoformat(value.upper())
            except ValueError as error:
                self._refuse("produced_at", f"is no time: {error}")
                return None
        if not isinstance(value, datetime):
            self._refuse("produced_at", "must be an RFC 3339 time with its zone")
            return None
        if value.tzinfo is None or value.utcoffset() is None:
            self._refuse("produced_at", "must state its zone")
            return None
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            self._refuse("produced_at", "is out of range")
            return None
        if value.year < 1970:
            self._refuse("produced_at", "is before 1970")
            return None
        return value

    def _unordered(self) -> bool:
        value = self.fields.get("unordered")
        if value is None or isinstance(value, bool):
            return bool(value)
        self._refuse("unordered", "must be true or false")
        return False

    def _channel(self) -> str | None:
        value = self.fields.get("channel")
        if value is None:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= CHANNEL_LENGTH:
            self._refuse("channel", f"must be the name of a channel, 1 to {CHANNEL_LENGTH} characters")
            return None
        problem = text_problem(value)
        if problem:
            self._refuse("channel", problem)
            return None
        return value


def uuid_or_none(value: object) -> UUID | None:
    """The UUID that a text stands for, with or without hyphens."""
    return UUID(value) if isinstance(value, str) and _UUID.fullmatch(value) else None


def user_id_problem(value: object) -> str | None:
    """Why `value` cannot be a user id, or None."""
    if not isinstance(value, str):
        return "must be a string"
    if not 1 <= len(value) <= USER_ID_LENGTH:
        return f"must have 1 to {USER_ID_LENGTH} characters"
    return text_problem(value)


def text_problem(value: str) -> str | None:
    """Why PostgreSQL cannot store this text, or None."""
    if "\0" in value:
        return "must not contain NUL"
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "must be valid Unicode: it holds half of a surrogate pair"
    return None


def timeout_or_none(value: object, errors: list[FieldError]) -> float | None:
    """A pending time-out in seconds; None stays None. Appends to `errors` what is wrong."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        errors.append(FieldError("timeout_seconds", "must be a number of seconds"))
        return None
    if not 0 < value <= TIMEOUT_SECONDS or not math.isfinite(value):
        errors.append(FieldError("timeout_seconds", f"must be above 0 and at most {TIMEOUT_SECONDS} seconds"))
        return None
    return float(value)
