"""Promise 2: a child is not attempted before its parent is settled, whoever the users and whichever came first."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import accepted_ids
from tests.support.receiver import Answer, Hang, Receiver
from tests.support.system import HOOK, System, Systems
from tests.support.up import until

Names = Callable[[str, int], list[str]]

SECONDS = 30
"""For what takes a fraction of a second on a machine that does nothing else."""

WOKEN_SECONDS = 5.0
"""Far below the time-outs here, so that an expiry is never taken for a wake-up."""


@pytest.fixture(scope="module")
def system(systems: Systems, receiver: Receiver) -> System:
    """Two workers; shared by all tests here, each of which has its own users."""
    system = systems.new()
    system.start("w1@causal", "w2@causal")
    system.hook(receiver)
    return system


@pytest.fixture
def api(system: System) -> Api:
    return system.api


@pytest.fixture
def two_workers(api: Api, receiver: Receiver, names: Names) -> tuple[str, str]:
    """Two users whom different workers deliver for."""
    users = names("apart", 12)
    api.bulk([engagement(user, channel=HOOK) for user in users])
    by_worker = {api.worker_of(user): user for user in users}
    assert len(by_worker) == 2
    first, second = by_worker.values()
    receiver.wait_for(lambda r: r.accepted[first] and r.accepted[second], SECONDS)
    return first, second


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def new_id() -> str:
    return str(uuid4())


def place(receiver: Receiver, id: str) -> int:
    """When this was attempted first, as its place among all requests."""
    return [request.data["id"] for request in receiver.requests].index(id)


def was_attempted(receiver: Receiver, id: str) -> bool:
    return any(request.data["id"] == id for request in receiver.requests)


def wait_for_attempt(receiver: Receiver, *ids: str, seconds: float = SECONDS) -> None:
    receiver.wait_for(lambda r: set(ids) <= {request.data["id"] for request in r.requests}, seconds)


def wait_for_status(api: Api, id: str, status: str, *, seconds: float = SECONDS) -> None:
    until(lambda: api.status(id) == status, seconds=seconds, what=f"{id} is {status}")


def wait_until_looked_at(api: Api, receiver: Receiver, *users: str) -> None:
    """Return when the workers of these users have certainly seen what was posted for them before.

    A later engagement of another user of the same worker goes by the same queue and the same engine.
    """
    workers = {api.worker_of(user) for user in users}
    while workers:
        probe = f"probe-{uuid4()}"
        id = api.post(probe, channel=HOOK)["id"]
        workers.discard(api.worker_of(probe))
        wait_for_attempt(receiver, id)


def test_a_child_waits_for_its_parent_on_another_worker(
    api: Api, receiver: Receiver, two_workers: tuple[str, str]
) -> None:
    """While the parent hangs, and while it is retried; the child goes as soon as the parent is settled."""
    parents_user, childs_user = two_workers
    refuse = [True]
    receiver.script(Hang(Answer(503)), lambda _: Answer(503) if refuse[0] else Answer(200), user=parents_user)
    parent = api.post(parents_user, channel=HOOK)["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_for_attempt(receiver, parent)
    wait_until_looked_at(api, receiver, childs_user)
    assert not was_attempted(receiver, child)
    receiver.release()
    receiver.wait_for(lambda r: len(r.of_user(parents_user)) >= 4, SECONDS)
    assert not was_attempted(receiver, child)
    refuse[0] = False
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)
    assert receiver.requests[place(receiver, child) - 1].data["id"] == parent


def test_a_waiting_child_says_what_it_waits_for(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("says", 1)
    parent = new_id()
    child = api.post(user, channel=HOOK, causal_parent=parent)["id"]
    assert parent[:8] in api.pipeline(user)["waiting"]
    api.post(user, id=parent, channel=HOOK)
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)


def test_a_child_that_came_before_its_parent_waits_for_it(
    api: Api, receiver: Receiver, two_workers: tuple[str, str]
) -> None:
    parents_user, childs_user = two_workers
    parent = new_id()
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    behind = api.post(childs_user, channel=HOOK)["id"]
    wait_until_looked_at(api, receiver, childs_user)
    assert not was_attempted(receiver, child)
    api.post(parents_user, id=parent, channel=HOOK, produced_at=ago(5))
    wait_for_attempt(receiver, behind, seconds=WOKEN_SECONDS)
    assert place(receiver, parent) < place(receiver, child) < place(receiver, behind)


def test_a_child_whose_parent_never_comes_expires_at_its_own_deadline(
    api: Api, receiver: Receiver, names: Names
) -> None:
    """It holds its pipeline until then; it was never attempted, so it took no sequence."""
    [user] = names("orphan", 1)
    child = api.post(user, channel=HOOK, causal_parent=new_id(), timeout_seconds=2)["id"]
    behind = api.post(user, channel=HOOK)["id"]
    wait_for_attempt(receiver, behind)
    orphan = api.engagement(child)
    assert (orphan["status"], orphan["attempts"], orphan["sequence"]) == ("expired", 0, None)
    assert 0 <= seconds_between(orphan["expires_at"], orphan["settled_at"]) <= 1
    assert 1.9 <= seconds_between(orphan["received_at"], orphan["expires_at"]) <= 2.1
    assert not was_attempted(receiver, child)
    assert receiver.of_user(user)[0].sequence == 1


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


@pytest.mark.parametrize("backwards", [True, False], ids=["children first", "parents first"])
def test_a_chain_across_users_and_workers(api: Api, receiver: Receiver, names: Names, *, backwards: bool) -> None:
    """Twelve links over four users, each stated to be older than its parent."""
    users = names("chain", 4)
    ids = [new_id() for _ in range(12)]
    links = [
        engagement(
            users[n % 4],
            id=id,
            channel=HOOK,
            produced_at=ago(10 + n),
            **({"causal_parent": ids[n - 1]} if n else {}),
        )
        for n, id in enumerate(ids)
    ]
    for link in reversed(links) if backwards else links:
        api.ask("POST", "/engagements/", link)
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in users) >= 12, SECONDS)
    assert sorted(ids, key=lambda one: place(receiver, one)) == ids
    assert [api.status(id) for id in ids] == ["delivered"] * 12


def test_a_shuffled_forest_in_one_bulk(api: Api, receiver: Receiver, names: Names) -> None:
    """Two hundred engagements of 20 users with random parents, posted in random order by two bulk calls."""
    random = Random(5)
    users = names("forest", 20)
    items: list[dict[str, object]] = []
    for _ in range(200):
        parent = random.choice(items)["id"] if items and random.random() < 0.7 else None
        fields = {"causal_parent": parent} if parent else {}
        items.append(engagement(random.choice(users), channel=HOOK, produced_at=ago(30 * random.random()), **fields))
    random.shuffle(items)
    api.bulk(items[:100])
    api.bulk(items[100:])
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in users) >= 200, SECONDS)
    places = {request.data["id"]: number for number, request in enumerate(receiver.requests)}
    for item in items:
        if "causal_parent" in item:
            assert places[str(item["causal_parent"])] < places[str(item["id"])]


def test_a_child_of_the_same_user_sorts_after_its_parent(api: Api, receiver: Receiver, names: Names) -> None:
    """Also when its producer's clock says that it is older."""
    [user] = names("same", 1)
    parent = new_id()
    moment = datetime.now(UTC)
    child = engagement(
        user, channel=HOOK, causal_parent=parent, produced_at=(moment - timedelta(seconds=9)).isoformat()
    )
    between = engagement(user, channel=HOOK, produced_at=(moment - timedelta(seconds=6)).isoformat())
    api.bulk([child, between, engagement(user, id=parent, channel=HOOK, produced_at=moment.isoformat())])
    receiver.wait_for(lambda r: len(r.accepted[user]) >= 3, SECONDS)
    assert accepted_ids(receiver, user) == [between["id"], parent, child["id"]]


