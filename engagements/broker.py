"""Looking at the broker without ever waiting for it: is it there, and how many messages stand in its queues.

Delivery does not depend on the answers. Each look has its own connection and is bounded as a whole; after a failure the
broker is left alone for a moment.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any, NamedTuple, TypeVar

from celery import current_app
from kombu import Connection

logger = logging.getLogger("engagements")

T = TypeVar("T")

STEP_SECONDS = 0.5
"""For one step of the conversation: a broker on the same network answers in a few milliseconds."""

LOOK_SECONDS = 1.5
"""For a whole look, name resolution included."""

PAUSE_SECONDS = 2.0
"""How long no look is taken after a failure."""

FRESH_SECONDS = 2.0
"""How old what a page shows may be before the broker is asked again."""

PAGE_SECONDS = 0.05
"""How long a page waits for an answer that nothing is known of yet."""

KNOWN_SECONDS = 10.0
"""How long a page goes on showing what the broker said last."""

_NOT_FOUND = 404

_lock = threading.Lock()
_looking: ThreadPoolExecutor | None = None
_silent_until = 0.0
_last_problem = ""
_latest: "tuple[float, Future[dict[str, Look]] | None, dict[str, Look], float]" = (0.0, None, {}, 0.0)
"""When the last look for a page began, that look while it lasts, what is known, and since when."""

_pages = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker-page")


class Unavailable(Exception):
    """The broker did not answer in time; the message says how."""


class Look(NamedTuple):
    """messages: ready in a queue; one that does not exist holds none. consumers: None where it does not tell."""

    messages: int
    consumers: int | None


def looks(queues: Sequence[str]) -> dict[str, Look]:
    """Queue → what the broker tells of it. Raises Unavailable."""

    def look(connection: Connection) -> dict[str, Look]:
        return {queue: _look(connection, queue) for queue in queues}

    return _bounded(look)


def latest(queues: Sequence[str]) -> dict[str, Look]:
    """The same for a page, which a broker must not hold up: what was known a moment ago, while the next look is taken.

    Empty when the broker has not answered lately.
    """
    global _latest
    began, pending, known, known_at = _latest
    if pending is not None and pending.done():
        with contextlib.suppress(Unavailable):
            known, known_at = pending.result(), time.monotonic()
        pending = None
    if pending is None and time.monotonic() >= began + FRESH_SECONDS:
        began, pending = time.monotonic(), _pages.submit(looks, list(queues))
    if pending is not None and time.monotonic() > known_at + FRESH_SECONDS:
        with contextlib.suppress(Unavailable, TookTooLong):
            known, known_at, pending = pending.result(timeout=PAGE_SECONDS), time.monotonic(), None
    _latest = (began, pending, known, known_at)
    return known if time.monotonic() < known_at + KNOWN_SECONDS else {}


def check() -> None:
    """Raises Unavailable."""

    def look(connection: Connection) -> None:
        channel: Any = connection.channel()
        channel.close()

    _bounded(look)


def forget() -> None:
    """Look again at the next call, whatever the last look found."""
    global _silent_until, _latest
    _silent_until = 0.0
    _latest = (0.0, None, {}, 0.0)


def _look(connection: Connection, queue: str) -> Look:
    counts_consumers = connection.transport.driver_type == "amqp"
    channel: Any = connection.channel()
    try:
        found = channel.queue_declare(queue=queue, passive=True)
        return Look(int(found.message_count), int(found.consumer_count) if counts_consumers else None)
    except connection.channel_errors as error:
        if getattr(error, "reply_code", getattr(error, "code", None)) == _NOT_FOUND or "NOT_FOUND" in str(error):
            return Look(0, 0 if counts_consumers else None)
        raise
    finally:
        channel.close()


def _bounded(look: Callable[[Connection], T]) -> T:
    global _looking, _silent_until, _last_problem
    if time.monotonic() < _silent_until:
        raise Unavailable(_last_problem)
    with _lock:
        if _looking is None:
            _looking = ThreadPoolExecutor(max_workers=4, thread_name_prefix="broker-look")
    try:
        return _looking.submit(_converse, look).result(timeout=LOOK_SECONDS)
    except TookTooLong:
        problem = f"no answer within {LOOK_SECONDS} s"
    except Exception as error:  # noqa: BLE001 - whatever a transport raises: the broker is away, as the caller reports
        problem = f"{type(error).__name__}: {error}"
    _last_problem, _silent_until = problem, time.monotonic() + PAUSE_SECONDS
    raise Unavailable(problem)


def _converse(look: Callable[[Connection], T]) -> T:
    connection: Connection = current_app.connection_for_read(connect_timeout=STEP_SECONDS)
    try:
        connection.transport_options = {**(connection.transport_options or {}), **_time_outs(connection)}
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        return look(connection)
    finally:
        connection.release()


def _time_outs(connection: Connection) -> dict[str, Any]:
    driver = connection.transport.driver_type
    if driver == "redis":
        return {"socket_timeout": STEP_SECONDS, "socket_connect_timeout": STEP_SECONDS}
    if driver == "amqp":
        return {"read_timeout": STEP_SECONDS, "write_timeout": STEP_SECONDS}
    return {}
