"""The audit is append-only: PostgreSQL itself refuses whatever would change, delete or empty it."""

import psycopg
import pytest
from django.db import IntegrityError, transaction

from engagements import audit
from engagements.models import AuditEntry

_ENTRY = """
INSERT INTO engagements_auditentry (actor, action, target, count, reason) VALUES ('eve', 'purge', 'ann', 3, 'because')
"""

_CHANGES = [
    "UPDATE engagements_auditentry SET actor = 'mallory'",
    "UPDATE engagements_auditentry SET actor = 'mallory' WHERE false",
    "DELETE FROM engagements_auditentry",
    "TRUNCATE engagements_auditentry",
    "TRUNCATE engagements_auditentry CASCADE",
    "INSERT INTO engagements_auditentry SELECT * FROM engagements_auditentry ON CONFLICT (id) DO UPDATE SET count = 9",
]


def test_nobody_changes_deletes_or_empties_it_not_even_its_owner(migrated_database: str) -> None:
    with psycopg.connect(migrated_database, autocommit=True) as conn:
        conn.execute(_ENTRY)
        [before] = conn.execute("SELECT * FROM engagements_auditentry").fetchall()
        for role in ("origin", "replica"):  # what would set ordinary triggers aside
            conn.execute(f"SET session_replication_role = '{role}'")
            for change in _CHANGES:
                with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
                    conn.execute(change)
        assert conn.execute("SELECT * FROM engagements_auditentry").fetchall() == [before]


@pytest.mark.django_db
def test_an_entry_that_was_read_can_neither_be_saved_nor_deleted() -> None:
    audit.record("eve", "purge", "ann", count=3, reason="because")
    entry = AuditEntry.objects.get()
    entry.actor = "mallory"
    for change in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()
    assert AuditEntry.objects.get(pk=entry.pk).actor == "eve"


@pytest.mark.django_db
def test_its_time_is_that_of_the_deed_by_postgresqls_clock() -> None:
    """Not of the transaction's beginning, nor of the web server."""
    audit.record("eve", "pause", "ann")
    audit.record("eve", "resume", "ann")
    resumed, paused = AuditEntry.objects.all()
    assert (paused.action, resumed.action) == ("pause", "resume")
    assert paused.at < resumed.at