def test_waits_that_cross_do_not_hold_each_other_up(api: Api, receiver: Receiver, two_workers: tuple[str, str]) -> None:
    """u: child of P, then N. v: child of N, then P. In that order each would wait for ever behind the other's head.

    P comes last, and with it the first child's place: after P, and so behind N.
    """
    u, v = two_workers
    p, n = new_id(), new_id()
    moment = datetime.now(UTC) - timedelta(seconds=10)

    def at(seconds: float) -> str:
        return (moment + timedelta(seconds=seconds)).isoformat()

    child_of_p = api.post(u, channel=HOOK, causal_parent=p, produced_at=at(4))["id"]
    child_of_n = api.post(v, channel=HOOK, causal_parent=n, produced_at=at(4.5))["id"]
    api.post(u, channel=HOOK, id=n, produced_at=at(5))
    wait_until_looked_at(api, receiver, u, v)
    api.post(v, channel=HOOK, id=p, produced_at=at(6))
    wait_for_attempt(receiver, child_of_p, seconds=WOKEN_SECONDS)
    expected = [n, child_of_n, p, child_of_p]
    assert sorted(expected, key=lambda one: place(receiver, one)) == expected


def test_the_descendants_of_a_raised_child_are_raised_too(api: Api, receiver: Receiver, names: Names) -> None:
    """As above with one more link: w's head is a grandchild of P, and N stands behind it."""
    u, v, w = names("raised", 3)
    p, n = new_id(), new_id()
    moment = datetime.now(UTC) - timedelta(seconds=10)

    def at(seconds: float) -> str:
        return (moment + timedelta(seconds=seconds)).isoformat()

    child = api.post(u, channel=HOOK, causal_parent=p, produced_at=at(1))["id"]
    grandchild = api.post(w, channel=HOOK, causal_parent=child, produced_at=at(1.5))["id"]
    child_of_n = api.post(v, channel=HOOK, causal_parent=n, produced_at=at(2.5))["id"]
    api.post(w, channel=HOOK, id=n, produced_at=at(2))
    wait_until_looked_at(api, receiver, u, v, w)
    api.post(v, channel=HOOK, id=p, produced_at=at(3))
    wait_for_attempt(receiver, grandchild, seconds=WOKEN_SECONDS)
    expected = [n, child_of_n, p, child, grandchild]
    assert sorted(expected, key=lambda one: place(receiver, one)) == expected


