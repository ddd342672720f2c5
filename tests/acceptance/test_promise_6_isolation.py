"""Promise 6: a slow, failing or poisoned user delays only their own pipeline."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from uuid import uuid4

import pytest

from tests.support.client import Api, engagement
from tests.support.order_check import violations
from tests.support.receiver import Answer, Behaviour, Drip, Flood, Hang, Raw, Receiver, Reset
from tests.support.system import HOOK, System, Systems

Names = Callable[[str, int], list[str]]

SECONDS = 60
"""For what takes some seconds on a machine that does nothing else."""

POSTS = 150
"""Of healthy users in one measurement: the 99th percentile is the second slowest."""

EVERY_SECONDS = 0.015

TOLERANCE_SECONDS = 0.5
"""What others may be slower by at the 99th percentile: the sick ones cost processor time, which is not isolation's
matter on a busy machine. Whoever had to wait for one of them would wait for seconds."""


@pytest.fixture(scope="module")
def system(systems: Systems, receiver: Receiver) -> System:
    """Two workers; shared by all tests here, each of which has its own users."""
    system = systems.new()
    system.start("w1@apart", "w2@apart")
    system.hook(receiver)
    return system


@pytest.fixture
def api(system: System) -> Api:
    return system.api


@dataclass(frozen=True)
class Latency:
    """Seconds from the answer to a post until its arrival at the receiver, of healthy users."""

    typical: float
    p99: float


def measure(api: Api, receiver: Receiver, users: list[str]) -> Latency:
    """A steady stream of single posts, each for the next of these users."""
    answered: dict[str, float] = {}
    start = time.monotonic()
    for number in range(POSTS):
        time.sleep(max(0.0, start + number * EVERY_SECONDS - time.monotonic()))  # the stream's pace; orders nothing
        id = str(uuid4())
        api.post(users[number % len(users)], id=id, channel=HOOK)
        answered[id] = time.monotonic()
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in users) >= POSTS, SECONDS)
    arrived = {request.data["id"]: request.arrived for user in users for request in receiver.of_user(user)}
    latencies = sorted(arrived[id] - moment for id, moment in answered.items())
    assert violations(receiver, users) == []
    return Latency(median(latencies), latencies[int(POSTS * 0.99)])


@pytest.fixture(scope="module")
def alone(system: System, receiver: Receiver) -> Latency:
    """Without any sick users."""
    return measure(system.api, receiver, [f"alone-{number}" for number in range(40)])


@pytest.fixture
def compare(alone: Latency, api: Api, receiver: Receiver, names: Names) -> Iterator[Callable[[], None]]:
    """Call it while sick users are at work: others must be as fast as without them."""

    def judge() -> None:
        beside = measure(api, receiver, names("beside", 40))
        assert beside.p99 <= alone.p99 + TOLERANCE_SECONDS, f"{beside} beside sick users, {alone} without"

    yield judge
    receiver.default = Answer()


SICK: dict[str, Behaviour] = {
    "hangs": Hang(),
    "answers after 5 s": Answer(delay_seconds=5),
    "refuses for ever": Answer(503),
    "fails at once": Answer(400),
    "resets": Reset(),
    "drips": Drip(every_seconds=0.05),
    "drips its body": Drip("body", 200, every_seconds=0.05),
    "floods": Flood(503),
    "speaks no HTTP": Raw(b"\x00\xff" * 100),
}


def test_sick_users_delay_nobody_else(api: Api, receiver: Receiver, names: Names, compare: Callable[[], None]) -> None:
    """Ninety of them, of all kinds, each with ten engagements, on the same channel as the healthy ones."""
    sick = names("sick", 10 * len(SICK))
    for number, user in enumerate(sick):
        receiver.script(list(SICK.values())[number % len(SICK)], user=user)
    api.bulk([engagement(user, channel=HOOK, timeout_seconds=25) for user in sick for _ in range(10)])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in sick), SECONDS)
    compare()
    hung = sick[:: len(SICK)]
    assert [len(receiver.of_user(user)) for user in hung] == [1] * 10
    for user in sick:
        api.purge(user)


def test_three_hundred_hung_users_delay_nobody_else(
    api: Api, receiver: Receiver, names: Names, compare: Callable[[], None]
) -> None:
    """More than any pool of threads or of connections that a worker might share among its users."""
    hung = names("hung", 300)
    for user in hung:
        receiver.script(Hang(), Answer(), user=user)
    api.bulk([engagement(user, channel=HOOK) for user in hung for _ in range(2)])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in hung), SECONDS)
    compare()
    assert [len(receiver.of_user(user)) for user in hung] == [1] * 300
    receiver.release()
    receiver.wait_for(lambda r: all(len(r.accepted[user]) == 2 for user in hung), SECONDS)


def test_one_user_with_a_long_queue_delays_nobody_else(
    api: Api, receiver: Receiver, names: Names, compare: Callable[[], None]
) -> None:
    """Two thousand in line behind a receiver that takes its time."""
    [hot] = names("hot", 1)
    receiver.script(Answer(delay_seconds=0.005), user=hot)
    for _ in range(2):
        api.bulk([engagement(hot, channel=HOOK, timeout_seconds=3600) for _ in range(1000)])
    receiver.wait_for(lambda r: r.accepted[hot], SECONDS)
    compare()
    assert 10 < len(receiver.accepted[hot]) < 2000, "the long queue was not at work meanwhile"
    api.purge(hot)


def test_poison_delays_nobody_else(
    system: System, receiver: Receiver, names: Names, compare: Callable[[], None]
) -> None:
    """The largest and oddest payloads and user ids, and channels whose receivers cannot be reached or do not exist."""
    api = system.api
    api.create_channel("gone", "webhook", "http://127.0.0.1:9/")
    api.create_channel("no-such-host", "webhook", "http://no-such-host.invalid/")
    deep: object = 1
    for _ in range(30):
        deep = [deep]
    payloads = [
        {"huge": "x" * 64_000},
        {"deep": deep},
        {"many": list(range(10_000))},
        {"number": 0.1, "small": 5e-324, "long": 10**300},
        {"text": "\u2028\u0001😀 \u202e </script> '; DROP TABLE users; -- \\ \" \r\n"},
        {"": {"": ""}},
    ]
    odd = [
        "a/b/../c",
        "\r\nX: y",
        " ",
        "%2F%00",
        "😀" * 100,
        "' OR 1=1 --",
        "ünïcödé\u202e",
        "{}[]",
        ".",
    ]
    odd = [f"{user}{uuid4()}"[-200:] for user in odd]
    poison = [engagement(user, channel=HOOK, payload=payload) for user in odd for payload in payloads]
    unreachable = names("unreachable", 40)
    api.bulk(
        poison
        + [
            engagement(user, channel=channel, timeout_seconds=20)
            for user in unreachable
            for channel in ("gone", "no-such-host")
        ]
    )
    compare()
    receiver.wait_for(lambda r: sum(len(r.accepted[user]) for user in odd) >= len(poison), SECONDS)
    for user in odd:
        assert [request.data["payload"] for request in receiver.of_user(user)] == payloads
    assert violations(receiver, odd) == []
    for user in unreachable:
        api.purge(user)


def test_a_callers_open_transaction_delays_its_own_users_only(
    system: System, receiver: Receiver, names: Names, compare: Callable[[], None]
) -> None:
    """A Python producer keeps the rows of 20 users locked while their earlier engagements wait to be delivered."""
    users = names("locked", 20)
    for user in users:
        receiver.script(Hang(), Answer(), user=user)
    system.api.bulk([engagement(user, channel=HOOK) for user in users for _ in range(2)])
    receiver.wait_for(lambda r: all(r.of_user(user) for user in users), SECONDS)
    with system.python_in_background(
        f"""
from django.db import transaction
from engagements.services import produce
with transaction.atomic():
    for user in {users!r}:
        produce(user_id=user, payload={{}}, channel={HOOK!r})
    print("locked", flush=True)
    input()
"""
    ) as producer:
        assert producer.stdout is not None
        assert producer.stdin is not None
        assert producer.stdout.readline().strip() == "locked"
        receiver.release()
        compare()
        assert [len(receiver.of_user(user)) for user in users] == [1] * 20
        producer.stdin.write("go on\n")
        producer.stdin.flush()
        receiver.wait_for(lambda r: all(len(r.accepted[user]) == 3 for user in users), SECONDS)
    assert violations(receiver, users) == []
