"""Promise 4: what was accepted ends in exactly one final status, whatever crashes; and order holds all the while."""

import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from deliveryproject.local.postgres import Postgres
from deliveryproject.local.valkey import Valkey
from tests.support.client import Api, engagement
from tests.support.order_check import accepted_ids, greatest_tokens, violations, went_on_after
from tests.support.receiver import Answer, Hang, Receiver
from tests.support.system import HOOK, System, Systems
from tests.support.up import until

Names = Callable[[str, int], list[str]]

SECONDS = 60
"""For what takes some seconds on a machine that does nothing else."""

WORKERS = ("w1@crash", "w2@crash", "w3@crash")

FAILOVER_SECONDS = 12.0
"""The promise: until the users of a worker that was killed go on."""

HANDOVER_SECONDS = 2.0
"""The promise: until the users of a worker that was asked to stop go on."""


@pytest.fixture(scope="module")
def postgres(systems: Systems) -> Postgres:
    return systems.postgres()


@pytest.fixture(scope="module")
def broker(systems: Systems) -> Valkey:
    return systems.valkey()


@pytest.fixture(scope="module")
def whole(systems: Systems, receiver: Receiver, postgres: Postgres, broker: Valkey) -> System:
    """Servers of its own, three workers and beat. Nothing expires here unless a test wants it."""
    system = systems.new(
        database_url=postgres.url(), broker_url=broker.url, PENDING_TIMEOUT_SECONDS="240", REORDER_WINDOW_MS="0"
    )
    system.manage("migrate", "--verbosity", "0")
    system.start(*WORKERS, beat=True)
    system.hook(receiver)
    return system


@pytest.fixture
def system(whole: System) -> System:
    """Every part running, whatever the test before has done to them."""
    missing = [worker for worker in WORKERS if not whole.parts[worker].is_running()]
    for worker in missing:
        whole.start_worker(worker, wait=False)
    whole.wait_for_workers(*missing)
    return whole


@pytest.fixture(autouse=True)
def _answers_at_once(receiver: Receiver) -> Iterator[None]:
    yield
    receiver.default = Answer()


class Stubborn(threading.Thread):
    """A producer that posts for one user, one after the other, and repeats each until it is acknowledged."""

    def __init__(self, api: Api, user: str, number: int) -> None:
        super().__init__(name=f"producer of {user}", daemon=True)
        self.api, self.user = api, user
        self.ids = [str(uuid4()) for _ in range(number)]
        self.acknowledged: list[str] = []
        self.repeated = 0

    def run(self) -> None:
        for id in self.ids:
            while not self._post(id):
                self.repeated += 1
                threading.Event().wait(0.05)
            self.acknowledged.append(id)

    def _post(self, id: str) -> bool:
        try:
            reply = self.api.call("POST", "/engagements/", engagement(self.user, id=id, channel=HOOK))
        except (OSError, http.client.HTTPException):
            return False
        assert reply.status in (200, 201) or reply.status >= 500, reply
        return reply.status < 300


def wait_for_acknowledged(producers: list[Stubborn], number: int) -> None:
    until(
        lambda: sum(len(one.acknowledged) for one in producers) >= number,
        seconds=SECONDS,
        what=f"{number} are acknowledged",
    )


def rounds(users: list[str], number: int) -> list[dict[str, Any]]:
    return [engagement(user, channel=HOOK, payload={"n": n}) for n in range(number) for user in users]


def post_all(api: Api, items: list[dict[str, Any]]) -> None:
    for start in range(0, len(items), 1000):
        api.bulk(items[start : start + 1000])


