"""JSON that PostgreSQL can store and every receiver can read."""

import json
import math
from typing import Any

LARGEST_INTEGER_BITS = 1024
"""About the largest double: readers that know only doubles would turn more into infinity."""


class JsonError(ValueError):
    """The value is no JSON that can be stored; the message says why."""


class _Budget:
    """How many values may still come: what could never fit is refused before it is walked through."""

    __slots__ = ("left", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size // 2

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise _too_large(self.size)


def json_text(value: dict[str, Any], *, depth: int, size: int) -> tuple[str, bytes]:
    """`value` as compact JSON text, and canonical bytes that are equal for equal JSON.

    depth: how many objects and lists may be nested, the outermost counted. size: the most bytes of UTF-8 that the text
    may take. Raises JsonError.
    """
    canonical, changed = _checked(value, depth, _Budget(size))
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
        same = text
        if changed:
            same = json.dumps(canonical, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
        if len(text) > size or len(text.encode()) > size:
            raise _too_large(size)
        return text, same.encode()
    except UnicodeEncodeError:
        raise JsonError("holds half of a surrogate pair, which is not Unicode") from None


def _too_large(size: int) -> JsonError:
    return JsonError(f"is larger than {size // 1024} KiB as compact JSON")


def _checked(value: Any, depth: int, budget: _Budget) -> tuple[Any, bool]:
    """The value with 1.0 written as 1, and whether that changed anything."""
    if value is None or value is True or value is False:
        return value, False
    if isinstance(value, str):
        if "\0" in value:
            raise JsonError("holds a NUL character, which PostgreSQL cannot store")
        return value, False
    if isinstance(value, int):
        if value.bit_length() > LARGEST_INTEGER_BITS:
            raise JsonError("holds a number that is out of range")
        return value, False
    if isinstance(value, float):
        if not math.isfinite(value):
            raise JsonError("holds a number that is out of range")
        return (int(value), True) if value.is_integer() else (value, False)
    if depth < 1:
        raise JsonError("is nested too deeply")
    if isinstance(value, dict):
        budget.take(len(value))
        pairs, changed = {}, False
        for key, item in value.items():
            if not isinstance(key, str):
                raise JsonError("has a key that is not a string")
            if "\0" in key:
                raise JsonError("holds a NUL character, which PostgreSQL cannot store")
            pairs[key], item_changed = _checked(item, depth - 1, budget)
            changed |= item_changed
        return pairs, changed
    if isinstance(value, list | tuple):
        budget.take(len(value))
        items = [_checked(item, depth - 1, budget) for item in value]
        return [item for item, _ in items], any(item_changed for _, item_changed in items)
    raise JsonError(f"holds a {type(value).__name__}, which is not JSON")
