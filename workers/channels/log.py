"""The default channel: one line in the log for every delivery."""

import logging

from workers.channels.base import ChannelConfig, Delivered, Delivery, Outcome

logger = logging.getLogger("engagements.delivery")

_DELIVERED = Delivered()


class LogChannel:
    """Logs id, user and sequence at INFO on `engagements.delivery`; never the payload: it may be personal."""

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config

    def deliver_now(self, delivery: Delivery) -> Outcome:
        """Always Delivered. The user id is quoted: it may hold line breaks, which would forge lines."""
        logger.info(
            "delivered id=%s user=%r sequence=%s attempt=%d",
            delivery.id,
            delivery.user_id,
            delivery.sequence,
            delivery.attempt,
        )
        return _DELIVERED

    async def deliver(self, delivery: Delivery) -> Outcome:
        """As `deliver_now`."""
        return self.deliver_now(delivery)

    async def aclose(self) -> None:
        """Holds nothing."""
