"""Promise 1: for one user, one engagement at a time, in order time, and never a step back."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random
from uuid import uuid4

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import accepted_ids, violations
from tests.support.receiver import Answer, Hang, Receiver, Reset
from tests.support.system import HOOK, System, Systems

Names = Callable[[str, int], list[str]]

SECONDS = 30
"""For what takes a fraction of a second on a machine that does nothing else."""

WINDOW_MS = 1000
"""Ten times the default, so that two posts on a busy machine are surely within it."""


@pytest.fixture(scope="module")
def system(systems: Systems, receiver: Receiver) -> System:
    """Two workers; shared by all tests here, each of which has its own users."""
    system = systems.new(REORDER_WINDOW_MS=str(WINDOW_MS))
    system.start("w1@order", "w2@order")
    system.hook(receiver)
    return system


@pytest.fixture(autouse=True)
def _nothing_out_of_order(receiver: Receiver) -> Iterator[None]:
    """Every test here is also judged by all that came meanwhile; a replay is a new life, judged by its own test."""
    before = receiver.count
    yield
    users = {str(request.user) for request in receiver.requests[before:]}
    assert violations(receiver, {user for user in users if not user.startswith("replayed-")}) == []


@pytest.fixture
def api(system: System) -> Api:
    return system.api


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def wait_for_accepted(receiver: Receiver, number: int, *users: str) -> None:
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in users) >= number, SECONDS)


def attempted(receiver: Receiver, user: str) -> list[str]:
    """The ids in the order of their attempts, each run of attempts counted once."""
    return [id for id, _ in groupby(request.data["id"] for request in receiver.of_user(user))]


def test_posts_one_after_the_other_arrive_in_that_order(api: Api, receiver: Receiver, names: Names) -> None:
    """Four producers at the same time, each with ten users of its own, from the first post to the last."""
    users = names("one-by-one", 40)

    def produce(own: list[str]) -> dict[str, list[str]]:
        return {user: [api.post(user, channel=HOOK)["id"] for _ in range(5)] for user in own}

    with ThreadPoolExecutor(4) as pool:
        posted = {
            user: ids for made in pool.map(produce, [users[i::4] for i in range(4)]) for user, ids in made.items()
        }
    wait_for_accepted(receiver, 200, *users)
    assert {user: accepted_ids(receiver, user) for user in users} == posted


def test_one_bulk_call_is_delivered_in_list_order_with_ties_and_without_times(
    api: Api, receiver: Receiver, names: Names
) -> None:
    """Also where the users are mixed, some items tie on one produce time and others state none."""
    tied, unstated = names("tied", 3), names("unstated", 3)
    moment = ago(0)
    items = [engagement(user, channel=HOOK, produced_at=moment) for _ in range(100) for user in tied]
    items += [engagement(user, channel=HOOK) for _ in range(100) for user in unstated]
    Random(1).shuffle(items)
    api.bulk(items)
    wait_for_accepted(receiver, 600, *tied, *unstated)
    for user in tied + unstated:
        assert accepted_ids(receiver, user) == [item["id"] for item in items if item["user_id"] == user]


def test_a_bulk_in_any_order_is_delivered_in_produce_time(api: Api, receiver: Receiver, names: Names) -> None:
    users = names("shuffled", 5)
    items = [engagement(user, channel=HOOK, produced_at=ago(seconds)) for user in users for seconds in range(20, 0, -1)]
    mixed = Random(2).sample(items, len(items))
    api.bulk(mixed)
    wait_for_accepted(receiver, 100, *users)
    for user in users:
        assert accepted_ids(receiver, user) == [item["id"] for item in items if item["user_id"] == user]


def test_posts_of_the_same_produce_time_arrive_in_the_order_of_their_receipt(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("same-second", 1)
    moment = ago(0.1)
    ids = [api.post(user, channel=HOOK, produced_at=moment)["id"] for _ in range(8)]
    wait_for_accepted(receiver, 8, user)
    assert accepted_ids(receiver, user) == ids


def test_mixed_producers_at_the_same_time(system: System, receiver: Receiver, names: Names) -> None:
    """Single posts, bulk posts, Python in another process and a person in the admin; with stated times, without, and
    out of order.

    Whatever the interleaving was: what the receiver sees is in produce time, and only what is late is flagged so.
    """
    users = names("mixed", 10)
    random = Random(3)
    python = f"""