def test_a_parent_that_failed_releases_its_child(api: Api, receiver: Receiver, two_workers: tuple[str, str]) -> None:
    parents_user, childs_user = two_workers
    receiver.script(Hang(Answer(400)), Answer(200), user=parents_user)
    parent = api.post(parents_user, channel=HOOK)["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_for_attempt(receiver, parent)
    wait_until_looked_at(api, receiver, childs_user)
    receiver.release()
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)
    assert api.status(parent) == "failed"


def test_a_parent_that_expired_releases_its_child(api: Api, receiver: Receiver, two_workers: tuple[str, str]) -> None:
    parents_user, childs_user = two_workers
    parent = api.post(parents_user, channel=HOOK, causal_parent=new_id(), timeout_seconds=1)["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)
    assert api.status(parent) == "expired"


def test_a_parent_that_was_purged_releases_its_child(
    api: Api, receiver: Receiver, two_workers: tuple[str, str]
) -> None:
    parents_user, childs_user = two_workers
    parent = api.post(parents_user, channel=HOOK, causal_parent=new_id())["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_until_looked_at(api, receiver, childs_user)
    assert not was_attempted(receiver, child)
    assert api.purge(parents_user) == 1
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)


def test_a_parent_that_was_skipped_releases_its_child(
    api: Api, receiver: Receiver, two_workers: tuple[str, str]
) -> None:
    parents_user, childs_user = two_workers
    parent = api.post(parents_user, channel=HOOK, causal_parent=new_id())["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_until_looked_at(api, receiver, childs_user)
    api.skip(parents_user, parent)
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)


def test_a_parent_that_settled_long_ago_holds_nobody(api: Api, receiver: Receiver, names: Names) -> None:
    parents_user, childs_user = names("settled", 2)
    parent = api.post(parents_user, channel=HOOK)["id"]
    wait_for_status(api, parent, "delivered")
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)


def test_a_parent_may_be_unordered(api: Api, receiver: Receiver, names: Names) -> None:
    parents_user, childs_user = names("free", 2)
    receiver.script(Hang(), user=parents_user)
    parent = api.post(parents_user, channel=HOOK, unordered=True)["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent)["id"]
    wait_for_attempt(receiver, parent)
    wait_until_looked_at(api, receiver, childs_user)
    assert not was_attempted(receiver, child)
    receiver.release()
    wait_for_attempt(receiver, child, seconds=WOKEN_SECONDS)


def test_many_children_of_one_parent_go_together(api: Api, receiver: Receiver, names: Names) -> None:
    users = names("brood", 100)
    parent = new_id()
    children = api.bulk([engagement(user, channel=HOOK, causal_parent=parent) for user in users])
    api.post(users[0], id=parent, channel=HOOK, produced_at=ago(5))
    wait_for_attempt(receiver, *children, seconds=WOKEN_SECONDS)
    assert place(receiver, parent) < min(place(receiver, child) for child in children)


def test_one_that_closes_a_cycle_is_refused(api: Api, receiver: Receiver, names: Names) -> None:
    """With an error that names the field; what stands already waits for its deadline or its parent as before."""
    [user] = names("cycle", 1)
    a, b, c = new_id(), new_id(), new_id()
    api.post(user, id=a, channel=HOOK, causal_parent=c)
    api.post(user, id=b, channel=HOOK, causal_parent=a)
    refused = api.call("POST", "/engagements/", engagement(user, id=c, channel=HOOK, causal_parent=b))
    assert refused.status == 400
    assert [error["field"] for error in refused.body["errors"]] == ["causal_parent"]
    itself = api.call("POST", "/engagements/", engagement(user, id=c, channel=HOOK, causal_parent=c))
    assert itself.status == 400
    assert api.call("GET", f"/engagements/{c}/").status == 404
    api.post(user, id=c, channel=HOOK)
    wait_for_attempt(receiver, b, seconds=WOKEN_SECONDS)
    assert accepted_ids(receiver, user) == [c, a, b]


def test_a_cycle_within_one_bulk_is_refused(api: Api, names: Names) -> None:
    [user] = names("cycle", 1)
    a, b = new_id(), new_id()
    reply = api.call(
        "POST",
        "/engagements/bulk/",
        {
            "engagements": [
                engagement(user, id=a, channel=HOOK, causal_parent=b, timeout_seconds=1),
                engagement(user, id=b, channel=HOOK, causal_parent=a),
            ]
        },
    )
    assert reply.status == 207
    assert [result["status"] for result in reply.body["results"]] == ["created", "refused"]
