"""Promise 5: at least once, and a receiver with the sequence check sees exactly once and in order, whatever freezes."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import (
    accepted_ids,
    greatest_tokens,
    stale_requests,
    violations,
    violations_of_accepted,
    went_on_after,
)
from tests.support.receiver import Answer, Hang, Received, Receiver, Reset
from tests.support.system import HOOK, System, Systems
from tests.support.up import until

Names = Callable[[str, int], list[str]]

SECONDS = 60
"""For what takes some seconds on a machine that does nothing else."""

WORKERS = ("w1@proof", "w2@proof")

FROZEN_SECONDS = 12.0
"""Longer than a worker is believed alive (5 s) and than a lease lasts (10 s)."""

AT_ONCE_SECONDS = 3.0
"""Long for a process that has revoked the leases, and shorter than they would last."""

NOTICED_SECONDS = 3.0
"""The promise: until the holder of a purged head cuts its attempt."""


@pytest.fixture(scope="module")
def whole(systems: Systems, receiver: Receiver) -> System:
    """Two workers. Nothing expires here unless a test wants it."""
    system = systems.new(PENDING_TIMEOUT_SECONDS="240", REORDER_WINDOW_MS="0")
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


@pytest.fixture(autouse=True)
def _answers_at_once(receiver: Receiver) -> Iterator[None]:
    yield
    receiver.default = Answer()


def wait_for_accepted(receiver: Receiver, number: int, users: list[str]) -> None:
    wanted = set(users)
    receiver.wait_for(
        lambda r: sum(len(taken) for user, taken in r.accepted.items() if user in wanted) >= number, SECONDS
    )


def wait_for_status(api: Api, id: str, status: str) -> None:
    until(lambda: api.status(id) == status, seconds=SECONDS, what=f"{id} is {status}")


def tokens(requests: list[Received]) -> list[int]:
    return [request.data["fencing_token"] for request in requests]


def test_every_attempt_carries_the_headers_and_fields_of_the_contract(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("contract", 1)
    receiver.script(Answer(503), Reset(), Answer(), user=user)
    parent = api.post(user, channel=HOOK)["id"]
    payload: dict[str, Any] = {"text": "größer \u2028 <b>&", "list": [1, 2.5, None, True, {"deep": []}]}
    posted = api.post(user, channel=HOOK, causal_parent=parent, payload=payload)
    wait_for_accepted(receiver, 2, [user])
    requests = receiver.of_user(user)
    assert len(requests) == 4
    for request in requests:
        assert request.verified is True
        assert request.method == "POST"
        assert request.headers["content-type"].startswith("application/json")
        assert request.headers["webhook-id"] == request.data["id"]
        assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < SECONDS
        assert set(request.json) == {"type", "timestamp", "data"}
        assert request.json["type"] == "engagement"
        assert request.json["timestamp"] == request.data["produced_at"]
        assert isinstance(request.data["fencing_token"], int)
    child = requests[-1]
    assert set(child.data) == {
        *("id", "user_id", "sequence", "fencing_token", "produced_at", "causal_parent", "unordered", "late"),
        *("attempt", "payload"),
    }
    names_of = ("id", "user_id", "sequence", "causal_parent", "unordered", "late", "attempt", "payload")
    assert [child.data[name] for name in names_of] == [posted["id"], user, 2, parent, False, False, 1, payload]
    assert datetime.fromisoformat(child.data["produced_at"]) == datetime.fromisoformat(posted["produced_at"])


def test_the_first_request_by_a_channel_of_just_now_is_attempt_number_one(
    system: System, receiver: Receiver, names: Names
) -> None:
    """A worker that does not know the channel yet makes no attempts that nobody sees."""
    for user, unordered in zip(names("new", 4), (False, True) * 2, strict=True):
        id = system.api.post(user, channel=system.hook(receiver), unordered=unordered)["id"]
        wait_for_accepted(receiver, 1, [user])
        [request] = receiver.of_user(user)
        assert (request.attempt, request.sequence) == (1, None if unordered else 1)
        wait_for_status(system.api, id, "delivered")
        assert system.api.engagement(id)["attempts"] == 1


def test_the_sequence_is_kept_through_retries_and_the_token_grows(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("retries", 1)
    receiver.script(Answer(503), Answer(500), Answer(429), Answer(), user=user)
    ids = api.bulk([engagement(user, channel=HOOK) for _ in range(2)])
    wait_for_accepted(receiver, 2, [user])
    requests = receiver.of_user(user)
    assert [(request.data["id"], request.sequence, request.attempt) for request in requests] == [
        *((ids[0], 1, attempt) for attempt in (1, 2, 3, 4)),
        (ids[1], 2, 1),
    ]
    assert tokens(requests[:4]) == sorted(set(tokens(requests[:4])))
    assert tokens(requests)[4] >= tokens(requests)[3]


def test_the_sequence_is_committed_before_the_first_byte_is_sent(api: Api, receiver: Receiver, names: Names) -> None:
    """While the receiver holds the request, everybody can read its number already."""
    [user] = names("committed", 1)
    receiver.script(Hang(), Answer(), user=user)
    id = api.post(user, channel=HOOK)["id"]
    receiver.wait_for(lambda r: r.of_user(user), SECONDS)
    [request] = receiver.of_user(user)
    assert api.engagement(id)["sequence"] == request.sequence == 1
    assert api.pipeline(user)["lease"]["token"] == request.data["fencing_token"]
    receiver.release()
    wait_for_accepted(receiver, 1, [user])


def test_unordered_ones_carry_neither_sequence_nor_token(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("unordered", 1)
    receiver.script(Answer(503), Answer(), user=user)
    api.post(user, channel=HOOK, unordered=True)
    wait_for_accepted(receiver, 1, [user])
    requests = receiver.of_user(user)
    assert [(r.sequence, r.data["fencing_token"], r.data["unordered"]) for r in requests] == [(None, None, True)] * 2


def test_what_settles_without_an_attempt_takes_no_number(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("unmarked", 1)
    receiver.script(Hang(), Answer(), user=user)
    first, expiring, skipped_later, last = api.bulk(
        [engagement(user, channel=HOOK, **fields) for fields in ({}, {"timeout_seconds": 0.5}, {}, {})]
    )
    wait_for_status(api, expiring, "expired")
    api.pause(user)
    receiver.release()
    wait_for_status(api, first, "delivered")
    api.skip(user, skipped_later)
    api.resume(user)
    wait_for_accepted(receiver, 2, [user])
    assert receiver.accepted[user] == [(1, first), (2, last)]
    assert [api.engagement(id)["sequence"] for id in (expiring, skipped_later)] == [None, None]


def test_a_takeover_repeats_what_was_in_service_under_its_number_and_a_greater_token(
    system: System, receiver: Receiver, names: Names
) -> None:
    """A worker is killed while the receiver holds its request, whose answer nobody will ever read."""
    users = names("takeover", 20)
    for user in users:
        receiver.script(Hang(), Answer(), user=user)
    ids = system.api.bulk([engagement(user, channel=HOOK) for _ in range(3) for user in users])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    mine = [user for user, worker in system.api.pinned(users).items() if worker == "w1@proof"]
    assert mine
    system.kill("w1@proof")
    receiver.wait_for(lambda r: all(len(r.accepted[user]) == 3 for user in mine), SECONDS)
    receiver.release()
    wait_for_accepted(receiver, 60, users)
    for user in mine:
        first, again, *_ = receiver.of_user(user)
        assert first.cut
        assert (again.data["id"], again.sequence, again.attempt) == (first.data["id"], 1, 2)
        assert again.data["fencing_token"] > first.data["fencing_token"]
    for place, user in enumerate(users):
        assert receiver.accepted[user] == [(n + 1, ids[n * 20 + place]) for n in range(3)]
    assert violations(receiver, users, crashes=True) == []


def test_a_worker_that_was_frozen_and_goes_on_does_no_harm(system: System, receiver: Receiver, names: Names) -> None:
    """Frozen in the middle of its work, ordered and unordered, longer than its lease, while the others take over.

    Whatever it sends or writes when it goes on: the receiver accepts each once and in order, none is taken back, and
    the frozen worker takes its part again.
    """
    api = system.api
    receiver.default = Answer(delay_seconds=0.1)
    users, free = names("frozen", 100), names("free", 30)

    def post(rounds: int) -> None:
        items.extend(engagement(user, channel=HOOK) for _ in range(rounds) for user in users)
        unordered.extend(engagement(user, channel=HOOK, unordered=True) for _ in range(rounds) for user in free)
        api.bulk(items[-rounds * len(users) :])
        api.bulk(unordered[-rounds * len(free) :])

    items: list[dict[str, Any]] = []
    unordered: list[dict[str, Any]] = []
    post(10)
    wait_for_accepted(receiver, 100, users)
    system.freeze("w1@proof")
    thaw_at = time.monotonic() + FROZEN_SECONDS
    mine = [user for user, worker in api.pinned(users).items() if worker == "w1@proof"]
    unfinished = [user for user in mine if len(receiver.accepted[user]) < 10]
    assert len(unfinished) >= 10, "it was frozen too late for this test to say much"
    post(5)
    wait_for_accepted(receiver, 1500, users)
    until(lambda: time.monotonic() >= thaw_at, seconds=SECONDS, what="it was frozen long enough")
    post(5)
    system.thaw("w1@proof")
    post(5)
    wait_for_accepted(receiver, 2500, users)
    wait_for_accepted(receiver, 750, free)
    until(lambda: "w1@proof" in api.workers_alive(), seconds=SECONDS, what="it is alive again")
    for user in users:
        assert accepted_ids(receiver, user) == [item["id"] for item in items if item["user_id"] == user]
    assert violations_of_accepted(receiver, users) == []
    assert set().union(*(accepted_ids(receiver, user) for user in free)) == {item["id"] for item in unordered}
    # At most what it had in flight when it froze; and never again what the others had settled meanwhile.
    repeats = [request for user in users for request in stale_requests(receiver, user)]
    assert {request.user for request in repeats} <= set(mine)
    assert len(repeats) <= len(mine)
    until(
        lambda: not any(api.pipeline(user)["depth"] for user in users), seconds=SECONDS, what="all settles are recorded"
    )
    for user in mine[:10]:
        proof = api.ask("GET", f"/pipelines/{user}/order-proof/")
        assert proof["holds"], [check for check in proof["checks"] if not check["holds"]]
    [probe] = [user for worker, user in system.users_by_worker(channel=HOOK).items() if worker == "w1@proof"]
    wait_for_accepted(receiver, 1, [probe])


def test_what_a_frozen_worker_hears_too_late_is_not_believed(system: System, receiver: Receiver, names: Names) -> None:
    """It hears "delivered" while its successor is in the middle of the same engagement, and is told the contrary."""
    api = system.api
    users = names("stalled", 20)
    for user in users:
        receiver.script(Hang(Answer(200)), Answer(410, delay_seconds=2), Answer(200), user=user)
    ids = api.bulk([engagement(user, channel=HOOK) for _ in range(2) for user in users])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    mine = [user for user, worker in api.pinned(users).items() if worker == "w1@proof"]
    assert mine
    system.freeze("w1@proof")
    receiver.wait_for(lambda r: all(len(r.of_user(user)) == 2 for user in mine), SECONDS)
    receiver.release()
    system.thaw("w1@proof")
    receiver.wait_for(lambda r: all(len(r.of_user(user)) == 3 for user in mine), SECONDS)
    for place, user in enumerate(users):
        if user in mine:
            wait_for_status(api, ids[20 + place], "delivered")
            assert api.status(ids[place]) == "failed"
            assert [request.sequence for request in receiver.of_user(user)] == [1, 1, 2]
    until(lambda: "w1@proof" in api.workers_alive(), seconds=SECONDS, what="it is alive again")
    receiver.wait_for(lambda r: all(len(r.of_user(user)) >= 2 for user in users), SECONDS)


def test_a_new_process_under_the_name_of_a_frozen_one_fences_it_off(
    system: System, receiver: Receiver, names: Names
) -> None:
    """It takes its place at once; the old one steps aside when it goes on."""
    api = system.api
    receiver.default = Answer(delay_seconds=0.05)
    users = names("double", 40)
    items = [engagement(user, channel=HOOK) for _ in range(20) for user in users]
    api.bulk(items)
    wait_for_accepted(receiver, 60, users)
    mine = [user for user, worker in api.pinned(users).items() if worker == "w1@proof"]
    system.freeze_between_transactions("w1@proof")
    before = greatest_tokens(receiver, mine)
    old = system.parts["w1@proof"]
    system.start_worker("w1@proof", part="new-w1@proof")
    delivers = time.monotonic()
    wait_for_accepted(receiver, 800, users)
    went_on = went_on_after(receiver, before, delivers)
    assert mine
    assert set(went_on) == set(mine)
    assert max(went_on.values()) <= AT_ONCE_SECONDS
    system.thaw("w1@proof")
    assert old.process is not None
    old.process.wait(SECONDS)
    for user in users:
        assert accepted_ids(receiver, user) == [item["id"] for item in items if item["user_id"] == user]
    assert violations_of_accepted(receiver, users) == []
    more = api.bulk([engagement(user, channel=HOOK) for user in users])
    wait_for_accepted(receiver, 840, users)
    assert [accepted_ids(receiver, user)[-1] for user in users] == more
    system.parts["new-w1@proof"].stop()


def test_a_purge_frees_a_head_that_hangs_and_nothing_overlaps_it(api: Api, receiver: Receiver, names: Names) -> None:
    """Its attempt is cut within 3 s; what comes next is attempted after that, under a greater number and token."""
    users = names("purged", 10)
    for user in users:
        receiver.script(Hang(), Answer(), user=user)
    ids = api.bulk([engagement(user, channel=HOOK) for user in users for _ in range(2)])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    purged_at = {}
    for user in users:
        assert api.purge(user) == 2
        purged_at[user] = time.monotonic()
    after = api.bulk([engagement(user, channel=HOOK) for user in users])
    wait_for_accepted(receiver, 10, users)
    assert {api.status(id) for id in ids} == {"purged"}
    for user, id in zip(users, after, strict=True):
        hung, delivered = receiver.of_user(user)
        assert receiver.accepted[user] == [(2, id)]
        assert hung.cut
        assert hung.ended is not None
        assert hung.ended <= purged_at[user] + NOTICED_SECONDS
        assert hung.ended <= delivered.arrived <= purged_at[user] + NOTICED_SECONDS + 1
        assert delivered.data["fencing_token"] > hung.data["fencing_token"]


def test_after_a_purge_no_other_worker_starts_before_the_old_attempt_has_ended(
    system: System, receiver: Receiver, names: Names
) -> None:
    """The session was ended too, so that some of these users go to a worker that has come since."""
    api = system.api
    users = names("moved", 30)
    for user in users:
        receiver.script(Hang(), Answer(), user=user)
    for user in users:
        api.post(user, channel=HOOK)
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    before = api.pinned(users)
    system.start_worker("w3@proof")
    while "w3@proof" not in api.pinned(users).values():
        # The ring that producers use is up to a second old.
        for user in users:
            api.end_session(user)
            api.purge(user)
        after = api.bulk([engagement(user, channel=HOOK) for user in users])
    moved = [user for user, worker in api.pinned(users).items() if worker != before[user]]
    receiver.wait_for(lambda r: all(r.accepted[user] for user in users), SECONDS)
    assert moved
    for user in users:
        hung, *rest = receiver.of_user(user)
        assert hung.ended is not None
        assert hung.ended <= rest[0].arrived
        assert rest[-1].data["id"] in after
    assert violations(receiver, users) == []
    system.parts["w3@proof"].stop()


def test_verify_order_finds_nothing_to_complain_about(system: System, receiver: Receiver, names: Names) -> None:
    """The product's own judgement of all that was recorded here, crashes included, agrees with the receiver's."""
    users = names("recorded", 5)
    system.api.bulk([engagement(user, channel=HOOK) for user in users])
    wait_for_accepted(receiver, 5, users)
    system.manage("verify_order")
