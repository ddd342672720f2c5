"""A webhook connects to nothing that was not checked: literal addresses, names, and names that change."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pytest_django import Settings

from engagements.domain.webhook_address import RefusedAddressError, check_address
from tests.contracts.test_channels import SECRET, delivery
from tests.support.certificates import Certificates, make_certificates
from tests.support.receiver import Receiver
from workers.channels.base import ChannelConfig, Delivered, Failed, Outcome, Retry
from workers.channels.webhook import WebhookChannel
from workers.channels.webhook.guard import Check, Guard


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


class Names:
    """A name server whose answers are given one after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def outcome(url: str, *, names: Names | None = None, check: Check | None = check_address) -> Outcome:
    async def scenario() -> Outcome:
        channel = WebhookChannel(ChannelConfig("mine", "webhook", url, (SECRET,)), guard=Guard(check, lookup=names))
        try:
            return await channel.deliver(delivery())
        finally:
            await channel.aclose()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.168.0.1",
        "224.0.0.1",
        "0.0.0.0",  # noqa: S104
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00::1]",
        "[2002:7f00:1::]",
    ],
)
def test_a_literal_address_is_refused_though_no_resolver_is_asked(receiver: Receiver, address: str) -> None:
    names = Names(["1.1.1.1"])
    result = outcome(f"http://{address}:{receiver.port}/", names=names)
    assert isinstance(result, Failed)
    assert "is refused as a webhook address" in result.error
    assert names.asked == []
    assert receiver.summary()["connections"] == 0


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["2606:4700:4700::1111", "10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["fe80::1%lo"],
    ],
)
def test_a_name_that_leads_inside_is_refused_as_a_whole(receiver: Receiver, addresses: list[str]) -> None:
    result = outcome(f"http://hooks.example:{receiver.port}/", names=Names(addresses))
    assert isinstance(result, Failed)
    assert "WEBHOOK_ALLOW_PRIVATE=1" in result.error
    assert receiver.summary()["connections"] == 0


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST"])
def test_the_systems_names_of_this_machine_are_refused(receiver: Receiver, host: str) -> None:
    result = outcome(f"http://{host}:{receiver.port}/")
    assert isinstance(result, Failed | Retry)  # Retry where the system does not know the spelling at all
    assert receiver.summary()["connections"] == 0


def test_the_setting_decides(receiver: Receiver, settings: Settings) -> None:
    def by_setting() -> Outcome:
        async def scenario() -> Outcome:
            channel = WebhookChannel(ChannelConfig("mine", "webhook", receiver.url(), (SECRET,)))
            result = await channel.deliver(delivery())
            await channel.aclose()
            return result

        return asyncio.run(scenario())

    settings.WEBHOOK_ALLOW_PRIVATE = False
    assert isinstance(by_setting(), Failed)
    settings.WEBHOOK_ALLOW_PRIVATE = True
    assert isinstance(by_setting(), Delivered)


def test_the_name_is_kept_in_the_host_header(receiver: Receiver) -> None:
    result = outcome(f"http://hooks.example:{receiver.port}/", names=Names(["127.0.0.1"]), check=None)
    assert isinstance(result, Delivered)
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_a_name_that_changes_between_check_and_connection_gains_nothing() -> None:
    """The first answer passes the check, every later one leads to a receiver that must not be reached."""

    def only_the_first(address: str) -> None:
        if address != "127.0.0.1":
            raise RefusedAddressError(f"{address} is refused")

    with Receiver() as outside, Receiver(host="127.0.0.2", port=outside.port) as inside:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        url = f"http://hooks.example:{outside.port}/"
        assert isinstance(outcome(url, names=names, check=only_the_first), Delivered)
        assert names.asked == ["hooks.example"]  # resolved once: what was checked was connected to
        assert outcome(url, names=names, check=only_the_first) == Failed("127.0.0.2 is refused")
        assert outside.summary()["connections"] == 1
        assert inside.summary()["connections"] == 0


def test_a_receiver_that_is_down_at_one_of_its_addresses_is_reached_at_the_other(receiver: Receiver) -> None:
    names = Names(["127.0.0.9", "127.0.0.1"])
    assert isinstance(outcome(f"http://hooks.example:{receiver.port}/", names=names, check=None), Delivered)


def test_a_name_server_that_hangs_costs_the_attempt_and_nobody_else(receiver: Receiver, settings: Settings) -> None:
    settings.WEBHOOK_ATTEMPT_SECONDS = 0.3

    async def hangs(host: str, port: int) -> Sequence[str]:
        await asyncio.get_running_loop().create_future()
        return []

    async def scenario() -> None:
        slow = WebhookChannel(
            ChannelConfig("slow", "webhook", "http://hooks.example/", (SECRET,)), guard=Guard(lookup=hangs)
        )
        well = WebhookChannel(ChannelConfig("well", "webhook", receiver.url(), (SECRET,)), guard=Guard(None))
        held = asyncio.ensure_future(slow.deliver(delivery()))
        assert isinstance(await well.deliver(delivery()), Delivered)
        assert await held == Retry("no answer within 0.3 s")
        await slow.aclose()
        await well.aclose()

    asyncio.run(scenario())


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"), "hooks.example")


def tls(certificates: Certificates, asked_for: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.sni_callback = lambda _connection, name, _context: asked_for.append(name)
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(certificates: Certificates) -> None:
    with Receiver(tls=tls(certificates, [])) as receiver:
        result = outcome(f"https://hooks.example:{receiver.port}/", names=Names(["127.0.0.1"]), check=None)
        assert isinstance(result, Retry)
        assert "certificate" in result.error
        assert receiver.requests == []


DELIVER_ONE = """
import asyncio, sys
from django.conf import settings
settings.configure()
from tests.contracts.test_channels_webhook_guard import Names, outcome
print(type(outcome(sys.argv[1], names=Names(["127.0.0.1"]), check=None)).__name__)
"""


@pytest.mark.parametrize(("host", "expected"), [("hooks.example", "Delivered"), ("other.example", "Retry")])
def test_tls_is_checked_against_the_name_and_not_the_address(
    certificates: Certificates, host: str, expected: str
) -> None:
    asked_for: list[str | None] = []
    with Receiver(tls=tls(certificates, asked_for)) as receiver:
        run = subprocess.run(
            [sys.executable, "-c", DELIVER_ONE, f"https://{host}:{receiver.port}/"],
            env={**os.environ, "SSL_CERT_FILE": str(certificates.authority)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.stdout.strip() == expected, run.stderr
        assert asked_for == [host]
        assert [json.loads(request.body)["type"] for request in receiver.requests] == (
            ["engagement"] if expected == "Delivered" else []
        )
