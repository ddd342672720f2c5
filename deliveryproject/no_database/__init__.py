"""Stands in for PostgreSQL when no database is known: commands that need none work, the first use of one says why."""
