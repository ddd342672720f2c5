"""The database of the simulations: one connection, whose time is the simulation's."""

from collections.abc import Iterator

import pytest
from django.db import connection


@pytest.fixture
def simulation(database: None) -> Iterator[None]:
    """A database whose time may be simulated, by a World."""
    yield
    connection.close()
