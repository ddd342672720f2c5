"""Every kind of channel keeps the same contract, the example of its documentation included."""

import asyncio
import inspect
import logging
import textwrap
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from pytest_django import Settings

from engagements import conf
from tests.support.receiver import Receiver
from workers.channels import base
from workers.channels.base import Channel, ChannelConfig, Delivered, Delivery, ImmediateChannel
from workers.channels.registry import UnusableChannelError, load

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KINDS = [*sorted(conf.DEFAULTS["CHANNEL_KINDS"]), "example"]

Make = Callable[[], Channel]


def delivery(**changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": uuid.uuid4(),
        "user_id": "ada",
        "sequence": 7,
        "fencing_token": 3,
        "produced_at": datetime.now(UTC),
        "causal_parent": None,
        "unordered": False,
        "late": False,
        "attempt": 1,
        "payload": '{"title": "confidential"}',
    }
    return Delivery(**{**fields, **changes})


def documented_example() -> type[Channel]:
    """The class in the docstring of workers/channels/base.py, as a reader would copy it."""
    text = inspect.getdoc(base) or ""
    start = text.index("    from pathlib")
    code = textwrap.dedent(text[start : text.index("\nRegister it")])
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102 (it is our own documentation that is tried)
    assert len(code.strip().splitlines()) <= 30
    return cast(type[Channel], namespace["FileChannel"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(secrets=(SECRET,), check_sequence=True) as receiver:
        yield receiver


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, receiver: Receiver, settings: Settings, tmp_path: Path) -> Make:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    if request.param == "example":
        return lambda: documented_example()(ChannelConfig("mine", "example", str(tmp_path / "file")))
    return lambda: load(ChannelConfig("mine", request.param, receiver.url("/hook"), (SECRET,)))


SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "unordered": {"unordered": True, "sequence": None, "fencing_token": None},
    "late child, second attempt": {"late": True, "causal_parent": uuid.uuid4(), "attempt": 2},
    "user of any characters": {"user_id": 'ünïcode "quoted"\n/../%00 \u2028 😀'},
    "long user": {"user_id": "x" * 200},
    "empty payload": {"payload": "{}"},
    "payload of many scripts": {"payload": '{"text": "שלום 😀 \u2028 \\u0001", "n": [1e400, -0.0, null]}'},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_engagement_is_delivered(make: Make, shape: str) -> None:
    async def scenario() -> None:
        channel = make()
        outcome = await channel.deliver(delivery(**SHAPES[shape]))
        await channel.aclose()
        assert isinstance(outcome, Delivered), outcome

    asyncio.run(scenario())


def test_many_users_are_delivered_at_the_same_time(make: Make) -> None:
    async def scenario() -> None:
        channel = make()
        outcomes = await asyncio.gather(
            *(channel.deliver(delivery(user_id=f"user-{n}", sequence=n)) for n in range(100))
        )
        await channel.aclose()
        assert all(isinstance(outcome, Delivered) for outcome in outcomes)

    asyncio.run(scenario())


def test_a_cut_attempt_ends_at_once_and_leaves_the_channel_usable(make: Make) -> None:
    async def scenario() -> None:
        channel = make()
        for turns in range(8):  # cut at different stages: before the start, while connecting, while sending …
            attempt = asyncio.ensure_future(channel.deliver(delivery(user_id="cut", sequence=turns)))
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.cancel()
            async with asyncio.timeout(1):
                (outcome,) = await asyncio.gather(attempt, return_exceptions=True)
            assert isinstance(outcome, Delivered | asyncio.CancelledError), outcome
        assert isinstance(await channel.deliver(delivery()), Delivered)
        await channel.aclose()

    asyncio.run(scenario())


def test_a_channel_that_was_never_used_closes(make: Make) -> None:
    async def scenario() -> None:
        await make().aclose()

    asyncio.run(scenario())


def test_what_can_be_delivered_without_waiting_has_the_same_outcome(make: Make) -> None:
    async def scenario() -> None:
        channel = make()
        one = delivery()
        if isinstance(channel, ImmediateChannel):
            assert channel.deliver_now(one) == await channel.deliver(one)
        await channel.aclose()

    asyncio.run(scenario())


def test_neither_payload_nor_secret_reaches_the_log(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        channel = make()
        await channel.deliver(delivery())
        await channel.aclose()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(scenario())
    assert "confidential" not in caplog.text
    assert SECRET[6:] not in caplog.text


def test_the_log_has_one_line_per_delivery(caplog: pytest.LogCaptureFixture) -> None:
    one = delivery(user_id="forged\nline")

    async def scenario() -> None:
        channel = load(ChannelConfig("log", "log"))
        await channel.deliver(one)
        await channel.aclose()

    with caplog.at_level(logging.INFO, logger="engagements.delivery"):
        asyncio.run(scenario())
    (line,) = [record.getMessage() for record in caplog.records if record.name == "engagements.delivery"]
    assert line == f"delivered id={one.id} user='forged\\nline' sequence=7 attempt=1"


def test_a_representation_shows_neither_payload_nor_secret() -> None:
    assert "confidential" not in repr(delivery())
    assert SECRET not in repr(ChannelConfig("mine", "webhook", "https://example.com", (SECRET,)))


def test_a_kind_is_registered_by_its_dotted_path(settings: Settings) -> None:
    settings.CHANNEL_KINDS = {"mine": "workers.channels.null.NullChannel"}
    assert type(load(ChannelConfig("one", "mine"))).__name__ == "NullChannel"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ChannelConfig("one", "carrier-pigeon"), "CHANNEL_KINDS .known: .*log"),
        (ChannelConfig("one", "lost"), "cannot be imported"),
        (ChannelConfig("one", "webhook", "ftp://example.com", (SECRET,)), "must start with https"),
        (ChannelConfig("one", "webhook", "https://user@example.com", (SECRET,)), "user name"),
        (ChannelConfig("one", "webhook", "https://example.com", ()), "needs a signing secret"),
        (ChannelConfig("one", "webhook", "https://example.com", ("whsec_",)), "signing secret"),
        (ChannelConfig("one", "webhook", "https://example.com", ("whsec_é",)), "signing secret"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(config: ChannelConfig, message: str, settings: Settings) -> None:
    settings.CHANNEL_KINDS = {**conf.DEFAULTS["CHANNEL_KINDS"], "lost": "nowhere.at.all"}
    with pytest.raises(UnusableChannelError, match=message):
        load(config)


def test_a_delivery_and_a_configuration_cannot_be_changed() -> None:
    one = delivery()
    assert replace(one, attempt=2).attempt == 2
    with pytest.raises(AttributeError):
        one.attempt = 2  # type: ignore[misc]
