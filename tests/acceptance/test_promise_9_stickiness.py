"""Promise 9: during a session all of a user's work goes to one worker; who joins or leaves moves only who must move."""

import time
from collections.abc import Callable

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import violations
from tests.support.receiver import Answer, Receiver
from tests.support.system import HOOK, System, Systems
from tests.support.up import until

Names = Callable[[str, int], list[str]]

SECONDS = 60
"""For what takes some seconds on a machine that does nothing else."""

WORKERS = ("w1@sticky", "w2@sticky")

THIRD = "w3@sticky"


@pytest.fixture(scope="module")
def whole(systems: Systems, receiver: Receiver) -> System:
    """Two workers; shared by all tests here, each of which has its own users and so its own sessions."""
    system = systems.new(PENDING_TIMEOUT_SECONDS="120")
    system.start(*WORKERS)
    system.hook(receiver)
    return system


@pytest.fixture
def system(whole: System) -> System:
    """Exactly the two workers, alive, whatever the test before has done."""
    for name, part in list(whole.parts.items()):
        if name not in (*WORKERS, "web"):
            part.stop()
    alive = whole.api.workers_alive()  # one that was asked to stop may run for a moment yet
    missing = [worker for worker in WORKERS if worker not in alive or not whole.parts[worker].is_running()]
    for worker in missing:
        whole.parts[worker].stop()
        whole.start_worker(worker, wait=False)
    whole.wait_for_workers(*missing)
    wait_until_alive(whole.api, *WORKERS)
    return whole


@pytest.fixture
def api(system: System) -> Api:
    return system.api


def wait_until_alive(api: Api, *workers: str) -> None:
    """Exactly these. A second more, and every process that caches the ring has seen it."""
    until(lambda: api.workers_alive() == set(workers), seconds=SECONDS, what=f"exactly {workers} are alive")
    seen = time.monotonic()
    until(lambda: time.monotonic() > seen + 1.2, seconds=SECONDS, what="the ring is fresh everywhere")


def deliver(system: System, users: list[str], *, each: int = 1) -> None:
    """Some more for each of these users by the channel `log`, delivered."""
    before = sum(len(system.logged(worker)) for worker in logs(system))
    system.api.bulk([engagement(user) for _ in range(each) for user in users])
    until(
        lambda: sum(len(system.logged(worker)) for worker in logs(system)) >= before + each * len(users),
        seconds=SECONDS,
        what="all are delivered",
    )


def logs(system: System) -> list[str]:
    """The workers that have ever run."""
    return [name for name in system.parts if "@" in name]


def delivered_by(system: System, users: list[str]) -> dict[str, list[str]]:
    """User → the workers whose logs say that they delivered for it, in no order, each once for each delivery."""
    found: dict[str, list[str]] = {user: [] for user in users}
    for worker in logs(system):
        for _, user in system.logged(worker):
            if user in found:
                found[user].append(worker)
    return found


def test_one_worker_delivers_all_of_a_users_work(system: System, names: Names) -> None:
    """By single posts and bulk, from the workers' own logs; both have a fair part, and the API says the same."""
    users = names("session", 60)
    deliver(system, users, each=4)
    for user in users[:20]:
        system.api.post(user)
    deliver(system, users, each=3)
    by = delivered_by(system, users)
    assert all(len(set(workers)) == 1 for workers in by.values()), by
    assert {user: workers[0] for user, workers in by.items()} == system.api.pinned(users)
    shares = [sum(workers[0] == worker for workers in by.values()) for worker in WORKERS]
    assert min(shares) >= 10, shares


def test_each_workers_wake_ups_go_by_the_queue_that_is_named_after_it(system: System, names: Names) -> None:
    """While it is frozen they gather there, and in no other queue."""
    api, mine, others = system.api, "deliver.w1@sticky", "deliver.w2@sticky"
    users = names("queue", 40)
    deliver(system, users)
    assert set(api.queues()) >= {mine, others, "unordered"}
    for worker in WORKERS:
        queue = api.queues()[f"deliver.{worker}"]
        assert (queue["worker"], queue["alive"]) == (worker, True)
        assert queue["users"] >= 1
    frozen = [user for user, worker in api.pinned(users).items() if worker == "w1@sticky"]
    system.freeze("w1@sticky")
    # What it waited for when it froze may take a message or two from the queue.
    ids = [api.post(user)["id"] for user in frozen]
    until(lambda: api.queues()[mine]["broker_depth"], seconds=SECONDS, what="wake-ups gather")
    assert api.queues()[others]["broker_depth"] == 0
    system.thaw("w1@sticky")
    until(lambda: {api.status(id) for id in ids} == {"delivered"}, seconds=SECONDS, what="they are delivered")
    wait_until_alive(api, *WORKERS)


