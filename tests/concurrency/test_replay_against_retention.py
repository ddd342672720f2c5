"""Somebody replays an engagement that is deleted at that moment, or that somebody else replays."""

from datetime import timedelta
from uuid import UUID

import pytest

from engagements import services
from engagements.domain.errors import Conflict, NotFound
from engagements.liveness import ring
from engagements.services import produce
from engagements.store import operate, retention, settle
from engagements.store.connection import Connection, run
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    in_thread,
    pipeline,
    settlement,
    start_worker,
    until_lock_wait,
)


def failed(conn: Connection) -> UUID:
    start_worker(conn, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    settle.settle(conn, [settlement(claim_one(conn, "ann"), "failed", answer="410")], worker="w1")
    return one


def test_what_is_deleted_meanwhile_is_not_found_and_leaves_no_trace(connect: Connect) -> None:
    """The replay waits for the deletion; the pipeline counts nothing that is not there."""
    deleting, observer = connect(), connect()
    one = failed(deleting)

    with deleting.transaction():
        run(deleting, "DELETE FROM engagements_engagement WHERE id = %s", [one])
        replaying = in_thread(lambda: services.replay(one, actor="test"))
        until_lock_wait(observer)

    with pytest.raises(NotFound):
        replaying.result(timeout=10)
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)


def test_what_is_replayed_meanwhile_is_not_deleted(connect: Connect) -> None:
    """The deletion looks at the row again after it has waited."""
    replaying, observer = connect(), connect()
    one = failed(replaying)
    run(replaying, "UPDATE engagements_engagement SET received_at = received_at - interval '9 days'")
    run(replaying, "UPDATE engagements_engagement SET settled_at = settled_at - interval '9 days'")
    live = ring()

    with replaying.transaction():
        operate.replay(replaying, one, live)
        deleting = in_thread(lambda: retention.delete_old(connect(), keep=timedelta(days=7), batches=1))
        until_lock_wait(observer)
    deleting.result(timeout=10)

    assert engagement(one).status == "pending"


def test_two_replays_at_once_are_one(connect: Connect) -> None:
    first, observer = connect(), connect()
    one = failed(first)
    live = ring()
    with first.transaction():
        operate.replay(first, one, live)
        second = in_thread(lambda: services.replay(one, actor="test"))
        until_lock_wait(observer)

    with pytest.raises(Conflict, match="pending"):
        second.result(timeout=10)
    assert pipeline("ann").depth == 1
