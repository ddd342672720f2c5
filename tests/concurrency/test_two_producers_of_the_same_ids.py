"""Two producers send the same engagements at the same time, as a client does that repeats what it got no answer to."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import OperationalError, transaction

from engagements.models import Engagement
from engagements.services import BulkItem, produce, produce_bulk
from engagements.store.connection import current
from tests.support.store import Connect, in_thread, line, pipeline, start_worker, until_lock_wait


def test_the_same_id_twice_is_stored_once(connect: Connect) -> None:
    """The second waits for the first and answers what it finds."""
    observer = connect()
    start_worker(observer, "w1")
    id = uuid4()

    with transaction.atomic():
        produce(id=id, user_id="ann", payload={"n": 1})
        second = in_thread(lambda: produce(id=id, user_id="ann", payload={"n": 1}))
        until_lock_wait(observer)

    assert not second.result(timeout=10).created
    assert (pipeline("ann").depth, line("ann")) == (1, [id])


def test_the_same_id_for_another_user_leaves_no_trace_of_that_user(connect: Connect) -> None:
    """No pipeline stands in the way of the other; the row's key does."""
    observer = connect()
    start_worker(observer, "w1")
    id = uuid4()

    with transaction.atomic():
        produce(id=id, user_id="ann", payload={})
        second = in_thread(lambda: produce_bulk([{"id": id, "user_id": "bob", "payload": {}}]))
        until_lock_wait(observer)

    [item] = second.result(timeout=10)
    assert (item.status, str(item.error)) == (
        "refused",
        "an engagement with this id exists and its content differs; use a new id",
    )
    assert (pipeline("bob").depth, pipeline("bob").due_at) == (0, None)


def test_ids_in_opposite_order_need_no_deadlock(connect: Connect) -> None:
    """Unordered ones share no pipeline: they are stored in order of their ids, whatever the list's order is."""
    observer = connect()
    start_worker(observer, "w1")
    low, high = sorted([uuid4(), uuid4()])
    items = [{"id": id, "user_id": "ann", "payload": {}, "unordered": True} for id in (low, high)]

    deadlocks = _deadlocks()
    with transaction.atomic():
        produce(**items[0])
        second = in_thread(_bulk([items[1], items[0]]))
        until_lock_wait(observer)
        produce(**items[1])

    assert [(item.id, item.status) for item in second.result(timeout=10)] == [(high, "duplicate"), (low, "duplicate")]
    assert _deadlocks() == deadlocks
    assert Engagement.objects.count() == 2


def test_a_list_keeps_its_order_although_it_is_stored_in_order_of_ids(connect: Connect) -> None:
    ids = sorted((uuid4() for _ in range(20)), reverse=True)
    produce_bulk([{"id": id, "user_id": "ann", "payload": {}} for id in ids])
    assert line("ann") == ids


def test_a_deadlock_of_two_producers_is_tried_again(connect: Connect) -> None:
    """The caller of the one that PostgreSQL chose as its victim notices nothing."""
    other = connect()
    start_worker(other, "w1")
    for user in ("ann", "bob"):
        produce(user_id=user, payload={})
    other.execute("SET deadlock_timeout = '1min'")  # so that the other side is the victim

    with other.transaction():
        other.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'bob' FOR NO KEY UPDATE")
        producing = in_thread(_bulk([{"user_id": user, "payload": {}} for user in ("ann", "bob")]))
        until_lock_wait(connect())
        other.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'ann' FOR NO KEY UPDATE")

    assert [item.status for item in producing.result(timeout=20)] == ["created", "created"]
    assert (pipeline("ann").depth, pipeline("bob").depth) == (2, 2)


def test_a_deadlock_inside_the_callers_own_transaction_is_the_callers(connect: Connect) -> None:
    """Half of a transaction cannot be repeated: the caller is told, and repeats all of it."""
    other = connect()
    start_worker(other, "w1")
    for user in ("ann", "bob"):
        produce(user_id=user, payload={})
    other.execute("SET deadlock_timeout = '1min'")

    def work() -> None:
        with transaction.atomic():
            produce_bulk([{"user_id": user, "payload": {}} for user in ("ann", "bob")])

    with other.transaction():
        other.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'bob' FOR NO KEY UPDATE")
        producing = in_thread(work)
        until_lock_wait(connect())
        other.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'ann' FOR NO KEY UPDATE")

    with pytest.raises(OperationalError, match="deadlock"):
        producing.result(timeout=20)
    assert (pipeline("ann").depth, pipeline("bob").depth) == (1, 1)


def _bulk(items: list[dict[str, object]]) -> Callable[[], list[BulkItem]]:
    return lambda: produce_bulk(items)


def _deadlocks() -> int:
    sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    row = current().execute(sql).fetchone()
    assert row is not None
    return int(row[0])
