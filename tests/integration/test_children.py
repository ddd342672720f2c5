"""Waking who waits for what has settled, or has come."""

from uuid import UUID, uuid4

import pytest

from engagements import services
from engagements.services import produce
from engagements.store import children, lease, settle
from engagements.store.connection import Connection
from tests.support.store import claim_one, engagement, pipeline, settlement, start_worker
from tests.support.wakeups import announced_to

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def make(user: str, **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


def test_the_users_of_pending_children_are_found_once_each(conn: Connection) -> None:
    parent, other = make("p"), make("q")
    for user in ("ann", "ann", "bob"):
        make(user, causal_parent=parent)
    make("cy", causal_parent=other)
    make("dan", causal_parent=parent)
    services.purge("dan", actor="test")
    assert sorted(children.users_of(conn, [parent])) == ["ann", "bob"]
    assert sorted(children.users_of(conn, [parent, other])) == ["ann", "bob", "cy"]
    assert children.users_of(conn, [uuid4()]) == children.users_of(conn, []) == []


def test_a_woken_pipeline_is_due_now_by_its_worker(conn: Connection) -> None:
    start_worker(conn, "w2")
    users = [f"u{n}" for n in range(30)]
    for user in users:
        make(user, causal_parent=uuid4())
    for name in ("w1", "w2"):
        lease.claim(conn, users, worker=name)

    woken = children.wake(conn, [*users, "unknown"])

    assert woken.busy == []
    assert {user: worker for worker, names in woken.wake.items() for user in names} == {
        user: pipeline(user).worker for user in users
    }
    for user in users:
        worker = pipeline(user).worker
        assert worker is not None
        assert lease.claim(conn, [user], worker=worker).asleep[user] > 20  # it was looked at


def test_a_retry_and_an_idle_pipeline_are_not_hurried(conn: Connection) -> None:
    make("ann")
    settle.postpone(conn, [settlement(claim_one(conn, "ann"), "retry", delay=9)], worker="w1")
    due = pipeline("ann").due_at
    services.pause("idle", actor="test")
    assert children.wake(conn, ["ann", "idle"]) == children.Woken()
    assert pipeline("ann").due_at == due
    assert children.wake(conn, []) == children.Woken()


def test_a_parent_that_comes_after_its_child_wakes_it(conn: Connection) -> None:
    parent = uuid4()
    child = make("ann", causal_parent=parent)
    x = make("ann")
    lease.claim(conn, ["ann"], worker="w1")
    with announced_to("w1") as announced:
        make("bob", id=parent)
        users: set[str] = set()
        while users != {"ann", "bob"}:
            users.update(announced.next())
    assert claim_one(conn, "ann").id == x
    assert engagement(child).order_time > engagement(parent).order_time


def test_an_unordered_parent_that_comes_after_its_child_wakes_it_too(conn: Connection) -> None:
    parent = uuid4()
    make("ann", causal_parent=parent)
    x = make("ann")
    lease.claim(conn, ["ann"], worker="w1")
    make("bob", id=parent, unordered=True)
    assert claim_one(conn, "ann").id == x
