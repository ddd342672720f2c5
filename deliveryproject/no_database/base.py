"""Django's name for the module of a database backend."""

from typing import Any, Never

from django.db.backends.postgresql import base

from deliveryproject.no_database import NoDatabaseError


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL in all but the connection."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Never:
        """Raises NoDatabaseError, which tells the reader what to do."""
        raise NoDatabaseError
