"""Promise 8: a wake-up that is lost, repeated, delayed or reordered costs latency, never order and never data.

Everything here runs on the embedded broker, on RabbitMQ and on Redis. Each stands behind a gate, so that a server that
others use as well need not be stopped.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from kombu import Connection

from tests.support.brokers import BROKERS, IN_USE_MARK, Broker, running_broker
from tests.support.client import Api, engagement
from tests.support.order_check import accepted_ids, violations
from tests.support.receiver import Receiver
from tests.support.servers import Servers
from tests.support.system import HOOK, System, Systems
from tests.support.tcp_proxy import TcpProxy
from tests.support.up import until
from workers.routing import worker_queue

Names = Callable[[str, int], list[str]]

SECONDS = 60
"""For what takes some seconds on a machine that does nothing else."""

ADDED_SECONDS = 3.0
"""What a delivery without its wake-up may take longer: the poll's second, and a busy machine."""

PROMPT_SECONDS = 0.3
"""Less than the poll needs on average: typical of deliveries that were woken."""

POSTED_SECONDS = 5.0
"""For some twenty posts on a busy machine; one that waited for a broken broker would take longer alone."""

STOPPED_SECONDS = 20.0
"""A worker needs 5 to 9 s on a busy machine; one that waits for the broker half a minute, or for ever."""

DEFAULT_PORTS = {"amqp": 5672, "redis": 6379}


@dataclass
class Stage:
    """A system whose broker can be reached by its gate only."""

    system: System
    gate: TcpProxy
    broker: Broker
    workers: tuple[str, str]

    @property
    def api(self) -> Api:
        return self.system.api

    @property
    def queues(self) -> list[str]:
        return [f"deliver.{worker}" for worker in self.workers]

    @contextmanager
    def broker_is(self, harm: Callable[[TcpProxy], None]) -> Iterator[None]:
        """While the block runs: `TcpProxy.shut` or `TcpProxy.hang`."""
        harm(self.gate)
        try:
            yield
        finally:
            self.gate.open()

    def publish(self, number: int, users: Callable[[], list[str]], *, worker: str) -> None:
        """Wake-ups of our own for this worker, as any process could send them."""
        with Celery(broker=self.broker.url) as app:
            for _ in range(number):
                send(app, "workers.wake", worker, kwargs={"users": users(), "worker": worker})

    def drop_wake_ups(self) -> None:
        """Throw away what waits in the workers' queues, past the gate."""
        with self._channel() as channel:
            for queue in [*self.queues, "unordered"]:
                channel.queue_purge(queue)

    def flush(self) -> None:
        """Past the gate: every key of a Redis or Valkey, bindings included; on RabbitMQ, the workers' queues."""
        with self._channel() as channel:
            if self.broker.name == "rabbitmq":
                for queue in self.queues:
                    channel.queue_delete(queue)
            else:
                mark = channel.client.get(IN_USE_MARK)
                channel.client.flushdb()
                if mark:
                    channel.client.set(IN_USE_MARK, mark, ex=3600)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        with Connection(self.broker.url) as connection, connection.channel() as channel:
            yield channel


def send(app: Celery, task: str, worker: str, **arguments: Any) -> None:
    queue: Any = worker_queue(worker)
    app.send_task(task, queue=queue, declare=[], ignore_result=True, **arguments)


@pytest.fixture(scope="module", params=BROKERS)
def stage(request: pytest.FixtureRequest, servers: Servers, systems: Systems, receiver: Receiver) -> Iterator[Stage]:
    """Two workers, one stage per broker. The workers' names are new: others may use the same RabbitMQ."""
    if request.param == "valkey":
        yield from staged(Broker("valkey", systems.valkey().url), systems, receiver)
        return
    for broker in running_broker(request.param, servers):
        yield from staged(broker, systems, receiver)


def staged(broker: Broker, systems: Systems, receiver: Receiver) -> Iterator[Stage]:
    address = urlsplit(broker.url)
    port = address.port or DEFAULT_PORTS[address.scheme]
    with TcpProxy(address.hostname or "127.0.0.1", port) as gate:
        login, at, _ = address.netloc.rpartition("@")
        system = systems.new(broker_url=address._replace(netloc=f"{login}{at}127.0.0.1:{gate.port}").geturl())
        tag = secrets.token_hex(4)
        workers = (f"w1@{broker.name}-{tag}", f"w2@{broker.name}-{tag}")
        system.start(*workers)
        system.hook(receiver)
        yield Stage(system, gate, broker, workers)
        system.stop()


def wait_for_accepted(receiver: Receiver, number: int, users: list[str]) -> None:
    wanted = set(users)
    receiver.wait_for(
        lambda r: sum(len(taken) for user, taken in r.accepted.items() if user in wanted) >= number, SECONDS
    )


