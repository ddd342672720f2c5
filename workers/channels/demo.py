"""The channel of `manage.py demo`: a receiver inside the worker that is slow or refuses on demand, and reaches nothing.

The payload says how: `{"receiver": {"seconds": 1.5, "refusals": 2}}` takes 1.5 s for each attempt and refuses the first
two. Whoever posts to it delays nobody but that one user, and no longer than until the deadline.
"""

import asyncio
import json

from workers.channels.base import ChannelConfig, Delivered, Delivery, Outcome, Retry

LONGEST_SECONDS = 3600.0
"""No engagement waits longer, and a greater number might be none that a timer takes."""


class DemoChannel:
    """Takes everything in the end and keeps nothing."""

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Retry for the first `refusals` attempts, then Delivered; each after `seconds`."""
        behaviour = json.loads(delivery.payload).get("receiver")
        await asyncio.sleep(min(_number(behaviour, "seconds"), LONGEST_SECONDS))
        if delivery.attempt <= _number(behaviour, "refusals"):
            return Retry("the receiver is not ready yet")
        return Delivered()

    async def aclose(self) -> None:
        """Holds nothing."""


def _number(behaviour: object, name: str) -> float:
    """0 for whatever is no number: a payload may hold anything."""
    value = behaviour.get(name) if isinstance(behaviour, dict) else None
    return value if isinstance(value, int | float) else 0
