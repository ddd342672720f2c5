"""Publishing to a broker that is down, silent or unknown fails soon: nobody who posts an engagement hangs."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from pytest_django import Settings

from deliveryproject.celery import broker_settings

LIMIT_SECONDS = 6
"""The longest that one publish may take; most of it is one time-out of a few seconds."""


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """It accepts connections (the kernel does, from the backlog) and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield listening.getsockname()[1]


@pytest.mark.parametrize("behaviour", [refusing, silent])
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_publishing_to_a_broken_broker_fails_soon(
    settings: Settings, scheme: str, behaviour: Callable[[], contextlib.AbstractContextManager[int]]
) -> None:
    app = Celery("publisher", set_as_current=False)
    with behaviour() as port:
        settings.BROKER_URL = f"{scheme}://127.0.0.1:{port}/0"
        app.conf.update(broker_settings())
        began = time.monotonic()
        with pytest.raises(OperationalError):
            app.send_task("nothing", queue="nowhere")
        assert time.monotonic() - began < LIMIT_SECONDS


def test_publishing_without_a_broker_says_what_to_do(settings: Settings) -> None:
    app = Celery("publisher", set_as_current=False)
    settings.BROKER_URL = ""
    app.conf.update(broker_settings())
    with pytest.raises(OperationalError, match="run `make up`, or set BROKER_URL"):
        app.send_task("nothing", queue="nowhere")
