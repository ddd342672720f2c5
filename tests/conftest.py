"""What pytest-django is told about the session's servers; the fixtures themselves are in tests/support/."""

import pytest

from tests.support.servers import Servers


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: Servers) -> None:
    """Start the servers of the settings before pytest-django makes its test database."""
    servers.database_url()
    servers.broker_url()
