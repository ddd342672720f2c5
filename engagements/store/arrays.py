"""PostgreSQL's array literals, made by string joins.

psycopg dumps a list element by element in Python: for the statements that carry hundreds of users, a third of the
engine's own time. Each function's result is passed as text and cast in the statement (`%s::text[]`).
"""

from collections.abc import Sequence
from uuid import UUID


def texts(values: Sequence[str]) -> str:
    """A text[] literal; any characters but NUL."""
    if not values:
        return "{}"
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return '{"' + joined + '"}'


def uuids(values: Sequence[UUID]) -> str:
    """A uuid[] literal."""
    return "{" + ",".join([value.hex for value in values]) + "}"


def numbers(values: Sequence[float]) -> str:
    """A literal of bigint[] or float8[], as the values are; floats keep every digit."""
    return "{" + ",".join(map(repr, values)) + "}"
