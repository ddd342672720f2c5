"""The channels of this engine, made from their rows and made anew when a row changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from engagements.models import Channel as ChannelRow
from engagements.secrets import secrets_of
from engagements.store.connection import Connection, fetch_dicts
from workers.channels.base import Channel, ChannelConfig, Delivery, Failed, Outcome, Retry
from workers.channels.registry import UnusableChannelError, load

logger = logging.getLogger("workers.engine")


UNKNOWN_SECONDS = 3.0
"""How long an attempt waits for a channel that was created just now; to read it takes some milliseconds."""

UNKNOWN_PAUSE_SECONDS = 0.1
"""Between two looks for it."""


class _Unusable:
    """Stands in for a channel that cannot deliver; what it is asked for ends as `outcome` says."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def deliver_now(self, delivery: Delivery) -> Outcome:
        return self.outcome

    async def aclose(self) -> None:
        """Holds nothing."""


class _Unread:
    """Stands in for a channel that was created since the channels were read: its attempts have them read again."""

    def __init__(self, name: str, channels: "ChannelSet") -> None:
        self.name = name
        self.channels = channels

    async def deliver(self, delivery: Delivery) -> Outcome:
        channel = await self.channels.read_again(self.name)
        if channel is None:
            return Retry(f"this worker does not know channel {self.name!r} yet")
        if channel.deliver_now is not None:
            return channel.deliver_now(delivery)
        assert channel.deliver is not None
        channel.running += 1
        try:
            return await channel.deliver(delivery)
        finally:
            channel.running -= 1

    async def aclose(self) -> None:
        """Holds nothing."""


class Loaded:
    """A channel ready for use.

    immediate: it never waits, so it is called by deliver_now and needs no coroutine. running: attempts that use it now.
    """

    __slots__ = ("_channel", "deliver", "deliver_now", "immediate", "running")

    def __init__(self, channel: Channel | _Unusable | _Unread) -> None:
        self._channel = channel
        self.deliver: Callable[[Delivery], Awaitable[Outcome]] | None = getattr(channel, "deliver", None)
        self.deliver_now: Callable[[Delivery], Outcome] | None = getattr(channel, "deliver_now", None)
        self.immediate = self.deliver_now is not None
        self.running = 0

    async def close(self) -> None:
        try:
            await self._channel.aclose()
        except Exception:  # somebody else's code
            logger.exception("a channel could not be closed")


def read_configs(conn: Connection) -> list[ChannelConfig]:
    """All channels; an inactive one still delivers what was accepted for it."""
    rows = fetch_dicts(conn, "SELECT * FROM engagements_channel")
    return [
        ChannelConfig(name=row["name"], kind=row["kind"], url=row["url"], secrets=secrets_of(ChannelRow(**row)))
        for row in rows
    ]


class ChannelSet:
    """Name → channel, inside one event loop."""

    def __init__(self) -> None:
        self._configs: dict[str, ChannelConfig] = {}
        self._channels: dict[str, Loaded] = {}
        self._retired: list[Loaded] = []
        self._read = asyncio.Event()
        self.unread = asyncio.Event()
        """Set while somebody waits for a channel that is not known here: read them now."""

    def __contains__(self, name: str) -> bool:
        return name in self._channels

    def __getitem__(self, name: str) -> Loaded:
        """Never raises: one that is not known has been created since they were read, and is waited for."""
        return self._channels.get(name) or Loaded(_Unread(name, self))

    async def read_again(self, name: str) -> Loaded | None:
        """The channel of that name once the channels have been read again; None if it is not there in time."""
        try:
            async with asyncio.timeout(UNKNOWN_SECONDS):
                while name not in self._channels:
                    self.unread.set()
                    await self._read.wait()
                    if name not in self._channels:
                        await asyncio.sleep(UNKNOWN_PAUSE_SECONDS)
        except TimeoutError:
            return None
        return self._channels[name]

    async def replace(self, configs: Iterable[ChannelConfig]) -> None:
        """Take over what changed. Attempts that run keep the channel they began with; it is closed when they ended.

        A channel that cannot work fails its engagements: waiting would let them expire one by one behind a mistake
        that a person has to mend, and dead letters can be replayed once it is.
        """
        for config in configs:
            if self._configs.get(config.name) == config:
                continue
            if config.name in self._channels:
                self._retired.append(self._channels[config.name])
            self._configs[config.name] = config
            try:
                self._channels[config.name] = Loaded(load(config))
            except UnusableChannelError as error:
                logger.error("%s", error)  # noqa: TRY400 - the message says all
                self._channels[config.name] = Loaded(_Unusable(Failed(str(error))))
            except Exception as error:  # somebody else's code: one channel must not end the engine
                logger.exception("channel %s cannot be made", config.name)
                reason = f"channel {config.name!r} cannot be made: {type(error).__name__}: {error}"
                self._channels[config.name] = Loaded(_Unusable(Failed(reason)))
        self._read.set()
        self._read = asyncio.Event()
        for channel in [channel for channel in self._retired if not channel.running]:
            self._retired.remove(channel)
            await channel.close()

    async def close(self) -> None:
        for channel in [*self._retired, *self._channels.values()]:
            await channel.close()
        self._channels.clear()
