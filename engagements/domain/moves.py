"""The statuses of an engagement and every legal change of them."""

from enum import Enum, StrEnum


class Status(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    FAILED = "failed"
    PURGED = "purged"

    @property
    def settled(self) -> bool:
        return self is not Status.PENDING


class Move(Enum):
    """Every legal change of status. The statements in store/ make them, each on the condition of the move's source."""

    DELIVER = (Status.PENDING,), Status.DELIVERED
    EXPIRE = (Status.PENDING,), Status.EXPIRED
    FAIL = (Status.PENDING,), Status.FAILED
    PURGE = (Status.PENDING,), Status.PURGED
    REPLAY = (Status.FAILED, Status.EXPIRED), Status.PENDING

    @property
    def sources(self) -> tuple[Status, ...]:
        sources: tuple[Status, ...] = self.value[0]
        return sources

    @property
    def target(self) -> Status:
        target: Status = self.value[1]
        return target

    def allowed_from(self, status: Status) -> bool:
        return status in self.sources
