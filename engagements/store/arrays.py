"""PostgreSQL's array literals, made by string joins.

psycopg dumps a list element by element in Python: for statements that carry hundreds of rows, a third of the time. What
these return is passed as text and cast in the statement (`%s::text[]`). None becomes NULL where it is allowed.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID


def texts(values: Sequence[str]) -> str:
    """A text[] literal; any characters but NUL."""
    if not values:
        return "{}"
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return '{"' + joined + '"}'


def uuids(values: Sequence[UUID | None]) -> str:
    """A uuid[] literal."""
    return "{" + ",".join(["NULL" if value is None else value.hex for value in values]) + "}"


def numbers(values: Sequence[float | None]) -> str:
    """A literal of bigint[] or float8[], as the values are; floats keep every digit."""
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"


def times(values: Sequence[datetime]) -> str:
    """A timestamptz[] literal of aware times."""
    return "{" + ",".join([value.isoformat() for value in values]) + "}"


def flags(values: Sequence[bool]) -> str:
    """A bool[] literal."""
    return "{" + ",".join(["t" if value else "f" for value in values]) + "}"


def blobs(values: Sequence[bytes]) -> str:
    """A bytea[] literal."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"
