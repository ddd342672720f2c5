from typing import Any, Never

from django.db.backends.postgresql import base
from django.db.utils import OperationalError


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL in all but the connection."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Never:
        """Raises OperationalError that tells the reader what to do."""
        raise OperationalError("No database: run `make up`, or set DATABASE_URL.")
