"""The channels of this engine, made from their rows and made anew when a row changes."""

import logging
from collections.abc import Awaitable, Callable, Iterable

from engagements.models import Channel as ChannelRow
from engagements.secrets import secrets_of
from engagements.store.connection import Connection, fetch_dicts
from workers.channels.base import Channel, ChannelConfig, Delivery, Outcome, Retry
from workers.channels.registry import UnusableChannelError, load

logger = logging.getLogger("workers.engine")


class _Unusable:
    """Stands in for a channel that cannot be made: its engagements are retried until somebody mends it."""

    def __init__(self, error: str) -> None:
        self.error = error

    def deliver_now(self, delivery: Delivery) -> Outcome:
        return Retry(self.error)

    async def aclose(self) -> None:
        """Holds nothing."""


class Loaded:
    """A channel ready for use. immediate: it never waits, so it is called by deliver_now and needs no coroutine."""

    __slots__ = ("_channel", "deliver", "deliver_now", "immediate")

    def __init__(self, channel: Channel | _Unusable) -> None:
        self._channel = channel
        self.deliver: Callable[[Delivery], Awaitable[Outcome]] | None = getattr(channel, "deliver", None)
        self.deliver_now: Callable[[Delivery], Outcome] | None = getattr(channel, "deliver_now", None)
        self.immediate = self.deliver_now is not None

    async def close(self) -> None:
        await self._channel.aclose()


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

    def __contains__(self, name: str) -> bool:
        return name in self._channels

    def __getitem__(self, name: str) -> Loaded:
        """Never raises: an unknown channel is one that cannot be used (yet: it may have been created just now)."""
        return self._channels.get(name) or Loaded(_Unusable(f"this worker does not know channel {name!r} yet"))

    async def replace(self, configs: Iterable[ChannelConfig]) -> None:
        """Take over what changed. Attempts that run keep the channel they began with; it is closed a round later."""
        retired, self._retired = self._retired, []
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
                self._channels[config.name] = Loaded(_Unusable(str(error)))
        for channel in retired:
            await channel.close()

    async def close(self) -> None:
        for channel in [*self._retired, *self._channels.values()]:
            await channel.close()
        self._channels.clear()
