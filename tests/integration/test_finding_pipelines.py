"""Finding the pipelines that an operator asks for, by bounded reads: the blocked, the oldest, the deepest."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from engagements import channels, services
from engagements.models import Engagement, Pipeline
from engagements.selectors.pipelines import Order, Search, State, find, pipelines, with_chain
from engagements.services import produce, produce_bulk
from engagements.store import find_pipelines, lease, settle
from engagements.store.connection import Connection, run
from engagements.store.heads import Grant
from tests.support.store import claim_one, kill_worker, settlement, start_worker

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def w1(conn: Connection) -> str:
    start_worker(conn, "w1")
    return "w1"


def push(user: str, count: int = 1) -> list[Engagement]:
    items = produce_bulk([{"user_id": user, "payload": {"n": n}} for n in range(count)])
    return list(Engagement.objects.filter(id__in=[item.id for item in items]).order_by("arrival"))


def take(conn: Connection, user: str) -> Grant:
    return claim_one(conn, user, worker="w1")


def retry(conn: Connection, user: str, *, delay: float) -> None:
    settle.postpone(conn, [settlement(take(conn, user), "retry", answer="503", delay=delay)], worker="w1")


def since(user: str, seconds: float) -> None:
    """As if all that concerns this user had happened so long ago."""
    ago = timedelta(seconds=seconds)
    pipeline = Pipeline.objects.get(user_id=user)
    Pipeline.objects.filter(user_id=user).update(due_at=pipeline.due_at and pipeline.due_at - ago)
    for row in Engagement.objects.filter(user_id=user):
        Engagement.objects.filter(id=row.id).update(received_at=row.received_at - ago)


def found(**search: object) -> list[str]:
    return find(Search(**search)).users  # type: ignore[arg-type]


def _waits_for_a_parent(conn: Connection, user: str) -> None:
    produce(user_id=user, payload={}, causal_parent=uuid4(), timeout_seconds=60)
    assert lease.claim(conn, [user], worker="w1").grants == []


def _between_attempts(conn: Connection, user: str) -> None:
    push(user)
    retry(conn, user, delay=20)


def _in_a_second_attempt(conn: Connection, user: str) -> None:
    push(user)
    retry(conn, user, delay=0)
    assert take(conn, user).attempt == 2


def _nobody_works_on_it(conn: Connection, user: str) -> None:
    push(user)
    since(user, 5)


def _its_worker_is_dead(conn: Connection, user: str) -> None:
    push(user)
    start_worker(conn, "gone")
    run(conn, "UPDATE engagements_pipeline SET worker = 'gone' WHERE user_id = %s", [user])
    kill_worker(conn, "gone")


def _a_first_attempt_hangs(conn: Connection, user: str) -> None:
    push(user)
    take(conn, user)
    since(user, 5)


def _just_due(conn: Connection, user: str) -> None:
    push(user)


def _just_being_attempted(conn: Connection, user: str) -> None:
    push(user)
    take(conn, user)


def _long_due_but_getting_on(conn: Connection, user: str) -> None:
    push(user, 3)
    since(user, 5)
    done = settle.settle(conn, [settlement(take(conn, user))], worker="w1")
    assert len(done.grants) == 1


def _held_for_its_window(conn: Connection, user: str) -> None:
    produce(user_id=user, payload={}, produced_at=push(f"before {user}")[0].received_at)


def _just_arrived_and_long_overdue(conn: Connection, user: str) -> None:
    produce(
        user_id=user, payload={}, produced_at=Engagement.objects.earliest("arrival").received_at - timedelta(hours=1)
    )


def _paused(conn: Connection, user: str) -> None:
    push(user)
    since(user, 5)
    services.pause(user, actor="test")


def _idle(conn: Connection, user: str) -> None:
    push(user)
    settle.settle(conn, [settlement(take(conn, user))], worker="w1")


BLOCKED: list[Callable[[Connection, str], None]] = [
    _waits_for_a_parent,
    _between_attempts,
    _in_a_second_attempt,
    _nobody_works_on_it,
    _its_worker_is_dead,
    _a_first_attempt_hangs,
]
NOT_BLOCKED: list[Callable[[Connection, str], None]] = [
    _just_due,
    _just_being_attempted,
    _long_due_but_getting_on,
    _held_for_its_window,
    _just_arrived_and_long_overdue,
    _paused,
    _idle,
]


def test_blocked_is_found_as_it_is_defined_and_shown(conn: Connection, w1: str) -> None:
    """The search's condition in SQL and the pure rule behind the mark on the page say the same of every pipeline."""
    for make in [*BLOCKED, *NOT_BLOCKED]:
        make(conn, make.__name__)
    expected = {make.__name__ for make in BLOCKED}
    everybody = pipelines([make.__name__ for make in [*BLOCKED, *NOT_BLOCKED]])
    assert {user for user, state in everybody.items() if state.blocked} == expected
    assert set(found(state=State.BLOCKED)) == expected
    assert set(found(state=State.BLOCKED, worker="w1")) == expected - {"_its_worker_is_dead"}
    services.pause_everything(actor="test")
    assert found(state=State.BLOCKED) == []
    assert not any(state.blocked for state in pipelines(sorted(expected)).values())


