"""Payloads as text: what PostgreSQL cannot store is refused, what it can comes out as it went in."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engagements.domain.jsonvalue import JsonError, json_text

few = settings(max_examples=50, deadline=None)
"""Unit tests stay under a second or two, on a busy machine too."""

SIZE = 64 * 1024

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)
objects = st.dictionaries(text, values, max_size=5)


@few
@given(objects)
def test_what_goes_in_comes_out(value: dict[str, Any]) -> None:
    assert json.loads(json_text(value, depth=32, size=SIZE)[0]) == value


@few
@given(objects, objects)
def test_canonical_bytes_are_equal_exactly_for_equal_values(one: dict[str, Any], two: dict[str, Any]) -> None:
    same = strictly(one) == strictly(two)
    assert (json_text(one, depth=32, size=SIZE)[1] == json_text(two, depth=32, size=SIZE)[1]) == same


def strictly(value: Any) -> Any:
    """A value whose equality is JSON's: numbers by value, true no number."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: strictly(item) for key, item in value.items()}
    return [strictly(item) for item in value] if isinstance(value, list) else value


def nested(depth: int, leaf: Any) -> dict[str, Any]:
    value: Any = leaf
    for level in range(depth - 1):
        value = [value] if level % 2 else {"x": value}
    return {"x": value}


@few
@given(st.integers(1, 40))
def test_depth_counts_objects_and_lists(depth: int) -> None:
    if depth <= 32:
        json_text(nested(depth, 1), depth=32, size=SIZE)
    else:
        with pytest.raises(JsonError, match="nested too deeply"):
            json_text(nested(depth, 1), depth=32, size=SIZE)


def test_nesting_without_end_is_refused_without_being_followed() -> None:
    loop: dict[str, Any] = {}
    loop["x"] = loop
    with pytest.raises(JsonError, match="nested too deeply"):
        json_text(loop, depth=32, size=SIZE)


@pytest.mark.parametrize(
    "value",
    [
        {"x": math.nan},
        {"x": math.inf},
        {"x": [-math.inf]},
        {"x": 2**1025},
        {"x": "\0"},
        {"\0": 1},
        {"x": {"a\0b": 1}},
        {"x": "\ud800"},
        {"\udfff": 1},
        {"x": ["\udc00\ud800"]},
        {1: 1},
        {None: 1},
        {"x": b"bytes"},
        {"x": {1, 2}},
        {"x": object()},
        {"x": 1j},
    ],
)
def test_what_cannot_be_stored_is_refused(value: dict[Any, Any]) -> None:
    with pytest.raises(JsonError):
        json_text(value, depth=32, size=SIZE)


@pytest.mark.parametrize(
    "wide", [{"x": [0] * 3_000_000}, {str(n): n for n in range(500_000)}, {"x": [[0] * 30_000] * 99}]
)
def test_what_could_never_fit_is_refused_before_it_is_walked_through(wide: dict[str, Any]) -> None:
    began = time.perf_counter()
    with pytest.raises(JsonError, match="larger than 64 KiB"):
        json_text(wide, depth=32, size=SIZE)
    assert time.perf_counter() - began < 0.2


@pytest.mark.parametrize("letter", ["y", "é", "文", "😀", '"', "\n", "\x7f", "\u2028"])
def test_the_limit_is_on_the_bytes_of_the_compact_text(letter: str) -> None:
    cost = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    fits = letter * ((SIZE - len('{"x":""}')) // cost)
    assert len(json_text({"x": fits}, depth=32, size=SIZE)[0].encode()) <= SIZE
    with pytest.raises(JsonError, match="larger than 64 KiB"):
        json_text({"x": fits + letter}, depth=32, size=SIZE)


def test_the_smallest_values_may_be_as_many_as_fit() -> None:
    fits = {"x": [1] * ((SIZE - len('{"x":[]}') + 1) // 2)}
    assert len(json_text(fits, depth=32, size=SIZE)[0]) in (SIZE, SIZE - 1)
