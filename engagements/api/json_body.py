"""Reading and writing JSON bodies strictly: UTF-8, no NaN, no name twice, bounded; a refusal is a 400 or a 413."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any, Never

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from engagements.api.errors import TooLarge

CONTAINERS = 500_000
"""Lists and objects in one body. Two bytes of text become eighty of memory: 8 MiB of nothing else cost over 400 MiB.
Brackets in strings are counted as well, which is cheap; a body full of coordinates has fewer."""


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it. A number too large for a double becomes infinity, which the field's own check names."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge
        return read_json(body)


def read_json(body: bytes) -> Any:
    """Raises ParseError or TooLarge with a message for people."""
    if body.count(b"[") + body.count(b"{") > CONTAINERS:
        raise TooLarge(f"The body holds more than {CONTAINERS:,} lists and objects; send it in parts.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    try:
        try:
            return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
        except json.JSONDecodeError:
            raise
        except ValueError:  # an integer of more digits than Python converts
            return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object, parse_int=_bounded_int)
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not JSON: {error.msg} at line {error.lineno} column {error.colno}.") from None
    except RecursionError:
        raise ParseError("The body is nested too deeply to be read.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers disagree about which of two equal names counts: what a gateway has checked must be what is stored."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ParseError(f"The body is ambiguous: an object in it has the name {twice[:50]!a} twice.")
    return found


def _refuse_constant(name: str) -> Never:
    raise ParseError(f"The body is not JSON: {name} is no JSON number.")


def _bounded_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= 400 else math.inf


class JSONRenderer(BaseRenderer):
    """Compact UTF-8. Half a surrogate pair, which a client can send as a name, goes out as JSON's own escape."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(errors="backslashreplace")
