"""What the acceptance tests share: whole systems of real processes, and a receiver that records."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.support.databases import Databases
from tests.support.receiver import Receiver
from tests.support.system import Systems


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Systems]:
    """Makes systems for the tests of one module; all of them are stopped when those are over."""

    def directory() -> Path:
        return tmp_path_factory.mktemp("system")

    with Systems(directory, databases) as made:
        yield made


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """The reference receiver of promise 5, for all tests of a module; each test has its own users."""
    with Receiver(check_sequence=True) as started:
        yield started


_numbers = count(1)


@pytest.fixture
def name() -> Callable[[str], str]:
    """A user id that no other test has."""
    return lambda word: f"{word}-{next(_numbers)}"


@pytest.fixture
def names(name: Callable[[str], str]) -> Callable[[str, int], list[str]]:
    """As many user ids that no other test has."""
    return lambda word, number: [name(word) for _ in range(number)]
