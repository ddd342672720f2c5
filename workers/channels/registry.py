"""From a channel's kind to its class."""

from typing import cast

from django.utils.module_loading import import_string

from engagements import conf
from workers.channels.base import Channel, ChannelConfig


class UnusableChannelError(Exception):
    """A channel cannot be made; the message says what to change."""


def load(config: ChannelConfig) -> Channel:
    """The channel of that configuration, by the dotted path that the setting CHANNEL_KINDS has for its kind.

    To be called inside the event loop that will use it. Raises UnusableChannelError.
    """
    kinds = conf.channel_kinds()
    path = kinds.get(config.kind)
    if path is None:
        known = ", ".join(sorted(kinds))
        raise UnusableChannelError(
            f"channel {config.name!r} is of kind {config.kind!r}, which this worker does not know; "
            f"add it to CHANNEL_KINDS (known: {known})"
        )
    try:
        return cast(type[Channel], import_string(path))(config)
    except ImportError as error:
        raise UnusableChannelError(
            f"channel kind {config.kind!r} cannot be imported: {error}; mend its path in CHANNEL_KINDS"
        ) from error
    except ValueError as error:
        raise UnusableChannelError(f"channel {config.name!r} cannot work: {error}") from error
