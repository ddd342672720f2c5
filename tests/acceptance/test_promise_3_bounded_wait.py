"""Promise 3: what has been pending for longer than its time-out expires within 1 s, and the next one moves up."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import accepted_ids
from tests.support.receiver import Answer, Behaviour, Drip, Flood, Hang, Raw, Received, Receiver, Reset
from tests.support.system import HOOK, System, Systems
from tests.support.up import until

Names = Callable[[str, int], list[str]]

SECONDS = 30
"""For what takes a fraction of a second on a machine that does nothing else."""

DEFAULT_TIMEOUT_SECONDS = 3.0
"""PENDING_TIMEOUT_SECONDS here; 30 by default."""

WITHIN_SECONDS = 1.0
"""The promise."""

SENDING_SECONDS = 1.0
"""For this test's own call to be answered, and for a delivery, on a busy machine: what is measured here from a post to
an arrival has that added to it."""


@pytest.fixture(scope="module")
def system(systems: Systems, receiver: Receiver) -> System:
    """Two workers and beat; shared by all tests here, each of which has its own users."""
    system = systems.new(PENDING_TIMEOUT_SECONDS=str(DEFAULT_TIMEOUT_SECONDS))
    system.start("w1@bounded", "w2@bounded", beat=True)
    system.hook(receiver)
    return system


@pytest.fixture
def api(system: System) -> Api:
    return system.api


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def timeout_of(engagement: dict[str, Any]) -> float:
    return (moment(engagement["expires_at"]) - moment(engagement["received_at"])).total_seconds()


def overdue_seconds(engagement: dict[str, Any]) -> float:
    """How long after its deadline it was settled."""
    return (moment(engagement["settled_at"]) - moment(engagement["expires_at"])).total_seconds()


def wait_for_expiry(api: Api, id: str) -> dict[str, Any]:
    """The engagement once it expired, as it must within the promised second."""
    until(lambda: api.status(id) != "pending", seconds=SECONDS, what=f"{id} is settled")
    expired: dict[str, Any] = api.engagement(id)
    assert expired["status"] == "expired"
    assert 0 <= overdue_seconds(expired) <= WITHIN_SECONDS
    return expired


def wait_for_requests(receiver: Receiver, user: str, number: int) -> None:
    receiver.wait_for(lambda r: len(r.of_user(user)) >= number, SECONDS)


def test_what_waits_expires_and_the_next_one_moves_up(api: Api, receiver: Receiver, names: Names) -> None:
    """A hundred heads at once that wait for a parent that never comes, each with one behind it."""
    users = names("waits", 100)
    items = [
        engagement(user, channel=HOOK, **fields)
        for user in users
        for fields in ({"causal_parent": str(uuid4()), "timeout_seconds": 2}, {"timeout_seconds": 20})
    ]
    posted = time.monotonic()
    ids = api.bulk(items)
    answered = time.monotonic()
    receiver.wait_for(lambda r: all(r.accepted[user] for user in users), SECONDS)
    arrivals = [receiver.of_user(user)[0].arrived for user in users]
    assert min(arrivals) >= posted + 2
    assert max(arrivals) <= answered + 2 + WITHIN_SECONDS + SENDING_SECONDS
    assert [accepted_ids(receiver, user) for user in users] == [[id] for id in ids[1::2]]
    for id in ids[:20:2]:
        expired = wait_for_expiry(api, id)
        assert (expired["attempts"], expired["sequence"]) == (0, None)


def test_a_receiver_that_does_not_take_it_holds_its_user_until_the_deadline_and_no_longer(
    api: Api, receiver: Receiver, names: Names
) -> None:
    """Whatever it does in place of taking it; all of them at the same time."""
    behaviours: list[Behaviour] = [
        Hang(),
        Drip(every_seconds=0.1),
        Drip("body", 503),
        Flood(503),
        Answer(503),
        Answer(delay_seconds=20),
        Reset(),
        Raw(b"no HTTP"),
    ]
    users = names("held", len(behaviours))

    def at_first(behaviour: Behaviour) -> Callable[[Received], Behaviour]:
        return lambda request: behaviour if request.data["payload"]["n"] == 1 else Answer()

    for user, behaviour in zip(users, behaviours, strict=True):
        receiver.script(at_first(behaviour), user=user)
    posted = time.monotonic()
    ids = api.bulk(
        [engagement(user, channel=HOOK, timeout_seconds=2 * n, payload={"n": n}) for user in users for n in (1, 9)]
    )
    answered = time.monotonic()
    receiver.wait_for(lambda r: all(r.accepted[user] for user in users), SECONDS)
    for user, first, second in zip(users, ids[::2], ids[1::2], strict=True):
        assert receiver.accepted[user] == [(2, second)]
        last = receiver.of_user(user)[-1]
        assert posted + 2 <= last.arrived <= answered + 2 + WITHIN_SECONDS + SENDING_SECONDS
        assert wait_for_expiry(api, first)["attempts"] == len(receiver.of_user(user)) - 1


def test_an_attempt_in_flight_is_cut_at_the_deadline(api: Api, receiver: Receiver, names: Names) -> None:
    """To the tenth of a second, as the receiver sees it: neither before, nor with the next sweep."""
    [user] = names("cut", 1)
    receiver.script(Hang(), user=user)
    posted = time.monotonic()
    id = api.post(user, channel=HOOK, timeout_seconds=2)["id"]
    answered = time.monotonic()
    receiver.wait_for(lambda r: r.of_user(user) and r.of_user(user)[0].cut, SECONDS)
    ended = receiver.of_user(user)[0].ended
    assert ended is not None
    assert posted + 2 - 0.1 <= ended <= answered + 2 + 0.4
    wait_for_expiry(api, id)


def test_those_in_line_behind_a_hung_head_keep_their_own_deadlines(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("line", 1)
    receiver.script(Hang(), user=user)
    ids = api.bulk([engagement(user, channel=HOOK, timeout_seconds=seconds) for seconds in (20, 1, 2, 20)])
    for id in ids[1:3]:
        expired = wait_for_expiry(api, id)
        assert (expired["attempts"], expired["sequence"]) == (0, None)
    assert [request.data["id"] for request in receiver.of_user(user)] == [ids[0]]
    receiver.release()
    wait_for_requests(receiver, user, 2)
    receiver.release()
    receiver.wait_for(lambda r: len(r.accepted[user]) == 2, SECONDS)
    assert receiver.accepted[user] == [(1, ids[0]), (2, ids[3])]


def test_a_retry_after_that_goes_beyond_the_deadline_does_not_extend_it(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("asked", 1)
    receiver.script(Answer(503, headers={"Retry-After": "60"}), Answer(), user=user)
    first, second = api.bulk([engagement(user, channel=HOOK, timeout_seconds=seconds) for seconds in (2, 20)])
    receiver.wait_for(lambda r: r.accepted[user], SECONDS)
    assert [request.data["id"] for request in receiver.of_user(user)] == [first, second]
    wait_for_expiry(api, first)


def test_the_engagements_own_timeout_goes_before_the_pipelines_and_that_before_the_default(
    api: Api, names: Names
) -> None:
    """And a change counts for new ones only."""
    [user] = names("whose", 1)
    parent = str(uuid4())

    def post(**fields: object) -> dict[str, Any]:
        posted: dict[str, Any] = api.post(user, channel=HOOK, causal_parent=parent, **fields)
        return posted

    default = post()
    api.set_timeout(user, 1.5)
    assert api.pipeline(user)["timeout_seconds"] == 1.5
    pipelines, own = post(), post(timeout_seconds=0.5)
    api.set_timeout(user, None)
    default_again = post()
    assert [timeout_of(one) for one in (default, pipelines, own, default_again)] == pytest.approx(
        [DEFAULT_TIMEOUT_SECONDS, 1.5, 0.5, DEFAULT_TIMEOUT_SECONDS]
    )
    for one in (own, pipelines, default, default_again):
        wait_for_expiry(api, one["id"])


def test_a_timeout_of_less_than_a_sweep_is_kept(api: Api, names: Names) -> None:
    [user] = names("short", 1)
    id = api.post(user, channel=HOOK, causal_parent=str(uuid4()), timeout_seconds=0.05)["id"]
    wait_for_expiry(api, id)


def test_a_pause_freezes_the_deadlines_and_a_resume_extends_them(api: Api, receiver: Receiver, names: Names) -> None:
    """Nothing starts meanwhile. The expiry of one posted later with a longer time-out tells that their time is over."""
    before, meanwhile, clock = names("paused", 3)
    api.pause(meanwhile)
    held = api.post(meanwhile, channel=HOOK, timeout_seconds=1.5)["id"]
    waiting = api.post(before, channel=HOOK, causal_parent=str(uuid4()), timeout_seconds=1.5)
    api.pause(before)
    wait_for_expiry(api, api.post(clock, channel=HOOK, causal_parent=str(uuid4()), timeout_seconds=2)["id"])
    assert api.pipeline(before)["paused"]
    assert [api.status(held), api.status(waiting["id"])] == ["pending", "pending"]
    assert receiver.of_user(meanwhile) == []
    resuming = datetime.now(UTC)
    api.resume(before)
    api.resume(meanwhile)
    receiver.wait_for(lambda r: r.accepted[meanwhile], SECONDS)
    expired = wait_for_expiry(api, waiting["id"])
    extension = (moment(expired["expires_at"]) - moment(waiting["expires_at"])).total_seconds()
    assert extension >= 2
    assert resuming < moment(expired["expires_at"])


def test_an_attempt_that_runs_when_its_user_is_paused_is_cut_at_its_deadline_and_stays_pending(
    api: Api, receiver: Receiver, names: Names
) -> None:
    [user] = names("running", 1)
    receiver.script(Hang(), Answer(), user=user)
    id = api.post(user, channel=HOOK, timeout_seconds=1.5)["id"]
    wait_for_requests(receiver, user, 1)
    api.pause(user)
    receiver.wait_for(lambda r: r.of_user(user)[0].cut, SECONDS)
    [clock] = names("clock", 1)
    wait_for_expiry(api, api.post(clock, channel=HOOK, causal_parent=str(uuid4()), timeout_seconds=1.5)["id"])
    assert api.status(id) == "pending"
    assert len(receiver.of_user(user)) == 1
    api.resume(user)
    receiver.wait_for(lambda r: r.accepted[user], SECONDS)
    assert [request.sequence for request in receiver.of_user(user)] == [1, 1]
    until(lambda: api.status(id) == "delivered", seconds=SECONDS, what="it is delivered")


def test_a_running_attempt_may_finish_while_its_user_is_paused(api: Api, receiver: Receiver, names: Names) -> None:
    [user] = names("finishes", 1)
    receiver.script(Hang(), Answer(), user=user)
    first, second = api.bulk([engagement(user, channel=HOOK, timeout_seconds=20) for _ in range(2)])
    wait_for_requests(receiver, user, 1)
    api.pause(user)
    receiver.release()
    until(lambda: api.status(first) == "delivered", seconds=SECONDS, what="the first is delivered")
    [probe] = names("probe", 1)
    api.post(probe, channel=HOOK)
    receiver.wait_for(lambda r: r.accepted[probe], SECONDS)
    assert api.status(second) == "pending"
    assert len(receiver.of_user(user)) == 1
    api.resume(user)
    receiver.wait_for(lambda r: len(r.accepted[user]) == 2, SECONDS)


def test_children_elsewhere_are_not_frozen_by_their_parents_pause(api: Api, receiver: Receiver, names: Names) -> None:
    paused, childs_user = names("frozen", 1) + names("child", 1)
    api.pause(paused)
    parent = api.post(paused, channel=HOOK, timeout_seconds=20)["id"]
    child = api.post(childs_user, channel=HOOK, causal_parent=parent, timeout_seconds=1)["id"]
    wait_for_expiry(api, child)
    assert api.status(parent) == "pending"
    api.purge(paused)
