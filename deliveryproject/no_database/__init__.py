"""Stands in for PostgreSQL when no database is known: commands that need none work, a use of one says why."""

from django.db.utils import OperationalError


class NoDatabaseError(OperationalError):
    """No database: run `make up`, or set DATABASE_URL."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)
