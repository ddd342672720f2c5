"""Reading a file of engagements, CSV or JSON Lines, into the fields of the API, line by line.

A line that cannot be read is refused alone. A file whose lines cannot be told apart is refused as a whole: what came
behind an open quote would be guessed.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from engagements.domain.draft import FIELDS, PAYLOAD_BYTES
from engagements.domain.errors import FieldError

ROWS = 10_000
"""Engagements in one file: ten transactions, some seconds in all."""

BYTES = 5 * 1024 * 1024
"""Of UTF-8; below what a request may carry, with room for the form around it."""

DELIMITERS = ",;\t|"
"""Tried in this order; the one that finds the most columns of an engagement in the first line is taken."""

_PAYLOAD = "payload."
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
_CELL = 4 * PAYLOAD_BYTES
"""Characters of a cell: a payload with every quote doubled and some blanks. What is too large is told by its field."""


class FileError(ValueError):
    """The file cannot be read from this line on; the message says why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line:,}: {reason}" if line else reason)


@dataclass(frozen=True, slots=True)
class Line:
    """One engagement of a file. number: of its first line, from 1. text: as it stood there.

    fields: as for the API, and none when `errors` says why it cannot be read.
    """

    number: int
    text: str
    fields: Mapping[str, Any] | None
    errors: tuple[FieldError, ...] = ()


def text_of(content: bytes) -> str:
    """The text of an uploaded file: UTF-8, or UTF-16 with its mark. Raises FileError."""
    if len(content) > BYTES:
        raise FileError(0, f"The file is larger than {BYTES // 2**20} MiB; split it.")
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileError(line, f"byte 0x{content[error.start]:02x} is no UTF-8. Save the file as UTF-8.") from None


def format_of(text: str) -> str:
    """The name of the format, CSV or JSON Lines, by the first character."""
    return "JSON Lines" if text.lstrip()[:1] in ("{", "[") else "CSV"


def read_lines(text: str, *, token: UUID) -> list[Line]:
    """The engagements of a file, in order. Raises FileError.

    token: of this import. An engagement without an id gets one made of the token and its line, so that storing the
    same import twice stores nothing twice.
    """
    if len(text) > BYTES or len(text.encode(errors="replace")) > BYTES:
        raise FileError(0, f"This is larger than {BYTES // 2**20} MiB; split it.")
    if "\0" in text:
        raise FileError(text[: text.index("\0")].count("\n") + 1, "holds a NUL character. Is this a text file?")
    text = text.removeprefix("\ufeff")
    lines: list[Line] = []
    for line in _json_lines(text) if format_of(text) == "JSON Lines" else _csv_lines(text):
        if len(lines) == ROWS:
            raise FileError(line.number, f"more than {ROWS:,} engagements; split the file.")
        lines.append(_with_id(line, token))
    if not lines:
        raise FileError(0, "There is no engagement in it.")
    return lines


def _with_id(line: Line, token: UUID) -> Line:
    if line.fields is None or line.fields.get("id") is not None:
        return line
    return Line(line.number, line.text, {**line.fields, "id": uuid5(token, str(line.number))})


# --- JSON Lines ---


def _json_lines(text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.split("\n"), 1):  # nothing else ends a line: JSON may hold U+2028
        if raw.strip():
            yield _json_line(number, raw.strip())


def _json_line(number: int, text: str) -> Line:
    try:
        fields = _json(text)
    except ValueError as error:
        return Line(number, text, None, (FieldError("", str(error)),))
    if not isinstance(fields, dict):
        return Line(number, text, None, (FieldError("", "must be a JSON object: one engagement in each line"),))
    return Line(number, text, fields)