def test_a_worker_that_joins_moves_no_running_session(system: System, names: Names) -> None:
    """It takes new users, and old ones only once their session has ended: then about a third, and only to itself."""
    old, new = names("old", 90), names("new", 90)
    deliver(system, old)
    before = system.api.pinned(old)
    system.start_worker(THIRD)
    wait_until_alive(system.api, *WORKERS, THIRD)
    deliver(system, old + new, each=2)
    assert system.api.pinned(old) == before
    by = delivered_by(system, old)
    assert {user: set(workers) for user, workers in by.items()} == {user: {before[user]} for user in old}
    assert THIRD in set(system.api.pinned(new).values())
    for user in old:
        system.api.end_session(user)
    deliver(system, old)
    after = system.api.pinned(old)
    moved = [user for user in old if after[user] != before[user]]
    assert {after[user] for user in moved} == {THIRD}
    assert 10 <= len(moved) <= 60


def test_a_worker_that_leaves_moves_only_its_own_users(system: System, names: Names) -> None:
    """And they stay where they went while their session lasts, also when it comes back."""
    users = names("leaves", 90)
    system.start_worker(THIRD)
    wait_until_alive(system.api, *WORKERS, THIRD)
    deliver(system, users)
    before = system.api.pinned(users)
    assert set(before.values()) == {*WORKERS, THIRD}
    system.parts[THIRD].stop()
    wait_until_alive(system.api, *WORKERS)
    deliver(system, users, each=2)
    after = system.api.pinned(users)
    stayed = [user for user in users if before[user] != THIRD]
    assert {user: after[user] for user in stayed} == {user: before[user] for user in stayed}
    assert {after[user] for user in users if before[user] == THIRD} == set(WORKERS)
    by = delivered_by(system, stayed)
    assert {user: set(workers) for user, workers in by.items()} == {user: {before[user]} for user in stayed}
    system.start_worker(THIRD)
    wait_until_alive(system.api, *WORKERS, THIRD)
    deliver(system, users)
    assert system.api.pinned(users) == after


def test_a_worker_that_joins_or_leaves_at_work_disturbs_no_order(
    system: System, receiver: Receiver, names: Names
) -> None:
    """Users in the middle of their queues stay where they are, or are handed on in order."""
    receiver.default = Answer(delay_seconds=0.05)
    users = names("atwork", 60)
    ids = system.api.bulk([engagement(user, channel=HOOK) for _ in range(16) for user in users])
    before = system.api.pinned(users)
    system.start_worker(THIRD)
    assert system.api.pinned(users) == before
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in users) >= 200, SECONDS)
    system.ask_to_stop("w1@sticky")
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in users) == len(ids), SECONDS)
    receiver.default = Answer()
    for place, user in enumerate(users):
        assert [id for _, id in receiver.accepted[user]] == ids[place :: len(users)]
    assert violations(receiver, users) == []
    after = system.api.pinned(users)
    assert {user: after[user] for user in users if before[user] == "w2@sticky"} == {
        user: "w2@sticky" for user in users if before[user] == "w2@sticky"
    }


def test_a_worker_that_restarts_under_its_name_takes_its_place_again(system: System, names: Names) -> None:
    """Killed or asked to stop: with the same users as before, and none of the other's."""
    users = names("again", 60)
    deliver(system, users)
    before = system.api.pinned(users)
    system.kill("w1@sticky")
    system.start_worker("w1@sticky")
    deliver(system, users)
    assert system.api.pinned(users) == before
    system.parts["w2@sticky"].stop()
    system.start_worker("w2@sticky")
    wait_until_alive(system.api, *WORKERS)
    deliver(system, users)
    assert system.api.pinned(users) == before
    by = delivered_by(system, users)
    assert {user: set(workers) for user, workers in by.items()} == {user: {before[user]} for user in users}


def test_a_user_with_work_pending_keeps_its_worker_when_its_session_is_ended(
    system: System, receiver: Receiver, names: Names
) -> None:
    """The session ends with the work; in the middle of it nothing moves."""
    users = names("ended", 40)
    deliver(system, users)
    before = system.api.pinned(users)
    for user in users:
        receiver.script(Answer(503), user=user)
    system.api.bulk([engagement(user, channel=HOOK) for user in users])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    system.start_worker(THIRD)
    wait_until_alive(system.api, *WORKERS, THIRD)
    for user in users:
        system.api.end_session(user)
    more = system.api.bulk([engagement(user, channel=HOOK) for user in users])
    assert system.api.pinned(users) == before
    for user in users:
        receiver.script(Answer(), user=user)
    receiver.wait_for(lambda r: all(r.accepted[user] and r.accepted[user][-1][1] in more for user in users), SECONDS)
    assert all(worker in (before[user], None) for user, worker in system.api.pinned(users).items())
    until(
        lambda: not any(one["depth"] for one in system.api.pipelines()),
        seconds=SECONDS,
        what="all settles are recorded",
    )
    deliver(system, users)
    assert THIRD in system.api.pinned(users).values()
