"""Stands in for PostgreSQL when no database is known: commands that need none work, a use of one says why."""
