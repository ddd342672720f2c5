"""Payload fields that people are not to read: replaced by a mark, wherever a payload is shown."""

from collections.abc import Iterable
from typing import Any

MASK = "•••"
"""Stands for a masked value of whatever kind: nothing of it shows, its length neither."""


def masked(payload: Any, fields: Iterable[str]) -> Any:
    """The payload with these fields replaced; what was given is left as it is.

    fields: a plain name (email) means every field of that name, at any depth; a path (card.number) means that field
    from the top of the payload. Lists are looked through. Upper and lower case are the same.
    """
    split = [tuple(field.lower().split(".")) for field in fields]
    names = frozenset(path[0] for path in split if len(path) == 1)
    paths = [path for path in split if len(path) > 1]
    return _masked(payload, names, paths) if split else payload


def _masked(value: Any, names: frozenset[str], paths: list[tuple[str, ...]]) -> Any:
    if isinstance(value, list):
        return [_masked(item, names, paths) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, inner in value.items():
        name = key.lower()
        if name in names or (name,) in paths:
            result[key] = MASK
        else:
            result[key] = _masked(inner, names, [path[1:] for path in paths if path[0] == name])
    return result