def ids_of(items: list[dict[str, Any]], users: list[str]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {user: [] for user in users}
    for item in items:
        ids[item["user_id"]].append(item["id"])
    return ids


def wait_for_accepted(receiver: Receiver, number: int, users: list[str], *, seconds: float = SECONDS) -> None:
    wanted = set(users)
    receiver.wait_for(
        lambda r: sum(len(taken) for user, taken in r.accepted.items() if user in wanted) >= number, seconds
    )


def assert_all_delivered(api: Api, receiver: Receiver, expected: dict[str, list[str]]) -> None:
    """Each exactly once and in order, as the receiver saw it; and the API says so too."""
    assert {user: accepted_ids(receiver, user) for user in expected} == expected
    until(
        lambda: not any(api.pipeline(user)["depth"] for user in list(expected)[:50]),
        seconds=SECONDS,
        what="the last settles are recorded",
    )
    for status in ("pending", "expired", "failed", "purged"):
        assert [one["id"] for one in api.engagements(status=status) if one["user_id"] in expected] == []


def test_a_worker_is_killed_in_the_middle_of_10_000(system: System, receiver: Receiver, names: Names) -> None:
    """Nothing is lost, nothing is out of order, and the dead worker's users go on within 12 s."""
    receiver.default = Answer(delay_seconds=0.02)
    users = names("kill", 500)
    items = rounds(users, 20)
    post_all(system.api, items[:5000])
    with ThreadPoolExecutor(1) as producer:
        rest = producer.submit(post_all, system.api, items[5000:])
        pinned = system.api.pinned(users)
        wait_for_accepted(receiver, 3000, users)
        killed = system.kill("w1@crash")
        rest.result()
    mine = [user for user in users if pinned[user] == "w1@crash" and len(receiver.accepted[user]) < 20]
    before = {
        user: max(r.data["fencing_token"] for r in receiver.of_user(user) if r.arrived <= killed + 0.5) for user in mine
    }
    wait_for_accepted(receiver, 10_000, users, seconds=120)
    assert_all_delivered(system.api, receiver, ids_of(items, users))
    assert violations(receiver, users, crashes=True) == []
    went_on = went_on_after(receiver, before, killed)
    assert len(mine) >= 50, "the worker had too little left for this test to say much"
    assert set(went_on) == set(mine)
    assert max(went_on.values()) <= FAILOVER_SECONDS


def test_a_worker_that_is_asked_to_stop_hands_its_users_on(system: System, receiver: Receiver, names: Names) -> None:
    """Within 2 s, after attempts that run have ended, save what hangs; the process ends by itself."""
    receiver.default = Answer(delay_seconds=0.25)
    hung, users = names("hung", 20), names("term", 130)
    for user in hung:
        receiver.script(Hang(), Answer(), user=user)
    items = rounds(users + hung, 10)
    post_all(system.api, items)
    pinned = system.api.pinned(users + hung)
    mine = [user for user, worker in pinned.items() if worker == "w2@crash"]
    receiver.wait_for(lambda r: all(r.of_user(user) for user in hung), SECONDS)
    wait_for_accepted(receiver, 200, users)
    before = greatest_tokens(receiver, mine)
    unfinished = [user for user in mine if len(receiver.accepted[user]) < 9]
    asked = system.ask_to_stop("w2@crash")
    wait_for_accepted(receiver, 1300 + 10 * sum(user in hung for user in mine), users + hung)
    receiver.release()  # those that hang at the other workers
    wait_for_accepted(receiver, 1500, users + hung)
    assert_all_delivered(system.api, receiver, ids_of(items, users + hung))
    assert violations(receiver, users + hung, crashes=True) == []
    went_on = went_on_after(receiver, {user: before[user] for user in unfinished}, asked)
    assert len(unfinished) >= 20, "the worker had too little left for this test to say much"
    assert set(went_on) == set(unfinished)
    assert max(went_on.values()) <= HANDOVER_SECONDS
    # On a machine that stands still for longer than the worker waits, an answer may come too late for it.
    assert len([request for request in receiver.ignored if request.user in pinned]) <= len(unfinished) / 2
    process = system.parts["w2@crash"].process
    assert process is not None
    assert process.wait(SECONDS) == 0


def test_every_worker_is_killed_and_only_one_comes_back(system: System, receiver: Receiver, names: Names) -> None:
    """Under a name that no user was pinned to."""
    receiver.default = Answer(delay_seconds=0.05)
    users = names("all", 60)
    items = rounds(users, 10)
    post_all(system.api, items)
    wait_for_accepted(receiver, 100, users)
    for worker in WORKERS:
        system.kill(worker)
    system.start_worker("w4@crash")
    wait_for_accepted(receiver, 600, users)
    assert_all_delivered(system.api, receiver, ids_of(items, users))
    assert violations(receiver, users, crashes=True) == []
    system.parts["w4@crash"].stop()


def test_the_web_server_is_killed_while_producers_post(system: System, receiver: Receiver, names: Names) -> None:
    """What it acknowledged is delivered once; a producer that repeats what it did not is safe."""
    users = names("web", 10)
    producers = [Stubborn(system.api, user, 40) for user in users]
    for producer in producers:
        producer.start()
    for number in (50, 250):
        wait_for_acknowledged(producers, number)
        system.kill("web")
        system.start_web()
    for producer in producers:
        producer.join(SECONDS)
    assert sum(producer.repeated for producer in producers) > 0
    wait_for_accepted(receiver, 400, users)
    assert_all_delivered(system.api, receiver, {one.user: one.acknowledged for one in producers})
    assert violations(receiver, users) == []


def test_the_database_crashes_and_comes_back(
    system: System, postgres: Postgres, receiver: Receiver, names: Names
) -> None:
    """Nobody else is started again: web and workers find it."""
    receiver.default = Answer(delay_seconds=0.02)
    users = names("database", 10)
    producers = [Stubborn(system.api, user, 30) for user in users]
    for producer in producers:
        producer.start()
    wait_for_accepted(receiver, 60, users)
    postgres.part.kill()
    until(lambda: any(one.repeated for one in producers), seconds=SECONDS, what="a post is refused")
    postgres.start()
    for producer in producers:
        producer.join(SECONDS)
    wait_for_accepted(receiver, 300, users)
    assert_all_delivered(system.api, receiver, {one.user: one.ids for one in producers})
    assert violations(receiver, users, crashes=True) == []
    assert all(system.parts[worker].is_running() for worker in WORKERS)


def test_everything_is_killed_at_once(
    system: System, postgres: Postgres, broker: Valkey, receiver: Receiver, names: Names
) -> None:
    """As when a machine loses its power: what was acknowledged is there when it has started again."""
    receiver.default = Answer(delay_seconds=0.05)
    users = names("power", 30)
    items = rounds(users, 20)
    post_all(system.api, items)
    wait_for_accepted(receiver, 100, users)
    for part in [*system.parts.values(), broker.part, postgres.part]:
        part.kill()
    postgres.start()
    broker.start()
    system.start_web(wait=False)
    for worker in WORKERS:
        system.start_worker(worker, wait=False)
    wait_for_accepted(receiver, 600, users)
    system.wait_for_web()
    assert_all_delivered(system.api, receiver, ids_of(items, users))
    assert violations(receiver, users, crashes=True) == []


def test_beat_is_killed_and_two_beats_run(system: System, receiver: Receiver, names: Names) -> None:
    """Either way what is overdue is expired once and within 1 s, and the rest is delivered once."""

    def check(word: str) -> None:
        users = names(word, 20)
        overdue = system.api.bulk(
            [
                engagement(user, channel=HOOK, causal_parent=str(uuid4()), timeout_seconds=seconds)
                for user in users
                for seconds in (0.5, 1)
            ]
        )
        behind = system.api.bulk([engagement(user, channel=HOOK) for user in users])
        wait_for_accepted(receiver, 20, users)
        assert [accepted_ids(receiver, user) for user in users] == [[id] for id in behind]
        assert [receiver.of_user(user)[0].sequence for user in users] == [1] * 20
        for id in overdue:
            one = system.api.engagement(id)
            assert one["status"] == "expired"
            late = datetime.fromisoformat(one["settled_at"]) - datetime.fromisoformat(one["expires_at"])
            assert 0 <= late.total_seconds() <= 1

    system.parts["beat"].kill()
    check("without")
    system.start_beat("beat", wait=False)
    system.start_beat("beat-2")
    system.wait_for_beat()
    check("twice")
    system.kill("beat-2")


def test_a_python_producer_that_dies_right_after_its_commit(system: System, receiver: Receiver, names: Names) -> None:
    """No wake-up was published for its last one, which is delivered all the same. What it rolled back is not."""
    [user] = names("python", 1)
    system.python(f"""
import os
from django.db import connection, transaction
from engagements.services import produce
with transaction.atomic():
    produce(user_id={user!r}, payload={{"n": 0}}, channel={HOOK!r})
    transaction.set_rollback(True)
with transaction.atomic():
    produce(user_id={user!r}, payload={{"n": 1}}, channel={HOOK!r})
transaction.set_autocommit(False)
produce(user_id={user!r}, payload={{"n": 2}}, channel={HOOK!r})
connection.connection.commit()
os._exit(0)
""")
    wait_for_accepted(receiver, 2, [user])
    assert [request.data["payload"]["n"] for request in receiver.of_user(user)] == [1, 2]