from datetime import UTC, datetime, timedelta
from random import Random
from django.db import transaction
from engagements.services import produce, produce_bulk
random = Random(4)
for _ in range(20):
    with transaction.atomic():
        for user in {users!r}:
            stated = datetime.now(UTC) - timedelta(seconds=random.random() * 2)
            produce(user_id=user, payload={{}}, channel={HOOK!r}, produced_at=random.choice([stated, None]))
"""

    def post() -> None:
        for _ in range(20):
            for user in users:
                if random.random() < 0.5:
                    system.api.post(user, channel=HOOK, produced_at=ago(random.random() * 2))
                else:
                    system.api.post(user, channel=HOOK)

    def post_bulk() -> None:
        for _ in range(20):
            system.api.bulk([engagement(user, channel=HOOK, produced_at=ago(random.random() * 2)) for user in users])

    def add_in_admin() -> None:
        admin = system.admin()
        for _ in range(3):
            for user in users:
                admin.add_engagement(user, channel=HOOK)

    producers = [
        threading.Thread(target=target) for target in (post, post_bulk, lambda: system.python(python), add_in_admin)
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    wait_for_accepted(receiver, 630, *users)
    for user in users:
        assert len(receiver.accepted[user]) == 63
    assert violations(receiver, users) == []
    late = [request for user in users for request in receiver.of_user(user) if request.data["late"]]
    assert late, "nothing arrived late: this test says less than it should"


def test_a_retry_happens_in_place(api: Api, receiver: Receiver, names: Names) -> None:
    """Nothing of that user comes in between, and nothing overtakes it."""
    [user] = names("retried", 1)
    receiver.script(
        Answer(500), Answer(503), Answer(429, headers={"Retry-After": "1"}), Reset(), Answer(200), user=user
    )
    ids = api.bulk([engagement(user, channel=HOOK) for _ in range(5)])
    wait_for_accepted(receiver, 5, user)
    requests = receiver.of_user(user)
    assert [request.data["id"] for request in requests] == [ids[0]] * 5 + ids[1:]
    assert [request.attempt for request in requests] == [1, 2, 3, 4, 5, 1, 1, 1, 1]
    assert requests[3].arrived - requests[2].arrived >= 1.0


def test_a_dead_letter_is_never_attempted_again_and_the_next_one_moves_up(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("refused", 1)
    receiver.script(Answer(400), Answer(200), user=user)
    ids = api.bulk([engagement(user, channel=HOOK) for _ in range(3)])
    wait_for_accepted(receiver, 2, user)
    assert [request.data["id"] for request in receiver.of_user(user)] == ids
    assert api.status(ids[0]) == "failed"


def test_neighbours_that_cross_over_within_the_window_are_put_in_order(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("crossed", 1)
    moment = datetime.now(UTC)
    ids = {
        n: api.post(user, channel=HOOK, produced_at=(moment + timedelta(milliseconds=n)).isoformat())["id"]
        for n in (3, 1, 4, 2)
    }
    wait_for_accepted(receiver, 4, user)
    assert accepted_ids(receiver, user) == [ids[n] for n in (1, 2, 3, 4)]
    assert not any(request.data["late"] for request in receiver.of_user(user))


def test_what_comes_after_the_window_is_delivered_next_and_flagged_late(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("late", 1)
    earlier, now = ago(60), ago(0)
    first = api.post(user, channel=HOOK, produced_at=now)["id"]
    wait_for_accepted(receiver, 1, user)
    late = api.post(user, channel=HOOK, produced_at=earlier)
    after = api.post(user, channel=HOOK)["id"]
    wait_for_accepted(receiver, 3, user)
    assert accepted_ids(receiver, user) == [first, late["id"], after]
    assert [request.data["late"] for request in receiver.of_user(user)] == [False, True, False]
    assert late["late"] is True
    assert api.engagement(late["id"])["late"] is True


def test_a_late_one_is_settled_as_expired_where_the_setting_says_so(
    system: System, receiver: Receiver, names: Names
) -> None:
    [user] = names("late-expires", 1)
    system.api.post(user, channel=HOOK)
    wait_for_accepted(receiver, 1, user)
    code = (
        "from engagements.services import produce; "
        f"print(produce(user_id={user!r}, payload={{}}, channel={HOOK!r}, produced_at={ago(60)!r}).engagement.id)"
    )
    id = system.python(code, settings={"LATE_POLICY": "expire"}).strip()
    system.api.post(user, channel=HOOK)
    wait_for_accepted(receiver, 2, user)
    late = system.api.engagement(id)
    assert (late["status"], late["late"], late["attempts"]) == ("expired", True, 0)
    assert id not in attempted(receiver, user)


def test_one_that_was_attempted_stays_first_whatever_arrives(api: Api, receiver: Receiver, names: Names) -> None:
    """An earlier produce time does not overtake a head between its attempts; it comes next, and late."""
    [user] = names("attempted", 1)
    refuse = [True]
    receiver.script(lambda _: Answer(503) if refuse[0] else Answer(200), user=user)
    first = api.post(user, channel=HOOK, produced_at=ago(10))["id"]
    receiver.wait_for(lambda r: r.of_user(user), SECONDS)
    earlier = api.post(user, channel=HOOK, produced_at=ago(20))
    receiver.wait_for(lambda r: len(r.of_user(user)) >= 3, SECONDS)
    assert set(attempted(receiver, user)) == {first}
    refuse[0] = False
    wait_for_accepted(receiver, 2, user)
    assert attempted(receiver, user) == [first, earlier["id"]]
    assert receiver.of_user(user)[-1].data["late"] is True


def test_one_in_flight_at_a_time(api: Api, receiver: Receiver, names: Names) -> None:
    """While one attempt is not answered, nothing else of that user is sent; other users go on."""
    hung, others = names("hung", 5), names("beside", 5)
    for user in hung:
        receiver.script(Hang(), Answer(200), user=user)
    ids = api.bulk([engagement(user, channel=HOOK) for user in hung for _ in range(4)])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in hung), SECONDS)
    api.bulk([engagement(user, channel=HOOK) for user in others for _ in range(20)])
    wait_for_accepted(receiver, 100, *others)
    assert [len(receiver.of_user(user)) for user in hung] == [1] * 5
    receiver.release()
    wait_for_accepted(receiver, 20, *hung)
    assert [id for user in hung for id in accepted_ids(receiver, user)] == ids


def test_a_replay_goes_to_the_end_with_a_new_sequence(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("replayed", 1)
    receiver.script(Answer(422), Answer(200), user=user)
    ids = api.bulk([engagement(user, channel=HOOK, produced_at=ago(30 - n)) for n in range(3)])
    wait_for_accepted(receiver, 2, user)
    api.replay(ids[0])
    wait_for_accepted(receiver, 3, user)
    assert [request.data["id"] for request in receiver.of_user(user)] == [*ids, ids[0]]
    assert [sequence for sequence, _ in receiver.accepted[user]] == [2, 3, 4]
    assert receiver.of_user(user)[-1].data["late"] is False


def test_the_same_id_twice_is_one_engagement(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("repeated", 1)
    fields = engagement(user, channel=HOOK, id=uuid4())
    assert api.call("POST", "/engagements/", fields).status == 201
    wait_for_accepted(receiver, 1, user)
    assert api.call("POST", "/engagements/", fields).status == 200
    assert api.call("POST", "/engagements/", {**fields, "payload": {"other": 1}}).status == 409
    api.post(user, channel=HOOK)
    wait_for_accepted(receiver, 2, user)
    assert len(receiver.of_user(user)) == 2