def post_to_each(stage: Stage, receiver: Receiver, users: list[str], **fields: object) -> list[float]:
    """One after the other, each delivered before the next is posted; seconds from the answer to the arrival."""
    latencies = []
    for user in users:
        before = len(receiver.of_user(user))
        stage.api.post(user, channel=HOOK, **fields)
        answered = time.monotonic()
        wait_for_accepted(receiver, before + 1, [user])
        latencies.append(receiver.of_user(user)[before].arrived - answered)
    return sorted(latencies)


def wait_until_prompt(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Return when wake-ups work again: five new users in a row are delivered for faster than by a poll."""

    def prompt() -> bool:
        return post_to_each(stage, receiver, names("prompt", 5))[-1] < PROMPT_SECONDS

    until(prompt, seconds=SECONDS, what="wake-ups work again")


def test_wake_ups_arrive_on_this_broker(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Ordered and unordered ones are delivered at once, not at the next poll; without this the rest says little."""
    ordered = post_to_each(stage, receiver, names("woken", 20))
    unordered = post_to_each(stage, receiver, names("woken", 20), unordered=True)
    assert ordered[10] < PROMPT_SECONDS
    assert unordered[10] < PROMPT_SECONDS


def test_order_on_this_broker(stage: Stage, receiver: Receiver, names: Names) -> None:
    users = names("order", 50)
    ids = stage.api.bulk([engagement(user, channel=HOOK) for _ in range(10) for user in users])
    for user in users:
        ids.append(stage.api.post(user, channel=HOOK)["id"])
    wait_for_accepted(receiver, 550, users)
    for place, user in enumerate(users):
        assert accepted_ids(receiver, user) == ids[place :: len(users)]
    assert violations(receiver, users) == []


def test_repeated_shuffled_and_false_wake_ups_change_nothing(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Hundreds, to either worker, for users of either and of nobody, while those users are at work."""
    users = names("doubled", 20)
    random = Random(6)
    ids = stage.api.bulk([engagement(user, channel=HOOK) for _ in range(5) for user in users])
    for _ in range(3):
        stage.publish(40, lambda: random.sample([*users, "nobody", ""], 10), worker=random.choice(stage.workers))
        ids += stage.api.bulk([engagement(user, channel=HOOK) for _ in range(5) for user in users])
    wait_for_accepted(receiver, 400, users)
    stage.publish(40, lambda: users, worker=stage.workers[1])
    after = [stage.api.post(user, channel=HOOK)["id"] for user in users]
    wait_for_accepted(receiver, 420, users)
    for place, user in enumerate(users):
        assert accepted_ids(receiver, user) == [*ids[place :: len(users)], after[place]]
        assert len(receiver.of_user(user)) == 21
    assert violations(receiver, users) == []
    assert stage.api.call("GET", "/pipelines/nobody/").status == 404


def test_messages_that_make_no_sense_harm_nobody(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Unknown tasks, wrong arguments: the workers go on, and their wake-ups too."""
    with Celery(broker=stage.broker.url) as app:
        for worker in stage.workers:
            send(app, "workers.wake", worker, kwargs={"users": 7, "worker": None})
            send(app, "workers.wake", worker)
            send(app, "no.such.task", worker)
    users = names("sense", 20)
    assert post_to_each(stage, receiver, users)[10] < PROMPT_SECONDS
    assert all(stage.system.parts[worker].is_running() for worker in stage.workers)


def test_with_the_broker_away_deliveries_continue(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Ordered and unordered, posts answered at once; when it is back, so are the wake-ups."""
    users, free = names("away", 10), names("away-free", 10)
    with stage.broker_is(TcpProxy.shut):
        started = time.monotonic()
        for user in users:
            stage.api.post(user, channel=HOOK)
        for user in free:
            stage.api.post(user, channel=HOOK, unordered=True)
        assert time.monotonic() - started < POSTED_SECONDS, "posts wait for the broker"
        answered = time.monotonic()
        wait_for_accepted(receiver, 20, users + free)
        assert time.monotonic() - answered <= ADDED_SECONDS
        assert post_to_each(stage, receiver, names("away", 2))[-1] <= ADDED_SECONDS
    wait_until_prompt(stage, receiver, names)
    more = stage.api.bulk([engagement(user, channel=HOOK) for user in users])
    wait_for_accepted(receiver, 20, users)
    assert [accepted_ids(receiver, user)[-1] for user in users] == more
    assert violations(receiver, users) == []


def test_a_broker_that_takes_everything_and_answers_nothing(stage: Stage, receiver: Receiver, names: Names) -> None:
    """As behind a broken router: connections stand, and nothing comes through. Nobody waits for it."""
    users = names("swallowed", 10)
    with stage.broker_is(TcpProxy.hang):
        started = time.monotonic()
        for user in users:
            stage.api.post(user, channel=HOOK)
        assert time.monotonic() - started < POSTED_SECONDS, "posts wait for the broker"
        answered = time.monotonic()
        wait_for_accepted(receiver, 10, users)
        assert time.monotonic() - answered <= ADDED_SECONDS
    wait_until_prompt(stage, receiver, names)
    assert violations(receiver, users) == []


def test_wake_ups_that_are_dropped_cost_a_poll(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Whatever waits on the broker is thrown away again and again, while the workers cannot fetch it."""
    users, free = names("dropped", 20), names("dropped-free", 10)
    for user in users:
        stage.api.post(user, channel=HOOK)
        stage.drop_wake_ups()
    for user in free:
        stage.api.post(user, channel=HOOK, unordered=True)
        stage.drop_wake_ups()
    answered = time.monotonic()
    wait_for_accepted(receiver, 30, users + free)
    assert time.monotonic() - answered <= ADDED_SECONDS
    assert violations(receiver, users) == []


def test_a_flushed_broker_loses_nothing(stage: Stage, receiver: Receiver, names: Names) -> None:
    """Not only messages: queues and bindings are gone too, and come back by themselves."""
    stage.flush()
    users = names("flushed", 10)
    assert post_to_each(stage, receiver, users)[-1] <= ADDED_SECONDS
    wait_until_prompt(stage, receiver, names)
    stage.api.bulk([engagement(user, channel=HOOK) for _ in range(5) for user in users])
    wait_for_accepted(receiver, 60, users)
    assert violations(receiver, users) == []


def test_workers_start_and_stop_without_the_broker(stage: Stage, receiver: Receiver, names: Names) -> None:
    """A worker that starts while the broker is away delivers at once; one that stops hands its users on."""
    third = stage.workers[0].replace("w1@", "w3@")
    users = names("brokerless", 30)
    with stage.broker_is(TcpProxy.shut):
        stage.system.start_worker(third, wait=False)
        until(lambda: third in stage.api.workers_alive(), seconds=SECONDS, what="the third delivers")
        posted = time.monotonic()
        stage.api.bulk([engagement(user, channel=HOOK) for user in users])
        wait_for_accepted(receiver, 30, users)
        assert time.monotonic() - posted <= ADDED_SECONDS
        asked = stage.system.ask_to_stop(third)
        stage.api.bulk([engagement(user, channel=HOOK) for user in users])
        wait_for_accepted(receiver, 60, users)
        assert time.monotonic() - asked <= 2 + ADDED_SECONDS
        process = stage.system.parts[third].process
        assert process is not None
        process.wait(SECONDS)
    assert violations(receiver, users) == []


def test_a_worker_that_is_told_to_stop_waits_for_no_broker_that_hangs(
    stage: Stage, receiver: Receiver, names: Names
) -> None:
    """Its users go on elsewhere at once, and its process ends before a supervisor would kill it."""
    third = stage.workers[0].replace("w1@", "w4@")
    users = names("goodbye", 30)
    stage.system.start_worker(third)
    with stage.broker_is(TcpProxy.hang):
        stage.api.bulk([engagement(user, channel=HOOK) for user in users])
        wait_for_accepted(receiver, 30, users)
        asked = stage.system.ask_to_stop(third)
        stage.api.bulk([engagement(user, channel=HOOK) for user in users])
        wait_for_accepted(receiver, 60, users)
        assert time.monotonic() - asked <= 2 + ADDED_SECONDS
        process = stage.system.parts[third].process
        assert process is not None
        process.wait(SECONDS)
        assert time.monotonic() - asked <= STOPPED_SECONDS
    assert violations(receiver, users) == []


def test_the_embedded_broker_is_killed_and_comes_back(systems: Systems, receiver: Receiver, names: Names) -> None:
    """A SIGKILL in the middle of a stream; nothing else is started again."""
    broker = systems.valkey()
    system = systems.new(broker_url=broker.url)
    system.start("w1@killed-broker", "w2@killed-broker")
    hook = system.hook(receiver)
    users = names("stream", 20)
    ids = system.api.bulk([engagement(user, channel=hook) for _ in range(5) for user in users])
    broker.part.kill()
    ids += [system.api.post(user, channel=hook)["id"] for _ in range(2) for user in users]
    answered = time.monotonic()
    wait_for_accepted(receiver, 140, users)
    assert time.monotonic() - answered <= ADDED_SECONDS
    broker.start()
    stage = Stage(system, TcpProxy("127.0.0.1", broker.port), Broker("valkey", broker.url), ("", ""))
    wait_until_prompt(stage, receiver, names)
    for place, user in enumerate(users):
        assert accepted_ids(receiver, user) == ids[place :: len(users)]
    assert violations(receiver, users) == []
