"""Whoever can publish to the broker can run tasks: what they can reach by that is a look at users, and nothing else."""

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu import Connection, Exchange

from engagements.wakeups import CHUNK, WAKE_TASK, WAKE_UNORDERED_TASK
from tests.support.system import System, Systems
from tests.support.up import until

WORKER = "w1@forged"

Publish = Callable[..., None]


@pytest.fixture(scope="module")
def system(systems: Systems) -> System:
    started = systems.new()
    started.start(WORKER)
    return started


@pytest.fixture
def publish(system: System) -> Iterator[Publish]:
    """Puts a message of any kind into the worker's own queue."""
    queue = f"deliver.{WORKER}"
    with Connection(system.environment["BROKER_URL"]) as connection:
        producer = connection.Producer()

        def send(body: Any, **options: Any) -> None:
            producer.publish(body, exchange=Exchange(queue, type="direct"), routing_key=queue, **options)

        yield send


@pytest.fixture(autouse=True)
def unharmed(system: System) -> Iterator[None]:
    """Afterwards the same process, in the same life, delivers to everybody within a moment."""
    part = system.parts[WORKER]
    before = part.process
    yield
    user = f"after-{uuid4()}"
    id = system.api.post(user)["id"]
    until(lambda: system.api.status(id) == "delivered", seconds=25, what=f"it delivers\n{part.end_of_log()}")
    assert part.process is before
    assert part.is_running(), part.end_of_log()
    assert system.log(WORKER).count("delivers, incarnation") == 1


def task(name: str, *args: Any, id: str = "", embed: Any = None, headers: Any = None, **kwargs: Any) -> dict[str, Any]:
    """A message as Celery makes them."""
    id = id or str(uuid4())
    return {
        "body": json.dumps([args, kwargs, embed or {}]),
        "headers": {"lang": "py", "task": name, "id": id, "root_id": id, **(headers or {})},
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "correlation_id": id,
    }


HOSTILE: list[Any] = [
    ["a\0b"],
    ["\ud800"],
    ["x" * 201],
    [""],
    [None, 1, 1.5, True],
    [{"user": "a"}],
    [["a"]],
    ["'; DROP TABLE engagements_pipeline; --"],
    ["nobody"] * 10,
    [f"nobody {number}" for number in range(CHUNK * 20)],
    "a string",
    {"a": "b"},
    7,
    None,
]


def test_wake_ups_for_hostile_users_wake_nobody_and_harm_nobody(system: System, publish: Publish) -> None:
    """Also in the midst of good ones."""
    for users in HOSTILE:
        publish(**task(WAKE_TASK, users=users, worker=WORKER))
        mixed = [*users, "ann"] if isinstance(users, list) else users
        publish(**task(WAKE_TASK, users=mixed, worker=WORKER))
        publish(**task(WAKE_TASK, users, users))
        publish(**task(WAKE_UNORDERED_TASK, users))


FORGED: list[dict[str, Any]] = [
    task("os.system", "touch /tmp/harm"),
    task("no.such.task"),
    task(""),
    task("x" * 100_000),
    task("celery.map", {"task": "os.system"}, ["id"]),
    task("celery.chain"),
    task("celery.backend_cleanup"),
    task("celery.chord_unlock", "x", {}),
    task("workers.sweep", "an", "argument"),
    task("workers.sweep"),
    task("workers.delete_old", keep=0),
    task("workers.delete_old"),
    task(WAKE_TASK, users=["ann"], worker=WORKER, headers={"retries": -1, "timelimit": ["x", "y"]}),
    task(WAKE_TASK, users=["ann"], worker=WORKER, headers={"eta": "not a time"}),
    task(WAKE_TASK, users=["ann"], worker=WORKER, headers={"expires": "not a time"}),
    task(WAKE_TASK, users=["ann"], worker=WORKER, embed={"callbacks": "x", "errbacks": [1], "chain": 5, "chord": 7}),
    {"body": "{", "content_type": "application/json", "content_encoding": "utf-8", "headers": {"task": WAKE_TASK}},
    {"body": b"\xff\xfe", "content_type": "application/json", "content_encoding": "utf-8"},
    {"body": "[" * 100_000, "content_type": "application/json", "content_encoding": "utf-8"},
    {"body": "", "content_type": "", "content_encoding": ""},
    {
        "body": "5",
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {"task": WAKE_TASK, "id": "x"},
    },
    {
        "body": "[[], {}, {}]",
        "content_type": "application/json",
        "headers": {"task": WAKE_TASK, "id": "x"},
    },
    {
        "body": json.dumps({"task": WAKE_TASK, "id": 1, "args": 5, "kwargs": []}),
        "content_type": "application/json",
        "content_encoding": "utf-8",
    },
    {"body": "x" * 8_000_000, "content_type": "text/plain", "content_encoding": "utf-8"},
]


def test_what_is_no_task_of_ours_is_thrown_away(publish: Publish) -> None:
    for message in FORGED:
        publish(**message)


class Harm:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "application/json", "application/x-yaml"])
def test_a_pickle_is_not_opened(system: System, publish: Publish, tmp_path: Path, content_type: str) -> None:
    message = task(WAKE_TASK)
    message["body"] = pickle.dumps([[Harm(tmp_path / "harm")], {}, {}])
    publish(**{**message, "content_type": content_type, "content_encoding": "binary"})
    publish(**task(WAKE_TASK, users=["ann"], worker=WORKER))
    assert not (tmp_path / "harm").exists()


def test_remote_control_is_off(system: System) -> None:
    """A message could stop the worker by it, or make it consume other queues."""
    control = Celery(broker=system.environment["BROKER_URL"]).control
    for command in ("shutdown", "pool_restart", "cancel_consumer", "rate_limit"):
        control.broadcast(command, arguments={"queue": f"deliver.{WORKER}"} if command == "cancel_consumer" else {})
    assert control.ping(timeout=1) == []
