"""What pytest-django is told about the session's servers; the fixtures themselves are in tests/support/."""

import pytest
from pytest_django import DjangoDbBlocker

from tests.support.servers import Servers


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: Servers) -> None:
    """Start the servers of the settings before pytest-django makes its test database."""
    servers.database_url()
    servers.broker_url()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Django empties the tables after a test that commits."""
    from engagements.store.connection import current
    from tests.support.store import let_the_audit_be_emptied

    with django_db_blocker.unblock():
        let_the_audit_be_emptied(current())


@pytest.fixture(autouse=True)
def no_ring_of_another_test() -> None:
    """A process remembers for a second who is alive: the workers of the test before would get this one's users."""
    from engagements import liveness

    liveness.forget()
