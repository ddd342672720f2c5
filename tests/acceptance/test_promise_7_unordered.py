"""Promise 7: an unordered engagement touches no pipeline; it goes to one shared queue that every worker consumes."""

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import accepted_ids
from tests.support.receiver import Answer, Hang, Receiver
from tests.support.system import HOOK, System, Systems
from tests.support.up import until

Names = Callable[[str, int], list[str]]

SECONDS = 60
"""For what takes some seconds on a machine that does nothing else."""

WORKERS = ("w1@free", "w2@free")

QUEUE = "unordered"


@pytest.fixture(scope="module")
def whole(systems: Systems, receiver: Receiver) -> System:
    """Two workers; shared by all tests here, each of which has its own users."""
    system = systems.new()
    system.start(*WORKERS)
    system.hook(receiver)
    return system


@pytest.fixture
def system(whole: System) -> System:
    """Both workers running, whatever the test before has done to them."""
    missing = [worker for worker in WORKERS if not whole.parts[worker].is_running()]
    for worker in missing:
        whole.start_worker(worker, wait=False)
    whole.wait_for_workers(*missing)
    return whole


@pytest.fixture
def api(system: System) -> Api:
    return system.api


def wait_for_status(api: Api, id: str, status: str) -> None:
    until(lambda: api.status(id) == status, seconds=SECONDS, what=f"{id} is {status}")


def test_it_overtakes_its_users_blocked_queue(api: Api, receiver: Receiver, names: Names) -> None:
    """The head hangs, more stand behind it; the unordered one of the same user is delivered meanwhile."""
    [user] = names("blocked", 1)
    head = str(uuid4())
    receiver.script(lambda request: Hang() if request.data["id"] == head else Answer(), user=user)
    api.post(user, id=head, channel=HOOK)
    behind = api.bulk([engagement(user, channel=HOOK) for _ in range(3)])
    receiver.wait_for(lambda r: r.of_user(user), SECONDS)
    free = api.bulk([engagement(user, channel=HOOK, unordered=True) for _ in range(5)])
    receiver.wait_for(lambda r: len(r.accepted[user]) == 5, SECONDS)
    assert set(accepted_ids(receiver, user)) == set(free)
    assert api.pipeline(user)["depth"] == 4
    receiver.release()
    receiver.wait_for(lambda r: len(r.accepted[user]) == 9, SECONDS)
    assert accepted_ids(receiver, user)[5:] == [head, *behind]