def test_one_blocked_is_found_among_very_many_that_get_on(
    conn: Connection, w1: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From both ends of each worker's index: what is due for longest, and what is asleep for longest."""
    monkeypatch.setattr(find_pipelines, "CANDIDATES", 12)
    produce_bulk([{"user_id": f"user-{n:03}", "payload": {}} for n in range(200)])
    _between_attempts(conn, "user-100")
    _nobody_works_on_it(conn, "user-150")
    assert set(found(state=State.BLOCKED)) == {"user-100", "user-150"}


def test_the_longest_waiting_come_first(conn: Connection, w1: str) -> None:
    for user in ("cleo", "ann", "ben"):
        push(user)
    push("cleo")
    assert found(order=Order.AGE) == ["cleo", "ann", "ben"]
    settle.settle(conn, [settlement(take(conn, "cleo"))], worker="w1")
    assert found(order=Order.AGE) == ["ann", "ben", "cleo"]
    assert found(order=Order.AGE, user="") == found(order=Order.AGE, state=State.WORK)


def test_the_deepest_come_first(w1: str) -> None:
    for user, count in (("ann", 2), ("ben", 9), ("cleo", 4)):
        push(user, count)
    assert found(order=Order.DEPTH) == ["ben", "cleo", "ann"]
    assert not find(Search(order=Order.DEPTH)).bounded


def test_a_deep_pipeline_is_found_in_the_middle_of_a_long_backlog(w1: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_pipelines, "CANDIDATES", 20)
    monkeypatch.setattr(find_pipelines, "SPREAD", 25)
    produce_bulk([{"user_id": f"early-{n}", "payload": {}} for n in range(200)])
    push("hot", 50)
    produce_bulk([{"user_id": f"later-{n}", "payload": {}} for n in range(200)])
    result = find(Search(order=Order.DEPTH))
    assert result.users[0] == "hot"
    assert result.bounded


def test_a_hot_user_does_not_hide_the_others_for_good(w1: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_pipelines, "PENDING_SCAN", 30)
    push("hot", 80)
    push("ann")
    seen: list[str] = []
    after = 0
    for _ in range(10):
        result = find(Search(order=Order.AGE, after=after))
        seen += result.users
        if result.reached is None:
            break
        after = result.reached
    assert seen == ["hot", "hot", "hot", "ann"]
    assert not result.bounded


def test_one_match_by_channel_is_found_further_on(w1: str, monkeypatch: pytest.MonkeyPatch) -> None:
    channels.create("crm", "null", actor="test")
    monkeypatch.setattr(find_pipelines, "PENDING_SCAN", 30)
    push("hot", 40)
    produce(user_id="ann", payload={}, channel="crm")
    first = find(Search(channel="crm"))
    assert (first.users, first.bounded) == ([], True)
    assert first.reached is not None
    assert found(channel="crm", after=first.reached) == ["ann"]


def test_a_channel_means_that_of_the_head(conn: Connection, w1: str) -> None:
    channels.create("crm", "null", actor="test")
    push("ann")
    produce(user_id="ann", payload={}, channel="crm")
    assert found(channel="crm") == []
    assert found(channel="log") == ["ann"]
    settle.settle(conn, [settlement(take(conn, "ann"))], worker="w1")
    assert found(channel="crm") == ["ann"]


def test_who_had_late_arrivals_is_found_the_latest_first(conn: Connection, w1: str) -> None:
    for user in ("ann", "ben", "cleo"):
        [first] = push(user)
        take(conn, user)
        if user != "ben":
            produce(user_id=user, payload={}, produced_at=first.produced_at - timedelta(minutes=1))
    assert found(late=True) == ["cleo", "ann"]
    assert found(late=True, user="a") == ["ann"]


@pytest.mark.parametrize("user", ["100%", "a_b", "a\\", "Zoë \u202e文字", "%"])
def test_the_beginning_of_an_id_is_taken_literally(user: str, w1: str) -> None:
    for other in (user, f"{user}/2", "100x", "axb", "a", "Zo"):
        push(other)
    assert found(user=user) == sorted((user, f"{user}/2"), key=str.encode)


def test_a_chain_of_waiting_is_followed_to_its_end(w1: str) -> None:
    root = push("dora")[0]
    carol = produce(user_id="carol", payload={}, causal_parent=root.id).engagement
    ben = produce(user_id="ben", payload={}, causal_parent=carol.id).engagement
    produce(user_id="ann", payload={}, causal_parent=ben.id)
    assert [state.user_id for state in with_chain("ann")] == ["ann", "ben", "carol", "dora"]
    assert [state.user_id for state in with_chain("dora")] == ["dora"]
    assert with_chain("nobody") == []


def test_a_circle_of_waiting_is_followed_once_around(w1: str) -> None:
    [ann] = push("ann")
    ben = produce(user_id="ben", payload={}, causal_parent=ann.id).engagement
    Engagement.objects.filter(id=ann.id).update(causal_parent=ben.id)
    assert [state.user_id for state in with_chain("ann")] == ["ann", "ben"]
