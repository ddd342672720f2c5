"""Heartbeats, incarnations, the poll, and moving the users of a dead worker."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from engagements import services
from engagements.models import Pipeline, Worker
from engagements.services import produce, produce_bulk
from engagements.store import lease, settle, workers
from engagements.store.connection import Connection
from tests.support.store import claim_one, kill_worker, pipeline, settlement, start_worker

pytestmark = pytest.mark.usefixtures("database")


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


# --- Alive ---


def test_a_worker_is_alive_from_its_start_until_five_seconds_without_a_heartbeat(conn: Connection) -> None:
    incarnation = workers.start(conn, "w1").incarnation
    workers.start(conn, "w0")
    assert workers.alive(conn) == ["w0", "w1"]
    conn.execute("UPDATE engagements_worker SET heartbeat_at = clock_timestamp() - interval '5.1 s'")
    assert workers.alive(conn) == []
    assert workers.beat(conn, "w1", incarnation)
    assert workers.alive(conn) == ["w1"]


def test_a_worker_that_stopped_is_dead_at_once_and_may_come_back(conn: Connection) -> None:
    first = workers.start(conn, "w1").incarnation
    workers.stop(conn, "w1", first)
    assert workers.alive(conn) == []
    assert not workers.beat(conn, "w1", first)
    assert workers.start(conn, "w1").incarnation == first + 1
    assert workers.alive(conn) == ["w1"]


def test_an_old_incarnation_neither_beats_nor_stops_the_new_one(conn: Connection) -> None:
    first = workers.start(conn, "w1").incarnation
    second = workers.start(conn, "w1").incarnation
    assert not workers.beat(conn, "w1", first)
    workers.stop(conn, "w1", first)
    assert workers.beat(conn, "w1", second)
    assert Worker.objects.get(name="w1").stopped_at is None


# --- The poll ---


def test_the_poll_finds_what_is_due_and_unleased_longest_first(conn: Connection) -> None:
    start_worker(conn, "w1")
    for user in ("late", "early", "leased", "paused", "asleep", "expired-lease"):
        make(user)
    claim_one(conn, "leased")
    claim_one(conn, "expired-lease")
    conn.execute(
        "UPDATE engagements_pipeline SET lease_until = clock_timestamp() - interval '1 s' "
        "WHERE user_id = 'expired-lease'"
    )
    services.pause("paused", actor="test")
    settle.postpone(conn, [settlement(claim_one(conn, "asleep"), "retry", delay=9)], worker="w1")
    conn.execute("UPDATE engagements_pipeline SET due_at = due_at - interval '9 s' WHERE user_id = 'early'")
    assert workers.due(conn, "w1", limit=9) == ["early", "late", "expired-lease"]
    assert workers.due(conn, "w1", limit=1) == ["early"]
    assert workers.due(conn, "w2", limit=9) == []


def test_a_retry_is_due_when_its_time_has_come(conn: Connection) -> None:
    start_worker(conn, "w1")
    make()
    settle.postpone(conn, [settlement(claim_one(conn, "ann"), "retry", delay=0)], worker="w1")
    assert workers.due(conn, "w1", limit=9) == ["ann"]


# --- The forgotten ---


def test_a_child_whose_waking_was_lost_is_found(conn: Connection) -> None:
    start_worker(conn, "w1")
    settled, pending, unknown = make("p1"), make("p2"), uuid4()
    for user, parent in (("c1", settled), ("c2", pending), ("c3", unknown)):
        make(user, causal_parent=parent)
    lease.claim(conn, ["c1", "c2", "c3"], worker="w1")
    settle.settle(conn, [settlement(claim_one(conn, "p1"))], worker="w1")  # and nobody woke the child
    assert workers.forgotten(conn, "w1", limit=9) == ["c1"]
    assert workers.forgotten(conn, "w2", limit=9) == []


def test_a_child_whose_parent_came_and_sorts_after_it_is_found(conn: Connection) -> None:
    start_worker(conn, "w1")
    parent = uuid4()
    make("ann", causal_parent=parent)
    make("ann")
    lease.claim(conn, ["ann"], worker="w1")
    make("bob", id=parent)
    conn.execute("UPDATE engagements_pipeline SET due_at = clock_timestamp() + interval '20 s' WHERE user_id = 'ann'")
    assert workers.forgotten(conn, "w1", limit=9) == ["ann"]


# --- Moving ---


def test_a_dead_workers_due_users_move_by_the_ring_and_start_a_session(conn: Connection) -> None:
    start_worker(conn, "w1")
    users = [f"u{n}" for n in range(60)]
    produce_bulk([{"user_id": user, "payload": {}} for user in users])
    claim_one(conn, "u0")
    services.purge("u1", actor="test")
    services.pause("u2", actor="test")
    conn.execute("UPDATE engagements_pipeline SET session_until = NULL")
    kill_worker(conn, "w1")
    for name in ("w2", "w3"):
        start_worker(conn, name)

    moved = workers.move_orphans(conn, workers.alive(conn))

    assert set(moved) == {"w2", "w3"}
    assert sorted([*moved["w2"], *moved["w3"]]) == sorted(set(users) - {"u1", "u2"})
    for worker, theirs in moved.items():
        rows = Pipeline.objects.filter(worker=worker)
        assert set(rows.values_list("user_id", flat=True)) == set(theirs)
        assert set(rows.values_list("lease_worker", flat=True)) == {None}
        assert not rows.filter(session_until=None).exists()
    assert (pipeline("u0").lease_token, pipeline("u0").sequence) == (2, 1)
    assert (pipeline("u1").worker, pipeline("u2").worker) == ("w1", "w1")
    assert workers.move_orphans(conn, workers.alive(conn)) == {}


def test_users_of_nobody_go_to_the_first_worker_that_starts(conn: Connection) -> None:
    make()
    assert workers.move_orphans(conn, []) == {}
    start_worker(conn, "w1")
    assert workers.move_orphans(conn, ["w1"]) == {"w1": ["ann"]}


def test_the_users_of_the_living_stay(conn: Connection) -> None:
    for name in ("w1", "w2"):
        start_worker(conn, name)
    produce_bulk([{"user_id": f"u{n}", "payload": {}} for n in range(50)])
    assert workers.move_orphans(conn, ["w1", "w2"]) == {}


def test_a_worker_back_under_its_name_keeps_the_users_that_nobody_moved(conn: Connection) -> None:
    start_worker(conn, "w1")
    make()
    kill_worker(conn, "w1")
    start_worker(conn, "w1")
    assert workers.move_orphans(conn, workers.alive(conn)) == {}
    assert claim_one(conn, "ann").sequence == 1


def test_a_start_leaves_other_workers_leases_alone(conn: Connection) -> None:
    for name in ("w1", "w2"):
        start_worker(conn, name)
    users = [f"u{n}" for n in range(50)]
    produce_bulk([{"user_id": user, "payload": {}} for user in users])
    for name in ("w1", "w2"):
        lease.claim(conn, users, worker=name)
    before = set(Pipeline.objects.filter(worker="w2").values_list("user_id", "lease_token", "lease_until"))
    workers.start(conn, "w1")
    assert set(Pipeline.objects.filter(worker="w2").values_list("user_id", "lease_token", "lease_until")) == before
    assert not Pipeline.objects.filter(worker="w1").exclude(lease_worker=None).exists()


def test_ten_thousand_users_move_in_a_moment(conn: Connection) -> None:
    start_worker(conn, "w1")
    conn.execute(
        """
        INSERT INTO engagements_pipeline (user_id, worker, lease_token, attempt, sequence, depth, due_at)
        SELECT 'u' || n, 'w1', 0, 0, 0, 1, clock_timestamp() FROM generate_series(1, 10000) n
        """
    )
    kill_worker(conn, "w1")
    start_worker(conn, "w2")
    row = conn.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moved = workers.move_orphans(conn, ["w2"])
    after = conn.execute("SELECT clock_timestamp()").fetchone()
    assert after is not None
    assert len(moved["w2"]) == 10_000
    assert after[0] - row[0] < timedelta(seconds=10)
