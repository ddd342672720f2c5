"""Producing: what is stored, in which order, for which worker; what is refused; and what a repetition does."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from pytest_django import Settings

from engagements import services
from engagements.domain.errors import IdReused, Invalid
from engagements.models import Channel, Engagement, Pipeline
from engagements.services import BulkItem, produce, produce_bulk
from engagements.store.connection import Connection
from tests.support.store import claim_one, engagement, kill_worker, line, pipeline, start_worker, status
from tests.support.wakeups import announced_to

pytestmark = pytest.mark.usefixtures("database")

MS = timedelta(milliseconds=1)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def statuses(items: list[BulkItem]) -> list[str]:
    return [item.status for item in items]


# --- What is stored ---


def test_an_engagement_is_stored_as_it_is_answered(conn: Connection) -> None:
    start_worker(conn, "w1")
    answer = produce(
        user_id="ann", payload={"text": "hi", "n": 1.5}, produced_at=ago(1), timeout_seconds=7, causal_parent=uuid4()
    )
    assert answer.created
    stored = engagement(answer.engagement.id)
    for field in Engagement._meta.concrete_fields:
        if field.name not in ("arrival", "content_digest"):
            assert getattr(answer.engagement, field.attname) == getattr(stored, field.attname), field.name
    assert stored.expires_at - stored.received_at == timedelta(seconds=7)
    assert (stored.status, stored.sequence, stored.attempts, stored.late) == ("pending", None, 0, False)


def test_the_time_of_receipt_is_postgresqls_and_the_default_of_the_produce_time(conn: Connection) -> None:
    row = produce(user_id="ann", payload={}).engagement
    [now] = conn.execute("SELECT clock_timestamp()").fetchone() or [None]
    assert row.received_at == row.produced_at == row.order_time == row.held_until
    assert now is not None
    assert timedelta(0) <= now - row.received_at < timedelta(seconds=30)


def test_the_first_of_a_user_makes_the_pipeline(conn: Connection) -> None:
    start_worker(conn, "w1")
    produce(user_id="ann", payload={})
    row = pipeline("ann")
    assert (row.worker, row.depth, row.sequence, row.lease_worker, row.in_service) == ("w1", 1, 0, None, None)
    assert row.due_at is not None
    assert row.session_until is not None
    assert timedelta(seconds=290) < row.session_until - row.due_at < timedelta(seconds=310)


def test_a_users_name_may_be_anything_but_nul(conn: Connection) -> None:
    start_worker(conn, "w1")
    names = ["ann", "Ann", "a/b c", 'quote"d', "back\\slash", "{brace,}", "NULL", "ünï", "🙂", " ", "\n", "x" * 200]
    produce_bulk([{"user_id": name, "payload": {}} for name in names])
    assert sorted(Pipeline.objects.values_list("user_id", flat=True)) == sorted(names)
    for name in names:
        assert claim_one(conn, name).user_id == name


# --- Order of arrival ---


def test_a_bulks_order_is_the_lists_order() -> None:
    """Also where no produce time is given, and whatever the ids are: none of the items ties."""
    items = produce_bulk([{"user_id": f"u{n % 7}", "payload": {"n": n}} for n in range(700)])
    assert statuses(items) == ["created"] * 700
    for user in range(7):
        assert line(f"u{user}") == [item.id for item in items if item.index % 7 == user]


def test_one_after_the_other_is_in_order_of_arrival() -> None:
    ids = [produce(user_id="ann", payload={}).engagement.id for _ in range(30)]
    assert line("ann") == ids


def test_equal_produce_times_go_in_order_of_arrival_and_others_by_their_time() -> None:
    same, earlier = ago(2), ago(3)
    times = [same, same, earlier, same]
    ids = [produce(user_id="ann", payload={}, produced_at=time).engagement.id for time in times]
    assert line("ann") == [ids[2], ids[0], ids[1], ids[3]]


def test_a_stated_time_is_held_for_the_reorder_window(settings: Settings) -> None:
    row = produce(user_id="ann", payload={}, produced_at=ago(0.01)).engagement
    assert row.held_until == row.order_time + 100 * MS
    old = produce(user_id="ann", payload={}, produced_at=ago(60)).engagement
    assert old.held_until < old.received_at
    ahead = produce(user_id="ann", payload={}, produced_at=ago(-3)).engagement
    assert ahead.held_until == ahead.received_at + 100 * MS
    settings.REORDER_WINDOW_MS = 0
    now = produce(user_id="ann", payload={}, produced_at=ago(-3)).engagement
    assert now.held_until == now.received_at


def test_an_unstated_time_sorts_after_everything_that_was_attempted(conn: Connection) -> None:
    start_worker(conn, "w1")
    ahead = produce(user_id="ann", payload={}, produced_at=ago(-4)).engagement
    conn.execute("UPDATE engagements_engagement SET held_until = received_at")
    claim_one(conn, "ann")
    row = produce(user_id="ann", payload={}).engagement
    assert row.order_time == ahead.order_time + timedelta(microseconds=1)
    assert not row.late


def test_what_sorts_before_an_attempted_one_is_late_and_goes_next(conn: Connection) -> None:
    start_worker(conn, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement for _ in range(2))
    claim_one(conn, "ann")
    late = produce(user_id="ann", payload={}, produced_at=ago(60)).engagement
    assert (late.late, late.status) == (True, "pending")
    assert line("ann") == [late.id, one.id, two.id]
    assert claim_one_again(conn) == one.id  # what has been attempted still goes first


def claim_one_again(conn: Connection) -> UUID:
    conn.execute("UPDATE engagements_pipeline SET lease_until = clock_timestamp()")
    return claim_one(conn, "ann").id


def test_a_late_one_is_answered_as_expired_where_the_setting_says_so(conn: Connection, settings: Settings) -> None:
    """It is stored, counted nowhere, and leaves an idle pipeline idle."""
    start_worker(conn, "w1")
    produce(user_id="ann", payload={})
    claim_one(conn, "ann")
    services.purge("ann", actor="test")
    settings.LATE_POLICY = "expire"

    late = produce(user_id="ann", payload={}, produced_at=ago(60)).engagement

    stored = engagement(late.id)
    assert (stored.status, stored.late, stored.sequence) == ("expired", True, None)
    assert stored.settled_at == stored.received_at == late.settled_at
    assert "late" in stored.last_error
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)


# --- Time-outs ---


def test_the_engagements_time_out_goes_before_the_pipelines_before_the_default(settings: Settings) -> None:
    settings.PENDING_TIMEOUT_SECONDS = 11.0

    def timeout(**fields: Any) -> float:
        row = produce(user_id="ann", payload={}, **fields).engagement
        return (row.expires_at - row.received_at).total_seconds()

    assert timeout() == 11
    services.set_timeout("ann", 5, actor="test")
    assert timeout() == 5
    assert timeout(timeout_seconds=2.5) == 2.5
    assert timeout(unordered=True) == 11
    services.set_timeout("ann", None, actor="test")
    assert timeout() == 11


def test_a_changed_time_out_counts_for_new_ones_only() -> None:
    row = produce(user_id="ann", payload={}).engagement
    services.set_timeout("ann", 1, actor="test")
    assert engagement(row.id).expires_at == row.expires_at


# --- What is refused ---


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": "x" * 201}, "user_id"),
        ({"user_id": "a\0b"}, "user_id"),
        ({"user_id": "\ud800"}, "user_id"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"payload": None}, "payload"),
        ({"payload": []}, "payload"),
        ({"payload": {"a": "\0"}}, "payload"),
        ({"payload": {"\0": 1}}, "payload"),
        ({"payload": {"a": float("nan")}}, "payload"),
        ({"payload": {"a": 10**400}}, "payload"),
        ({"payload": {"a": "\ud800"}}, "payload"),
        ({"payload": {"a": "x" * 65_536}}, "payload"),
        ({"payload": {"a": object()}}, "payload"),
        ({"id": "no"}, "id"),
        ({"produced_at": "2026-01-31T12:00:00"}, "produced_at"),
        ({"produced_at": datetime(2026, 1, 31)}, "produced_at"),  # noqa: DTZ001
        ({"produced_at": "2026-02-30T12:00:00Z"}, "produced_at"),
        ({"produced_at": "soon"}, "produced_at"),
        ({"produced_at": "9999-12-31T23:59:59-23:00"}, "produced_at"),
        ({"causal_parent": 1}, "causal_parent"),
        ({"causal_parent": uuid4(), "unordered": True}, "causal_parent"),
        ({"unordered": "yes"}, "unordered"),
        ({"channel": ""}, "channel"),
        ({"channel": "nowhere"}, "channel"),
        ({"channel": "a\0"}, "channel"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": 3601}, "timeout_seconds"),
        ({"timeout_seconds": True}, "timeout_seconds"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_input_is_refused_by_its_field_and_leaves_nothing(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        produce(**{"user_id": "ann", "payload": {}, **fields})
    assert [error.field for error in refused.value.errors] == [field]
    assert not Engagement.objects.exists()
    assert not Pipeline.objects.exists()


def test_a_produce_time_may_run_five_seconds_ahead() -> None:
    produce(user_id="ann", payload={}, produced_at=ago(-4.5))
    with pytest.raises(Invalid, match="in the future"):
        produce(user_id="ann", payload={}, produced_at=ago(-60))


def test_payloads_are_bounded_in_depth() -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(depth - 1):
            value = {"a": value}
        return value

    produce(user_id="ann", payload=nested(32))
    with pytest.raises(Invalid, match="nested"):
        produce(user_id="ann", payload=nested(33))


def test_an_engagement_cannot_be_its_own_parent() -> None:
    id = uuid4()
    with pytest.raises(Invalid, match="own parent"):
        produce(user_id="ann", payload={}, id=id, causal_parent=str(id).upper())


def test_an_inactive_channel_is_refused(conn: Connection) -> None:
    conn.execute(
        "INSERT INTO engagements_channel (name, kind, url, secret, previous_secret, active, created_at) "
        "VALUES ('old', 'log', '', '', '', false, now())"
    )
    with pytest.raises(Invalid, match="no active channel 'old'"):
        produce(user_id="ann", payload={}, channel="old")


# --- Cycles ---


def test_the_request_that_closes_a_cycle_is_refused() -> None:
    a, b, c = (uuid4() for _ in range(3))
    produce(user_id="ann", payload={}, id=a, causal_parent=b)
    produce(user_id="bob", payload={}, id=b, causal_parent=c)
    with pytest.raises(Invalid, match="cycle") as refused:
        produce(user_id="cy", payload={}, id=c, causal_parent=a)
    assert [error.field for error in refused.value.errors] == ["causal_parent"]
    assert not Pipeline.objects.filter(user_id="cy").exists()


def test_a_cycle_within_a_bulk_is_refused_where_it_closes() -> None:
    a, b = uuid4(), uuid4()
    items = produce_bulk(
        [
            {"user_id": "ann", "payload": {}, "id": a, "causal_parent": b},
            {"user_id": "bob", "payload": {}, "id": b, "causal_parent": a},
            {"user_id": "cy", "payload": {}, "id": uuid4(), "causal_parent": a},
        ]
    )
    assert statuses(items) == ["created", "refused", "created"]


def test_a_cycle_through_settled_ones_is_still_one() -> None:
    a, b = uuid4(), uuid4()
    produce(user_id="ann", payload={}, id=a, causal_parent=b)
    services.purge("ann", actor="test")
    with pytest.raises(Invalid, match="cycle"):
        produce(user_id="ann", payload={}, id=b, causal_parent=a)


def test_a_chain_is_no_cycle_however_long() -> None:
    """In one list, children before their parents or after: each sorts after its parent."""
    ids = [uuid4() for _ in range(200)]
    links = list(zip(ids, [None, *ids], strict=False))
    fields = [
        {"user_id": "ann", "payload": {}, "id": id, **({"causal_parent": parent} if parent else {})}
        for id, parent in reversed(links)
    ]
    assert set(statuses(produce_bulk(fields))) == {"created"}
    assert line("ann") == ids


# --- Causal order times ---


def test_a_child_sorts_after_its_parent_whatever_it_states() -> None:
    parent = produce(user_id="bob", payload={}).engagement
    child = produce(user_id="ann", payload={}, produced_at=ago(100), causal_parent=parent.id).engagement
    assert child.order_time == parent.order_time + timedelta(microseconds=1)


def test_an_unordered_parents_order_time_is_its_produce_time() -> None:
    stated = ago(50)
    parent = produce(user_id="bob", payload={}, unordered=True, produced_at=stated).engagement
    assert parent.order_time == stated
    child = produce(user_id="ann", payload={}, produced_at=ago(100), causal_parent=parent.id).engagement
    assert child.order_time == stated + timedelta(microseconds=1)


# --- Idempotence ---


def test_the_same_again_is_answered_and_not_stored_again() -> None:
    id = uuid4()
    fields = {"id": id, "user_id": "ann", "payload": {"b": 1, "a": [1.0, "x"]}, "timeout_seconds": 9}
    first = produce(**fields)
    again = produce(**{**fields, "id": str(id), "payload": {"a": [1, "x"], "b": 1.0}, "timeout_seconds": 9.0})
    assert (first.created, again.created) == (True, False)
    assert again.engagement.id == id
    assert pipeline("ann").depth == 1


def test_the_same_again_is_answered_also_when_its_channel_was_switched_off_since() -> None:
    Channel.objects.create(name="crm", kind="log")
    fields: dict[str, Any] = {"id": uuid4(), "user_id": "ann", "payload": {}, "channel": "crm"}
    assert produce(**fields).created
    Channel.objects.filter(name="crm").update(active=False)
    assert not produce(**fields).created
    with pytest.raises(Invalid):
        produce(**{**fields, "id": uuid4()})


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "bob"},
        {"payload": {"a": 2}},
        {"payload": {"a": "1"}},
        {"payload": {"a": True}},
        {"channel": "log"},
        {"unordered": False},
        {"unordered": True},
        {"timeout_seconds": 30},
        {"causal_parent": UUID(int=1)},
        {"produced_at": "2026-01-31T12:00:00Z"},
    ],
)
def test_another_content_under_the_same_id_is_a_conflict(change: dict[str, Any]) -> None:
    """Left out is not the same as stated, also where the default is what was stated."""
    fields: dict[str, Any] = {"id": uuid4(), "user_id": "ann", "payload": {"a": 1}}
    produce(**fields)
    with pytest.raises(IdReused):
        produce(**{**fields, **change})
    assert Engagement.objects.count() == 1


def test_a_repetition_is_answered_after_the_engagement_was_settled() -> None:
    id = uuid4()
    produce(id=id, user_id="ann", payload={})
    services.purge("ann", actor="test")
    again = produce(id=id, user_id="ann", payload={})
    assert (again.created, again.engagement.status) == (False, "purged")


def test_within_one_list_the_first_wins() -> None:
    id = uuid4()
    items = produce_bulk(
        [
            {"id": id, "user_id": "ann", "payload": {"n": 1}},
            {"id": id, "user_id": "ann", "payload": {"n": 2}},
            {"id": id, "user_id": "ann", "payload": {"n": 1}},
        ]
    )
    assert statuses(items) == ["created", "refused", "duplicate"]
    assert isinstance(items[1].error, IdReused)
    assert engagement(id).payload == {"n": 1}


def test_a_repeated_id_whose_first_is_refused_is_judged_by_itself() -> None:
    id = uuid4()
    items = produce_bulk(
        [
            {"id": id, "user_id": "", "payload": {}},
            {"id": id, "user_id": "ann", "payload": {}},
        ]
    )
    assert statuses(items) == ["refused", "created"]


# --- Bulk ---


def test_a_bulk_stores_what_it_can_and_names_what_it_refuses() -> None:
    known = produce(user_id="ann", payload={}, id=uuid4()).engagement.id
    items = produce_bulk(
        [
            {"user_id": "ann", "payload": {}},
            {"user_id": "ann"},
            {"id": known, "user_id": "ann", "payload": {}},
            {"id": known, "user_id": "ann", "payload": {"x": 1}},
            {"user_id": "bob", "payload": {}, "channel": "nowhere"},
            {"user_id": "bob", "payload": {}, "unordered": True},
        ]
    )
    assert statuses(items) == ["created", "refused", "duplicate", "refused", "refused", "created"]
    assert [item.index for item in items] == list(range(6))
    assert (pipeline("ann").depth, Pipeline.objects.filter(user_id="bob").exists()) == (2, False)


def test_a_bulk_has_a_limit_and_may_be_empty() -> None:
    assert produce_bulk([]) == []
    with pytest.raises(Invalid, match="1001"):
        produce_bulk([{"user_id": "ann", "payload": {}}] * 1001)
    assert statuses(produce_bulk([{"user_id": "ann", "payload": {}}] * 1000)) == ["created"] * 1000
    assert pipeline("ann").depth == 1000


def test_an_item_that_is_no_object_is_refused() -> None:
    items: list[Any] = [7, None, [], "x"]
    assert statuses(produce_bulk(items)) == ["refused"] * 4


# --- The caller's transaction, and waking ---


def test_inside_the_callers_transaction_it_is_stored_and_woken_with_the_commit_or_not_at_all(conn: Connection) -> None:
    start_worker(conn, "w1")
    with announced_to("w1") as announced:
        with transaction.atomic():
            gone = produce(user_id="gone", payload={}).engagement.id
            transaction.set_rollback(True)
        assert not Engagement.objects.filter(id=gone).exists()
        with transaction.atomic():
            kept = produce(user_id="kept", payload={}).engagement.id
            assert not conn.execute("SELECT 1 FROM engagements_engagement").fetchall()
            assert announced.none_waits()
        assert status(kept) == "pending"
        assert announced.next() == ["kept"]


def test_a_refusal_inside_the_callers_transaction_leaves_the_rest_of_it_whole() -> None:
    with transaction.atomic():
        produce(user_id="ann", payload={}, id=UUID(int=7))
        with pytest.raises(IdReused):
            produce(user_id="ann", payload={"x": 1}, id=UUID(int=7))
        produce(user_id="ann", payload={})
    assert pipeline("ann").depth == 2


def test_only_idle_pipelines_are_announced_and_all_in_one_wake_up(conn: Connection) -> None:
    start_worker(conn, "w1")
    produce(user_id="busy", payload={})
    claim_one(conn, "busy")
    with announced_to("w1") as announced:
        produce_bulk([{"user_id": user, "payload": {}} for user in ("ann", "busy", "bob", "ann")])
        assert announced.next() == ["ann", "bob"]
        assert announced.none_waits()


# --- Whose user it is ---


def test_a_session_keeps_its_worker_while_it_lives(conn: Connection) -> None:
    start_worker(conn, "w1")
    users = [f"u{n}" for n in range(40)]
    produce_bulk([{"user_id": user, "payload": {}} for user in users])
    for user in users:
        services.purge(user, actor="test")
    start_worker(conn, "w2")
    produce_bulk([{"user_id": user, "payload": {}} for user in users])
    assert set(Pipeline.objects.values_list("worker", flat=True)) == {"w1"}


def test_a_dead_workers_pin_is_void(conn: Connection) -> None:
    start_worker(conn, "w1")
    produce(user_id="ann", payload={})
    services.purge("ann", actor="test")
    kill_worker(conn, "w1")
    start_worker(conn, "w2")
    produce(user_id="ann", payload={})
    assert pipeline("ann").worker == "w2"


def test_an_ended_session_lets_the_ring_choose_anew_once_the_work_is_done(conn: Connection) -> None:
    start_worker(conn, "w1")
    users = [f"u{n}" for n in range(40)]
    for user in users:
        produce(user_id=user, payload={})
    start_worker(conn, "w2")
    for user in users:
        services.end_session(user, actor="test")
        produce(user_id=user, payload={})
    assert set(Pipeline.objects.values_list("worker", flat=True)) == {"w1"}  # never while work is pending
    assert set(Pipeline.objects.values_list("session_until", flat=True)) == {None}
    for user in users:
        services.purge(user, actor="test")
        produce(user_id=user, payload={})
    assert set(Pipeline.objects.values_list("worker", flat=True)) == {"w1", "w2"}
    assert not Pipeline.objects.filter(session_until=None).exists()


def test_a_session_that_ran_out_lets_the_ring_choose_anew(conn: Connection) -> None:
    start_worker(conn, "w1")
    users = [f"u{n}" for n in range(40)]
    for user in users:
        produce(user_id=user, payload={})
        services.purge(user, actor="test")
    start_worker(conn, "w2")
    conn.execute("UPDATE engagements_pipeline SET session_until = clock_timestamp()")
    for user in users:
        produce(user_id=user, payload={})
    assert set(Pipeline.objects.values_list("worker", flat=True)) == {"w1", "w2"}


def test_with_no_worker_alive_it_is_stored_for_the_first_that_starts() -> None:
    produce(user_id="ann", payload={})
    assert pipeline("ann").worker is None


def test_a_busy_pipeline_needs_no_session_to_keep_its_worker(conn: Connection) -> None:
    start_worker(conn, "w1")
    produce(user_id="ann", payload={})
    conn.execute("UPDATE engagements_pipeline SET session_until = clock_timestamp() - interval '1 hour'")
    start_worker(conn, "w2")
    for _ in range(5):
        produce(user_id="ann", payload={})
    assert pipeline("ann").worker == "w1"


# --- Unordered ---


def test_an_unordered_one_touches_no_pipeline() -> None:
    row = produce(user_id="ann", payload={}, unordered=True).engagement
    assert not Pipeline.objects.exists()
    assert (row.unordered, row.late, row.sequence) == (True, False, None)
