"""How much of an answer the webhook channel reads: told by whether its connection can be used again."""

import asyncio
import gzip
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.contracts.test_channels import SECRET, delivery
from tests.support.receiver import Answer, Receiver
from workers.channels.base import ChannelConfig, Delivered
from workers.channels.webhook import WebhookChannel
from workers.channels.webhook.channel import ANSWER_BYTES


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    with Receiver(secrets=(SECRET,)) as receiver:
        yield receiver


def connections_for_two(receiver: Receiver, answer: Answer) -> int:
    """How many connections two deliveries take, one after the other, that are answered like this."""
    receiver.script(answer, path="/hook")

    async def scenario() -> None:
        channel = WebhookChannel(ChannelConfig("mine", "webhook", receiver.url("/hook"), (SECRET,)))
        try:
            for _ in range(2):
                assert isinstance(await channel.deliver(delivery()), Delivered)
        finally:
            await channel.aclose()

    asyncio.run(scenario())
    return len({request.connection for request in receiver.requests})


def test_a_long_answer_is_read_to_its_end(receiver: Receiver) -> None:
    assert connections_for_two(receiver, Answer(200, body=b"x" * (ANSWER_BYTES // 2))) == 1


def test_an_answer_beyond_64_kib_is_dropped_with_its_connection(receiver: Receiver) -> None:
    """However fast it comes: a megabyte takes less than the second that an answer has."""
    assert ANSWER_BYTES == 64 * 1024
    assert connections_for_two(receiver, Answer(200, body=b"x" * 1_000_000)) == 2


def test_a_compressed_answer_is_read_as_it_comes(receiver: Receiver) -> None:
    """Ten kilobytes that would unfold to ten megabytes are ten kilobytes."""
    bomb = gzip.compress(b"x" * 10_000_000)
    assert len(bomb) < ANSWER_BYTES // 2
    assert connections_for_two(receiver, Answer(200, body=bomb, headers={"Content-Encoding": "gzip"})) == 1
