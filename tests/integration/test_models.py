"""What the database itself refuses, whatever the code does."""

from typing import LiteralString
from uuid import UUID

import psycopg
import pytest
from django.contrib.auth.models import Group

from engagements.models import Attempt, AuditEntry, Channel, Engagement, Pipeline, Worker
from engagements.services import produce
from engagements.store.connection import Connection
from tests.support.store import claim_one, start_worker

pytestmark = pytest.mark.usefixtures("rows")

ONE = UUID(int=1)
TWO = UUID(int=2)
LOOSE = UUID(int=3)


@pytest.fixture
def rows(conn: Connection) -> None:
    """ann: one in service with sequence 1, and one behind it; and one that is unordered."""
    start_worker(conn, "w1")
    for id in (ONE, TWO):
        produce(id=id, user_id="ann", payload={})
    produce(id=LOOSE, user_id="ann", payload={}, unordered=True)
    claim_one(conn, "ann")
    conn.execute("UPDATE engagements_engagement SET sequence = 1 WHERE id = %s", [ONE])


REFUSED = [
    ("engagement_has_a_user", "UPDATE engagements_engagement SET user_id = ''"),
    ("engagement_settled_when_final", "UPDATE engagements_engagement SET status = 'lost', settled_at = now()"),
    ("engagement_settled_when_final", "UPDATE engagements_engagement SET settled_at = now()"),
    ("engagement_settled_when_final", "UPDATE engagements_engagement SET status = 'delivered'"),
    ("engagement_unordered_is_free", "UPDATE engagements_engagement SET causal_parent = %(one)s WHERE unordered"),
    ("engagement_unordered_is_free", "UPDATE engagements_engagement SET sequence = 9 WHERE unordered"),
    ("engagement_unordered_is_free", "UPDATE engagements_engagement SET late = true WHERE unordered"),
    ("engagement_not_its_own_parent", "UPDATE engagements_engagement SET causal_parent = id WHERE id = %(one)s"),
    ("engagement_order_not_before", "UPDATE engagements_engagement SET order_time = produced_at - interval '1 us'"),
    ("engagement_sequence", "UPDATE engagements_engagement SET sequence = 1 WHERE id = %(two)s"),
    ("engagement_arrival", "UPDATE engagements_engagement SET arrival = 1"),
    ("engagements_engagement_pkey", "UPDATE engagements_engagement SET id = %(one)s"),
    ("pipeline_has_a_user", "UPDATE engagements_pipeline SET user_id = ''"),
    ("pipeline_depth_not_negative", "UPDATE engagements_pipeline SET depth = -1, due_at = NULL"),
    ("pipeline_due_while_pending", "UPDATE engagements_pipeline SET due_at = NULL"),
    ("pipeline_due_while_pending", "UPDATE engagements_pipeline SET depth = 0"),
    ("pipeline_lease_whole", "UPDATE engagements_pipeline SET lease_until = NULL"),
    ("pipeline_lease_whole", "UPDATE engagements_pipeline SET lease_worker = NULL"),
    ("pipeline_timeout_in_range", "UPDATE engagements_pipeline SET timeout_seconds = 0"),
    ("pipeline_timeout_in_range", "UPDATE engagements_pipeline SET timeout_seconds = 3601"),
    ("channel_has_a_name", "UPDATE engagements_channel SET name = ''"),
]

IMPLIED = {"engagement_status_known"}
"""Refuses nothing that another constraint would let pass; it says the rule in one line."""


@pytest.mark.parametrize(("constraint", "statement"), REFUSED)
def test_the_database_refuses(conn: Connection, constraint: str, statement: LiteralString) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as refused:
        conn.execute(statement, {"one": ONE, "two": TWO})
    assert refused.value.diag.constraint_name == constraint


def test_every_constraint_of_the_models_has_its_test() -> None:
    models = (Engagement, Pipeline, Channel, Worker, Attempt)
    named = {constraint.name for model in models for constraint in model._meta.constraints}
    assert named - IMPLIED <= {constraint for constraint, _ in REFUSED}


def test_two_users_may_have_the_same_number(conn: Connection) -> None:
    produce(id=UUID(int=9), user_id="bob", payload={})
    conn.execute("UPDATE engagements_engagement SET sequence = 1 WHERE user_id = 'bob'")


def test_users_are_compared_by_their_bytes(conn: Connection) -> None:
    """The lock order must be the same on every server, whatever its locale is."""
    collations = conn.execute(
        """
        SELECT DISTINCT collation_name FROM information_schema.columns
        WHERE column_name = 'user_id' AND table_name IN ('engagements_pipeline', 'engagements_engagement')
        """
    ).fetchall()
    assert collations == [("C",)]


def test_the_hot_tables_leave_room_on_their_pages(conn: Connection) -> None:
    options = dict(conn.execute("SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL").fetchall())
    assert "fillfactor=70" in options["engagements_pipeline"]
    assert "fillfactor=85" in options["engagements_engagement"]


def test_a_default_channel_and_the_roles_are_there() -> None:
    assert Channel.objects.filter(name="log", kind="log", active=True).exists()
    assert {"viewer", "producer", "operator"} <= set(Group.objects.values_list("name", flat=True))


def test_rows_say_what_they_are() -> None:
    assert str(Pipeline(user_id="ann")) == "ann"
    assert str(Engagement(id=ONE)) == str(ONE)
    assert str(Channel(name="log")) == "log"
    assert str(Worker(name="w1")) == "w1"
    assert str(Attempt(number=2, engagement_id=ONE)) == f"attempt 2 of {ONE}"
    assert str(AuditEntry(actor="eve", action="purge", target="ann")) == "eve purge ann"