def _json(text: str) -> Any:
    """Raises ValueError with a reason for people."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"is no JSON: {error.msg} at {place}") from None
    except _NoNumberError as error:
        raise ValueError(f"is no JSON: {error} is no number") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or nesting without end
        raise ValueError("is nested too deeply or holds a number out of range") from None


class _NoNumberError(ValueError):
    pass


def _refuse_constant(name: str) -> Any:
    raise _NoNumberError(name)


# --- CSV ---


def _csv_lines(text: str) -> Iterator[Line]:
    physical = text.split("\n")
    csv.field_size_limit(max(csv.field_size_limit(), _CELL))
    start = next((number for number, line in enumerate(physical) if line.strip()), 0)
    delimiter = _delimiter(physical[start])
    rows = csv.reader((f"{line}\n" for line in physical[start:]), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    before = 0
    while True:
        number = start + before + 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise FileError(number, f"{_csv_reason(str(error))}; nothing from here on was read.") from None
        if cells is None:
            return
        raw = "\n".join(physical[start + before : start + rows.line_num]).strip("\r\n")
        before = rows.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [name.strip() for name in cells]
            _check_header(number, header)
        else:
            yield _csv_line(number, raw, header, cells)


def _delimiter(line: str) -> str:
    def found(delimiter: str) -> int:
        return sum(_known(name.strip().strip('"').strip()) for name in line.split(delimiter))

    return max(DELIMITERS, key=found)


def _csv_reason(error: str) -> str:
    if "unexpected end of data" in error:
        return "a quote is opened and never closed"
    if "expected after" in error:
        return 'text stands behind a closing quote; write a quote inside a quoted cell as ""'
    if "field larger" in error:
        return "a cell is too large; is a quote opened and never closed?"
    return error


def _known(name: str) -> bool:
    return name in FIELDS or (name.startswith(_PAYLOAD) and all(name.split(".")))


def _check_header(number: int, header: list[str]) -> None:
    unknown = [name for name in header if not _known(name)]
    if unknown:
        raise FileError(
            number,
            f"{unknown[0]!r} is no field of an engagement. The first line names the columns: {', '.join(FIELDS)}, or "
            "payload.title and the like for single fields of the payload.",
        )
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise FileError(number, f"the column {min(twice)} is there twice.")
    if "payload" in header and any(name.startswith(_PAYLOAD) for name in header):
        raise FileError(number, "the payload is given as a whole and by single fields; keep to one of them.")


def _csv_line(number: int, raw: str, header: list[str], cells: list[str]) -> Line:
    if len(cells) != len(header):
        detail = f"has {len(cells)} cells where the first line has {len(header)}"
        return Line(number, raw, None, (FieldError("", detail),))
    fields: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, cell in zip(header, cells, strict=True):
        if not cell.strip() and not (name == "user_id" and cell):
            continue  # left out
        try:
            _set(fields, name, cell)
        except ValueError as error:
            errors.append(FieldError(name, str(error)))
    if any(name.startswith(_PAYLOAD) for name in header):
        fields.setdefault("payload", {})
    return Line(number, raw, None, tuple(errors)) if errors else Line(number, raw, fields)


def _set(fields: dict[str, Any], name: str, cell: str) -> None:
    if name.startswith(_PAYLOAD):
        _set_inside(fields.setdefault("payload", {}), name.removeprefix(_PAYLOAD).split("."), cell)
    elif name == "payload":
        fields[name] = _json(cell)
    elif name == "unordered":
        fields[name] = _flag(cell.strip().lower())
    elif name == "timeout_seconds":
        fields[name] = _number(cell.strip())
    else:
        fields[name] = cell if name == "user_id" else cell.strip()


def _set_inside(payload: dict[str, Any], path: list[str], value: str) -> None:
    *outer, last = path
    for name in outer:
        inner = payload.setdefault(name, {})
        _only_once(name, known=not isinstance(inner, dict))
        payload = inner
    _only_once(last, known=last in payload)
    payload[last] = value


def _only_once(name: str, *, known: bool) -> None:
    if known:
        raise ValueError(f"{name} is given as a text and as an object")


def _flag(text: str) -> bool:
    if text not in _TRUE + _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number of seconds") from None
