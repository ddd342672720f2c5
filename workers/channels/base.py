"""What a channel is: the only seam between the engine and the outside world.

A channel of your own takes about 20 lines and no inheritance. This one appends to a file:

    from pathlib import Path

    from workers.channels.base import ChannelConfig, Delivered, Delivery, Failed, Outcome, Retry


    class FileChannel:
        def __init__(self, config: ChannelConfig) -> None:
            self.path = Path(config.url)

        async def deliver(self, delivery: Delivery) -> Outcome:
            if len(delivery.payload) > 10_000:
                return Failed("payload too long for this file")  # never tried again: a dead letter
            try:
                with self.path.open("a") as file:
                    file.write(f"{delivery.id} {delivery.payload}\\n")
            except OSError as error:
                return Retry(str(error))  # tried again in place, until the engagement's deadline
            return Delivered()

        async def aclose(self) -> None:
            pass

Register it by its dotted path in the setting CHANNEL_KINDS:
`CHANNEL_KINDS = {…, "file": "mysite.channels.FileChannel"}`; then create a channel of kind `file`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """One row of the channels table, as a channel sees it. Secrets stay out of its repr."""

    name: str
    kind: str
    url: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Signing secrets, the newest first; more than one while a secret is being rotated."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt's content. The payload stays out of its repr: it may be personal."""

    id: UUID
    user_id: str
    sequence: int | None
    """Only grows within one user; None for an unordered engagement."""
    fencing_token: int | None
    produced_at: datetime
    """Aware."""
    causal_parent: UUID | None
    unordered: bool
    late: bool
    attempt: int
    """1 for the first."""
    payload: str = field(repr=False)
    """The JSON text of one object, as PostgreSQL stores it."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it."""

    answer: str = ""
    """A short excerpt for the record of attempts."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: tried again in place, with backoff, until the engagement's deadline."""

    error: str
    after_seconds: float | None = None
    """What the receiver asked for (not before that); None leaves it to the backoff."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Never: the engagement becomes a dead letter and the next one moves up."""

    error: str


Outcome = Delivered | Retry | Failed


class Channel(Protocol):
    """Delivers engagements of many users at the same time, one at a time for each user.

    One instance per channel and engine, made and closed inside the engine's event loop, which it must not
    block.
    """

    def __init__(self, config: ChannelConfig) -> None:
        """Cheap and without I/O. Raises ValueError for a configuration that cannot work."""

    async def deliver(self, delivery: Delivery) -> Outcome:
        """Attempt it once.

        It is cancelled at the engagement's deadline and when its lease is lost, so it must let CancelledError
        pass and leave nothing behind. An exception counts as Retry.
        """

    async def aclose(self) -> None:
        """Release connections. Nothing is delivered afterwards."""


@runtime_checkable
class ImmediateChannel(Protocol):
    """A channel that never waits may add this; the engine then calls it instead of `deliver`."""

    def deliver_now(self, delivery: Delivery) -> Outcome:
        """As `deliver`, at once: it must return within microseconds, for the loop stands meanwhile."""
