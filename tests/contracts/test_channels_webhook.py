"""The webhook channel against a real receiver: what it sends, and what it makes of every kind of answer."""

import asyncio
import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from pytest_django import Settings
from standardwebhooks import Webhook

from tests.contracts.test_channels import SECRET, delivery
from tests.support.receiver import Answer, Drip, Flood, Hang, Raw, Receiver, Reset, redirect
from workers.channels.base import ChannelConfig, Delivered, Delivery, Failed, Outcome, Retry
from workers.channels.webhook import WebhookChannel

OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture(autouse=True)
def private_allowed(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(secrets=(SECRET,)) as receiver:
        yield receiver


def config(receiver: Receiver, *, secrets: tuple[str, ...] = (SECRET,), path: str = "/hook") -> ChannelConfig:
    return ChannelConfig("mine", "webhook", receiver.url(path), secrets)


def outcomes(config: ChannelConfig, *deliveries: Delivery) -> list[Outcome]:
    """Of these deliveries, one after the other, by one channel."""

    async def scenario() -> list[Outcome]:
        channel = WebhookChannel(config)
        try:
            return [await channel.deliver(one) for one in deliveries]
        finally:
            await channel.aclose()

    return asyncio.run(scenario())


def outcome(receiver: Receiver, one: Delivery | None = None) -> Outcome:
    return outcomes(config(receiver), one or delivery())[0]


# --- what is sent


def test_the_body_and_the_headers_are_those_of_the_contract(receiver: Receiver) -> None:
    parent = uuid.uuid4()
    produced_at = datetime(2025, 3, 1, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    one = delivery(
        produced_at=produced_at, causal_parent=parent, late=True, attempt=3, payload='{"a": [1, {"b": "ü"}]}'
    )
    assert outcome(receiver, one) == Delivered("HTTP 200: ok")
    (request,) = receiver.requests
    assert request.method == "POST"
    assert request.path == "/hook"
    assert request.json == {
        "type": "engagement",
        "timestamp": "2025-03-01T10:00:00.000005Z",
        "data": {
            "id": str(one.id),
            "user_id": "ada",
            "sequence": 7,
            "fencing_token": 3,
            "produced_at": "2025-03-01T10:00:00.000005Z",
            "causal_parent": str(parent),
            "unordered": False,
            "late": True,
            "attempt": 3,
            "payload": {"a": [1, {"b": "ü"}]},
        },
    }
    assert request.headers["webhook-id"] == str(one.id)
    assert abs(int(request.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert request.headers["content-type"] == "application/json"
    assert request.verified


def test_an_unordered_engagement_has_neither_sequence_nor_token(receiver: Receiver) -> None:
    assert isinstance(outcome(receiver, delivery(unordered=True)), Delivered)
    (request,) = receiver.requests
    assert request.data["unordered"] is True
    assert request.data["sequence"] is None
    assert request.data["fencing_token"] is None


def test_the_webhook_id_stays_over_retries_and_each_attempt_is_signed(receiver: Receiver) -> None:
    receiver.script(Answer(503), Answer(200), path="/hook")
    one = delivery()
    first, second = outcomes(config(receiver), one, delivery(id=one.id, attempt=2))
    assert isinstance(first, Retry)
    assert isinstance(second, Delivered)
    assert [request.headers["webhook-id"] for request in receiver.requests] == [str(one.id)] * 2
    assert [request.attempt for request in receiver.requests] == [1, 2]
    assert all(request.verified for request in receiver.requests)


def test_while_a_secret_is_rotated_each_of_both_verifies(receiver: Receiver) -> None:
    outcomes(config(receiver, secrets=(SECRET, OLD_SECRET)), delivery())
    (request,) = receiver.requests
    signatures = request.headers["webhook-signature"].split(" ")
    assert len(signatures) == 2
    for secret, signature in zip((SECRET, OLD_SECRET), signatures, strict=True):
        Webhook(secret).verify(request.body, request.headers)
        Webhook(secret).verify(request.body, {**request.headers, "webhook-signature": signature})


def test_a_payload_of_full_size_arrives_whole(receiver: Receiver) -> None:
    payload = json.dumps({"text": "ü" * 32_000}, ensure_ascii=False)
    assert isinstance(outcome(receiver, delivery(payload=payload)), Delivered)
    assert receiver.requests[0].data["payload"] == json.loads(payload)
    assert receiver.requests[0].verified


def test_connections_are_kept_and_no_more_are_made_than_needed(receiver: Receiver) -> None:
    async def scenario() -> None:
        channel = WebhookChannel(config(receiver))
        for _ in range(5):
            await asyncio.gather(*(channel.deliver(delivery(user_id=f"user-{n}")) for n in range(20)))
        await channel.aclose()

    asyncio.run(scenario())
    assert receiver.summary()["requests"] == 100
    assert receiver.summary()["connections"] <= 20


def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.script(Answer(headers={"Set-Cookie": "a=b; Path=/"}), path="/hook")
    # By name: cookie jars drop the cookies of bare addresses anyhow.
    by_name = ChannelConfig("mine", "webhook", f"http://localhost:{receiver.port}/hook", (SECRET,))
    outcomes(by_name, delivery(), delivery())
    assert len(receiver.requests) == 2
    assert "cookie" not in receiver.requests[1].headers


def test_a_proxy_from_the_environment_is_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(outcome(receiver), Delivered)


# --- what an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_2xx_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.script(Answer(status), path="/hook")
    assert isinstance(outcome(receiver), Delivered)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 599])
def test_what_may_pass_is_retried(receiver: Receiver, status: int) -> None:
    receiver.script(Answer(status, body=b"come back later"), path="/hook")
    assert outcome(receiver) == Retry(f"HTTP {status}: come back later", None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 418, 422, 426, 451, 499])
def test_any_other_answer_is_a_dead_letter(receiver: Receiver, status: int) -> None:
    receiver.script(Answer(status, body=b"no"), path="/hook")
    assert outcome(receiver) == Failed(f"HTTP {status}: no")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.script(redirect(receiver.url("/elsewhere"), status), path="/hook")
    result = outcome(receiver)
    assert isinstance(result, Failed)
    assert f"HTTP {status}: a redirect to {receiver.url('/elsewhere')}" in result.error
    assert [request.path for request in receiver.requests] == ["/hook"]


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_in_seconds_is_respected(receiver: Receiver, status: int) -> None:
    receiver.script(Answer(status, headers={"Retry-After": "17"}), path="/hook")
    assert outcome(receiver) == Retry(f"HTTP {status}: ok", 17.0)


def test_retry_after_as_a_date_is_respected(receiver: Receiver) -> None:
    later = datetime.now(UTC) + timedelta(seconds=40)
    receiver.script(Answer(503, headers={"Retry-After": format_datetime(later, usegmt=True)}), path="/hook")
    result = outcome(receiver)
    assert isinstance(result, Retry)
    assert result.after_seconds is not None
    assert 35 <= result.after_seconds <= 42


def test_retry_after_as_a_date_is_read_by_the_receivers_own_clock(receiver: Receiver) -> None:
    there = datetime.now(UTC) - timedelta(days=3)
    headers = {
        "Date": format_datetime(there, usegmt=True),
        "Retry-After": format_datetime(there + timedelta(seconds=40), usegmt=True),
    }
    receiver.script(Answer(503, headers=headers), path="/hook")
    assert outcome(receiver) == Retry("HTTP 503: ok", 40.0)


def test_the_answer_is_recorded_short_and_printable(receiver: Receiver) -> None:
    receiver.script(Answer(400, body=b"a\0b\xff\n\x1b[31m" + b"long " * 1000), path="/hook")
    result = outcome(receiver)
    assert isinstance(result, Failed)
    assert result.error.startswith("HTTP 400: a\ufffdb\ufffd \ufffd[31mlong long ")
    assert len(result.error) < 250


def test_a_compressed_answer_is_not_unfolded(receiver: Receiver) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)
    receiver.script(Answer(200, body=bomb, headers={"Content-Encoding": "gzip"}), path="/hook")
    assert outcome(receiver) == Delivered("HTTP 200")
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", Delivered("HTTP 200: until the end")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbroken off", Delivered("HTTP 200: broken off")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Delivered("HTTP 204")),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nbroken off", Retry("HTTP 500: broken off")),
    ],
)
def test_the_status_decides_even_if_the_rest_is_odd(receiver: Receiver, raw: bytes, expected: Outcome) -> None:
    receiver.script(Raw(raw), path="/hook")
    assert outcome(receiver) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "broken off", "endless head"],
)
def test_no_whole_answer_is_retried(receiver: Receiver, raw: bytes) -> None:
    receiver.script(Raw(raw), path="/hook")
    assert isinstance(outcome(receiver), Retry)


