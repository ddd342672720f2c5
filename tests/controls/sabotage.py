"""Taking a protection out of a statement of the store, for as long as a control needs to show that it is missed."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest import mock


@contextmanager
def without(module: ModuleType, statement: str, protection: str, instead: str = "") -> Iterator[None]:
    """`module.statement` with `instead` in the place of the text `protection`.

    Raises AssertionError when the statement does not hold that text exactly once: the protection has moved, and the
    control would show nothing.
    """
    text = getattr(module, statement)
    times = text.count(protection)
    assert times == 1, (
        f"{module.__name__}.{statement} holds {protection!r} {times} times; this control needs a new place"
    )
    with mock.patch.object(module, statement, text.replace(protection, instead)):
        yield
