"""Two workers, or a worker and a double click, are at the same operation at the same moment."""

import pytest

from engagements import operations
from engagements.models import AuditEntry, Engagement, Operation
from engagements.operations import Action
from engagements.services import produce_bulk
from engagements.store.connection import Connection, fetch
from tests.support.store import Connect, in_thread, until

USERS = [f"u{n:02}" for n in range(40)]


@pytest.fixture
def operation(database: None, monkeypatch: pytest.MonkeyPatch) -> Operation:
    monkeypatch.setattr(operations, "BATCH", 3)
    produce_bulk([{"user_id": user, "payload": {}} for user in USERS for _ in range(2)])
    return operations.prepare(Action.PURGE, USERS, scope="all", actor="eve", selected=False)


def begun(operation: Operation) -> None:
    """Confirmed by a request that then died."""
    assert operations._begin(operation.token, shown=80, actor="eve", reason="r") is None


def test_they_share_the_batches_and_each_pipeline_is_purged_once(operation: Operation) -> None:
    begun(operation)

    def work() -> None:
        until(lambda: operations.go_on(seconds=5) or operations.one(operation.token).finished_at, "the end")

    for going in [in_thread(work) for _ in range(4)]:
        going.result(timeout=30)

    done = operations.one(operation.token)
    assert (done.done, done.taken, done.refused) == (80, 40, 0)
    assert not Engagement.objects.filter(status="pending").exists()
    assert sum(AuditEntry.objects.values_list("count", flat=True)) == 80


def test_who_comes_second_leaves_a_batch_to_the_first_and_does_not_wait(operation: Operation, conn: Connection) -> None:
    begun(operation)
    with conn.transaction():
        fetch(conn, "SELECT 1 FROM engagements_operation WHERE token = %s FOR UPDATE", [operation.token])
        assert in_thread(lambda: operations.step(operation.token)).result(timeout=10) is False
    assert operations.one(operation.token).done == 0
    assert operations.step(operation.token)


def test_a_double_click_begins_it_once(operation: Operation, connect: Connect) -> None:
    observer, holder = connect(), connect()
    waiting = """
    SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND a.datname = current_database() AND a.query LIKE '%engagements_operation%'
    """
    with holder.transaction():
        fetch(holder, "SELECT 1 FROM engagements_operation WHERE token = %s FOR UPDATE", [operation.token])
        clicks = [
            in_thread(lambda: operations.confirm(operation.token, shown=80, actor="eve", reason="r")) for _ in range(2)
        ]
        until(lambda: len(fetch(observer, waiting)) == 2, "both clicks wait for the operation")
    for click in clicks:
        click.result(timeout=30)
    until(lambda: operations.go_on(seconds=5) or operations.one(operation.token).finished_at, "the end")
    assert operations.one(operation.token).done == 80
    assert sum(AuditEntry.objects.values_list("count", flat=True)) == 80


def test_a_stop_waits_for_the_batch_that_is_being_done(operation: Operation, connect: Connect) -> None:
    observer, caller = connect(), connect()
    begun(operation)
    operations.step(operation.token)
    with caller.transaction():
        fetch(caller, "SELECT 1 FROM engagements_operation WHERE token = %s FOR UPDATE", [operation.token])
        stopping = in_thread(lambda: operations.stop(operation.token, actor="bob"))
        until(lambda: fetch(observer, "SELECT 1 FROM pg_locks WHERE NOT granted"), "the stop to wait")
    stopping.result(timeout=10)
    assert not operations.go_on(seconds=1)
    done = operations.one(operation.token)
    assert (done.done, done.stopped_by) == (6, "bob")