# --- connections that fail


def test_a_refused_connection_is_retried() -> None:
    with Receiver() as receiver:
        gone = config(receiver)
    (result,) = outcomes(gone, delivery())
    assert isinstance(result, Retry)


def test_a_name_that_cannot_be_resolved_is_retried() -> None:
    (result,) = outcomes(ChannelConfig("mine", "webhook", "http://nowhere.invalid/", (SECRET,)), delivery())
    assert isinstance(result, Retry)
    assert "nowhere.invalid" in result.error


def test_a_reset_connection_is_retried_and_never_sent_twice_by_one_attempt(receiver: Receiver) -> None:
    receiver.script(Answer(), Reset(), Answer(), path="/hook")
    first, second, third = outcomes(config(receiver), delivery(), delivery(), delivery())
    assert isinstance(first, Delivered)
    assert isinstance(second, Retry)
    assert isinstance(third, Delivered)
    assert len(receiver.requests) == 3
    assert receiver.requests[1].connection == receiver.requests[0].connection  # the kept one was reset


def test_a_connection_that_the_receiver_closed_meanwhile_is_not_used_again() -> None:
    with Receiver(keepalive_seconds=0.05) as receiver:

        async def scenario() -> list[Outcome]:
            channel = WebhookChannel(config(receiver))
            first = await channel.deliver(delivery())
            await asyncio.to_thread(receiver.wait_for, lambda r: r.open_connections == 0, 10)
            results = [first, await channel.deliver(delivery())]
            await channel.aclose()
            return results

        assert all(isinstance(result, Delivered) for result in asyncio.run(scenario()))
        assert receiver.summary()["connections"] == 2


