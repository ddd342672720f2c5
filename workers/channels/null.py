"""The channel that goes nowhere: for measuring what delivery itself costs."""

from workers.channels.base import ChannelConfig, Delivered, Delivery, Outcome

_DELIVERED = Delivered()


class NullChannel:
    """Takes everything and keeps nothing."""

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config

    def deliver_now(self, delivery: Delivery) -> Outcome:
        """Always Delivered."""
        return _DELIVERED

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Always Delivered."""
        return _DELIVERED

    async def aclose(self) -> None:
        """Holds nothing."""
