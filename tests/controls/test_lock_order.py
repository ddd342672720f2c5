"""The lock order: whoever locks many pipelines and waits for them does so in ascending order, so no circle can form.

Nobody outside sees a deadlock, for the services try again; PostgreSQL counts it.
"""

from concurrent.futures import Future

from engagements.services import BulkItem, produce, produce_bulk
from engagements.store import pipelines
from engagements.store.connection import Connection, fetch
from tests.controls.sabotage import without
from tests.support.store import Connect, in_thread, lock_waits, until, until_lock_wait


def _two_producers_of_the_same_users_crosswise(connect: Connect) -> int:
    """Each has locked its first user and waits for the one in the middle; deadlocks that PostgreSQL counted since."""
    middle, observer = connect(), connect()
    for user in ("ann", "bob", "cem"):
        produce(user_id=user, payload={})
    before = _deadlocks(observer)

    def producing(*users: str) -> "Future[list[BulkItem]]":
        return in_thread(lambda: produce_bulk([{"user_id": user, "payload": {}} for user in users]))

    with middle.transaction():
        middle.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'bob' FOR NO KEY UPDATE")
        one = producing("ann", "bob", "cem")
        until_lock_wait(observer)
        other = producing("cem", "bob", "ann")
        until(lambda: lock_waits(observer) == 2, "both wait")
    assert [item.status for item in [*one.result(20), *other.result(20)]] == ["created"] * 6
    until(lambda: _sessions(observer) <= 3, "the producers' sessions are gone, and have reported")
    return _deadlocks(observer) - before


def _sessions(observer: Connection) -> int:
    """Of this database: the test's own two, and Django's of this thread."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    return int(fetch(observer, sql)[0][0])


def _deadlocks(observer: Connection) -> int:
    return int(fetch(observer, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0])


def test_two_producers_of_the_same_users_never_deadlock(connect: Connect) -> None:
    assert _two_producers_of_the_same_users_crosswise(connect) == 0


def test_without_the_order_they_do(connect: Connect) -> None:
    with without(pipelines, "_ENLIST", 'ORDER BY n.user_id COLLATE "C"'):
        assert _two_producers_of_the_same_users_crosswise(connect) >= 1
