"""The webhook channel: one POST per attempt."""

import asyncio
import resource
import time
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from engagements import conf
from engagements.domain.webhook_address import RefusedAddressError, check_address, check_url
from workers.channels.base import ChannelConfig, Delivery, Failed, Outcome, Retry
from workers.channels.webhook.body import body_of
from workers.channels.webhook.guard import Guard
from workers.channels.webhook.signature import Signer
from workers.channels.webhook.verdict import http_date, printable, retry_after_seconds, verdict

ANSWER_BYTES = 65_536
"""Read of an answer at most; a longer one costs its connection."""

ANSWER_SECONDS = 1.0
"""For the body after the status has come. The status is the answer; the rest serves the record and frees the
connection for the next request, so nobody waits long for it."""

IDLE_SECONDS = 4.0
"""A connection that idled longer is closed before the receiver does it: most servers wait 5 s or more."""

CONNECTIONS = 5000
"""To one receiver at most. One that hangs for some users must not use up the connections of the others, so
this should lie above the number of users in flight."""

SPARE_FILES = 200
"""File descriptors left for PostgreSQL, the broker, logs and the rest of the process."""


class WebhookChannel:
    """POSTs engagements, signed, to one URL over connections that are kept.

    One `deliver` is at most one request, also where a kept connection turns out to be dead: whether the
    receiver got that request is unknown, so it is an attempt like any other, recorded, and repeated after the
    usual backoff. The setting WEBHOOK_ATTEMPT_SECONDS bounds the whole attempt: name look-up, connection, request and
    answer. By default that is half the pending time-out, so that a request lost on the way leaves time for a second
    one; the engagement's own deadline, which the engine keeps, may cut earlier.

    A refused address is Failed and not Retry: waiting would let the user's engagements expire one by one
    behind a mistake that a person has to mend, and dead letters can be replayed once it is.
    """

    def __init__(self, config: ChannelConfig, *, guard: Guard | None = None) -> None:
        """guard: decides about addresses; when None, as WEBHOOK_ALLOW_PRIVATE says. Raises ValueError."""
        allow_private = bool(conf.get("WEBHOOK_ALLOW_PRIVATE"))
        self._attempt_seconds = float(conf.get("WEBHOOK_ATTEMPT_SECONDS"))
        self._guard = guard or Guard(None if allow_private else check_address)
        self._session: aiohttp.ClientSession | None = None
        check_url(config.url, allow_private=True)
        self._url = URL(config.url)
        self._signer = Signer(config.secrets)

    async def deliver(self, delivery: Delivery) -> Outcome:
        """2xx: Delivered; 408, 425, 429, 5xx, connection error, time-out: Retry; anything else: Failed."""
        try:
            async with asyncio.timeout(self._attempt_seconds):
                return await self._post(delivery)
        except TimeoutError:
            return Retry(f"no answer within {self._attempt_seconds:g} s")
        except RefusedAddressError as error:
            return Failed(str(error))
        except aiohttp.InvalidURL as error:
            return Failed(printable(f"the URL cannot be used: {error}"))
        except aiohttp.ClientResponseError as error:
            return Retry(printable(f"the answer is not HTTP: {error.message}"))
        except (aiohttp.ClientError, OSError) as error:
            return Retry(printable(str(error) or type(error).__name__))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, delivery: Delivery) -> Outcome:
        body = body_of(delivery)
        response = await (self._session or self._open()).post(
            self._url,
            data=body.encode(),
            headers=self._signer.headers(str(delivery.id), body, now=time.time()),
            allow_redirects=False,
        )
        try:
            excerpt = await _excerpt(response)
        finally:
            response.close()  # drops the connection if the answer was not read to its end
        if response.status < 300:
            return verdict(response.status, excerpt=excerpt)
        headers = response.headers
        return verdict(
            response.status,
            excerpt=excerpt,
            retry_after=retry_after_seconds(
                headers.get("Retry-After"), now=http_date(headers.get("Date")) or datetime.now(UTC)
            ),
            location=printable(headers.get("Location", "")),
        )

    def _open(self) -> aiohttp.ClientSession:
        """The session, made at first use because it belongs to the running loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._guard,
                socket_factory=self._guard.open_socket,
                limit=_connections(),
                keepalive_timeout=IDLE_SECONDS,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "ordered-delivery/1",
                "Accept-Encoding": "identity",
            },
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # deliver() bounds the whole
            auto_decompress=False,  # a small compressed answer could unfold to gigabytes
            trust_env=False,  # a proxy from the environment would connect where the guard cannot see
        )
        return self._session


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The start of the answer, for the record; reads on to the end if that is near."""
    content, start, size = response.content, b"", 0
    # An answer that breaks off changes nothing: the status has come, and it decides.
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        if content.is_eof():  # the usual case: a short answer came together with its head
            start = content.read_nowait()[:1024]
        else:
            async with asyncio.timeout(ANSWER_SECONDS):
                while size < ANSWER_BYTES and (chunk := await content.readany()):
                    start = start or chunk[:1024]
                    size += len(chunk)
    if not start or "Content-Encoding" in response.headers:
        return ""
    return printable(start.decode("utf-8", "replace"))


def _connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(50, min(CONNECTIONS, soft - SPARE_FILES))