def test_it_creates_no_pipeline_and_takes_no_number(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("nobody", 1)
    id = api.post(user, channel=HOOK, unordered=True)["id"]
    receiver.wait_for(lambda r: r.accepted[user], SECONDS)
    wait_for_status(api, id, "delivered")
    assert api.call("GET", f"/pipelines/{user}/").status == 404
    delivered = api.engagement(id)
    assert (delivered["sequence"], delivered["late"], delivered["attempts"]) == (None, False, 1)


def test_several_of_one_user_are_in_flight_together(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("together", 1)
    receiver.script(Hang(), user=user)
    api.bulk([engagement(user, channel=HOOK, unordered=True) for _ in range(50)])
    receiver.wait_for(lambda r: len(r.of_user(user)) == 50, SECONDS)
    receiver.release()
    receiver.wait_for(lambda r: len(r.accepted[user]) == 50, SECONDS)


def test_every_worker_takes_a_part_also_of_one_users(system: System, names: Names) -> None:
    """Judged by the workers' own logs, to which the channel `log` delivers."""
    [user] = names("spread", 1)
    posted: list[str] = []

    def both_have_some() -> bool:
        posted.extend(system.api.bulk([engagement(user, unordered=True) for _ in range(20)]))
        return all(delivered(worker) for worker in WORKERS)

    def delivered(worker: str) -> list[str]:
        return [id for id, of_user in system.logged(worker) if of_user == user]

    until(both_have_some, seconds=SECONDS, what="both workers have delivered some")
    until(
        lambda: sum(len(delivered(worker)) for worker in WORKERS) >= len(posted),
        seconds=SECONDS,
        what="all are delivered",
    )
    assert sorted(delivered(WORKERS[0]) + delivered(WORKERS[1])) == sorted(posted)


def test_it_is_retried_with_others_going_on(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("retried", 1)
    bad = str(uuid4())
    answers = iter([503, 500, 429, 200])
    receiver.script(lambda request: Answer(next(answers)) if request.data["id"] == bad else Answer(), user=user)
    api.post(user, id=bad, channel=HOOK, unordered=True)
    others = api.bulk([engagement(user, channel=HOOK, unordered=True) for _ in range(5)])
    receiver.wait_for(lambda r: len(r.accepted[user]) == 6, SECONDS)
    assert accepted_ids(receiver, user)[-1] == bad
    assert set(others) == set(accepted_ids(receiver, user)[:-1])
    attempts = [request for request in receiver.of_user(user) if request.data["id"] == bad]
    assert [request.attempt for request in attempts] == [1, 2, 3, 4]
    wait_for_status(api, bad, "delivered")
    assert api.engagement(bad)["attempts"] == 4


def test_it_expires_within_a_second_of_its_deadline(api: Api, receiver: Receiver, names: Names) -> None:
    """Whether its attempt hangs, then it is cut, or is refused again and again."""
    hung, refused = names("expires", 2)
    receiver.script(Hang(), user=hung)
    receiver.script(Answer(503), user=refused)
    ids = [api.post(user, channel=HOOK, unordered=True, timeout_seconds=1.5)["id"] for user in (hung, refused)]
    for id in ids:
        wait_for_status(api, id, "expired")
        expired = api.engagement(id)
        late = datetime.fromisoformat(expired["settled_at"]) - datetime.fromisoformat(expired["expires_at"])
        assert 0 <= late.total_seconds() <= 1
    receiver.wait_for(lambda r: r.of_user(hung)[0].cut, SECONDS)
    assert len(receiver.of_user(hung)) == 1


def test_a_dead_letter_can_be_replayed(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("dead", 1)
    receiver.script(Answer(400), Answer(), user=user)
    id = api.post(user, channel=HOOK, unordered=True)["id"]
    wait_for_status(api, id, "failed")
    api.replay(id)
    receiver.wait_for(lambda r: r.accepted[user], SECONDS)
    wait_for_status(api, id, "delivered")
    assert api.call("GET", f"/pipelines/{user}/").status == 404


def test_neither_its_users_pause_nor_its_purge_concerns_it(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("paused", 1)
    api.pause(user)
    ordered = api.post(user, channel=HOOK)["id"]
    free = api.post(user, channel=HOOK, unordered=True)["id"]
    receiver.wait_for(lambda r: r.accepted[user], SECONDS)
    assert accepted_ids(receiver, user) == [free]
    receiver.script(Hang(), user=user)
    hung = api.post(user, channel=HOOK, unordered=True)["id"]
    receiver.wait_for(lambda r: len(r.of_user(user)) == 2, SECONDS)
    assert api.pipeline(user)["depth"] == 1
    assert api.purge(user) == 1
    assert (api.status(ordered), api.status(hung)) == ("purged", "pending")
    receiver.release()
    wait_for_status(api, hung, "delivered")


def test_its_queue_is_listed_and_can_be_purged(api: Api, receiver: Receiver, names: Names) -> None:
    """What hangs in an attempt is purged too, and its attempt is cut."""
    users = names("queued", 20)
    for user in users:
        receiver.script(Hang(), user=user)
    ids = api.bulk([engagement(user, channel=HOOK, unordered=True) for user in users])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    queue = api.queues()[QUEUE]
    assert queue["worker"] is None
    assert queue["pending"] == 20
    assert queue["oldest_pending_age_seconds"] > 0
    assert api.ask("POST", f"/queues/{QUEUE}/purge/") == {"purged": 20}
    assert {api.status(id) for id in ids} == {"purged"}
    receiver.wait_for(lambda r: all(r.of_user(user)[0].cut for user in users), SECONDS)
    assert api.queues()[QUEUE]["pending"] == 0


def test_the_same_id_twice_is_delivered_once(api: Api, receiver: Receiver, names: Names) -> None:
    user, probe = names("same", 2)
    fields = engagement(user, channel=HOOK, unordered=True)
    assert [api.call("POST", "/engagements/", fields).status for _ in range(2)] == [201, 200]
    receiver.wait_for(lambda r: r.accepted[user], SECONDS)
    wait_for_status(api, fields["id"], "delivered")
    assert api.call("POST", "/engagements/", fields).status == 200
    api.post(probe, channel=HOOK, unordered=True)
    receiver.wait_for(lambda r: r.accepted[probe], SECONDS)
    assert len(receiver.of_user(user)) == 1


def test_together_with_a_parent_it_is_refused(api: Api, names: Names) -> None:
    [user] = names("child", 1)
    refused = api.call("POST", "/engagements/", engagement(user, unordered=True, causal_parent=uuid4()))
    assert refused.status == 400
    assert {error["field"] for error in refused.body["errors"]} <= {"causal_parent", "unordered"}


def test_those_of_a_worker_that_is_killed_are_taken_over(system: System, receiver: Receiver, names: Names) -> None:
    """Some hang at each of the two workers when one is killed; the other has them all, each delivered once."""
    users = names("killed", 60)
    for user in users:
        receiver.script(Hang(), Answer(), user=user)
    ids = [system.api.post(user, channel=HOOK, unordered=True, timeout_seconds=60)["id"] for user in users]
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    system.kill("w1@free")
    receiver.wait_for(lambda r: any(r.of_user(user)[0].cut for user in users), SECONDS)
    cut = [user for user in users if receiver.of_user(user)[0].cut]
    receiver.wait_for(lambda r: all(r.accepted[user] for user in cut), SECONDS)
    receiver.release()
    receiver.wait_for(lambda r: all(r.accepted[user] for user in users), SECONDS)
    for user, id in zip(users, ids, strict=True):
        assert accepted_ids(receiver, user) == [id]
        wait_for_status(system.api, id, "delivered")


def test_those_of_a_worker_that_is_asked_to_stop_are_handed_on(
    system: System, receiver: Receiver, names: Names
) -> None:
    """Long before their leases would have run out."""
    users = names("stopped", 60)
    for user in users:
        receiver.script(Hang(), Answer(), user=user)
    for user in users:
        system.api.post(user, channel=HOOK, unordered=True, timeout_seconds=60)
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    asked = system.ask_to_stop("w2@free")
    process = system.parts["w2@free"].process
    assert process is not None
    process.wait(SECONDS)
    cut = [user for user in users if receiver.of_user(user)[0].cut]
    assert cut
    receiver.wait_for(lambda r: all(r.accepted[user] for user in cut), SECONDS)
    assert max(receiver.of_user(user)[1].arrived for user in cut) <= asked + 6
    receiver.release()
    receiver.wait_for(lambda r: all(r.accepted[user] for user in users), SECONDS)