# --- receivers that hold the sender


def test_a_hung_receiver_is_cut_off_when_the_attempt_is_cancelled(receiver: Receiver) -> None:
    receiver.script(Hang(), path="/hook")

    async def scenario() -> None:
        channel = WebhookChannel(config(receiver))
        attempt = asyncio.ensure_future(channel.deliver(delivery()))
        await asyncio.to_thread(receiver.wait_for, lambda r: len(r.requests) == 1, 10)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await asyncio.to_thread(receiver.wait_for, lambda r: r.requests[0].cut, 10)
        receiver.script(Answer(), path="/hook")
        assert isinstance(await channel.deliver(delivery()), Delivered)
        await channel.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("behaviour", [Hang(), Drip("head")], ids=["hangs", "drips its head"])
def test_the_whole_attempt_has_one_bound(receiver: Receiver, settings: Settings, behaviour: Hang | Drip) -> None:
    settings.WEBHOOK_ATTEMPT_SECONDS = 0.3
    receiver.script(behaviour, path="/hook")
    assert outcome(receiver) == Retry("no answer within 0.3 s")
    receiver.wait_for(lambda r: r.requests[0].cut, 10)


@pytest.mark.parametrize(("status", "kind"), [(200, Delivered), (503, Retry), (404, Failed)], ids=["200", "503", "404"])
@pytest.mark.parametrize("behaviour", [Drip, Flood])
def test_a_body_without_end_holds_nobody(
    receiver: Receiver, behaviour: type[Drip] | type[Flood], status: int, kind: type[Outcome]
) -> None:
    receiver.script(Drip("body", status) if behaviour is Drip else Flood(status), path="/hook")

    async def scenario() -> Outcome:
        channel = WebhookChannel(config(receiver))
        async with asyncio.timeout(5):
            result = await channel.deliver(delivery())
        await asyncio.to_thread(receiver.wait_for, lambda r: r.requests[0].cut, 10)
        await channel.aclose()
        return result

    result = asyncio.run(scenario())
    assert isinstance(result, kind)


def test_users_whose_requests_hang_do_not_hold_the_others(receiver: Receiver) -> None:
    for n in range(50):
        receiver.script(Hang(), user=f"hung-{n}")

    async def scenario() -> None:
        channel = WebhookChannel(config(receiver))
        hung = [asyncio.ensure_future(channel.deliver(delivery(user_id=f"hung-{n}"))) for n in range(50)]
        await asyncio.to_thread(receiver.wait_for, lambda r: len(r.requests) == 50, 10)
        results = await asyncio.gather(*(channel.deliver(delivery(user_id=f"well-{n}")) for n in range(200)))
        assert all(isinstance(result, Delivered) for result in results)
        assert not any(attempt.done() for attempt in hung)
        receiver.release()
        assert all(isinstance(result, Delivered) for result in await asyncio.gather(*hung))
        await channel.aclose()

    asyncio.run(scenario())
