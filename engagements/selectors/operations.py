"""Actions on many, as their pages and the overview show them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from engagements.domain.errors import NotFound
from engagements.domain.ring import UNORDERED_QUEUE
from engagements.models import Operation
from engagements.store import read_operations
from engagements.store.connection import current
from engagements.store.everything import GlobalPause


def without_keys() -> QuerySet[Operation]:
    """What an operation acts on may be megabytes, and is read in slices only."""
    return Operation.objects.defer("keys")


def one(token: UUID) -> Operation:
    """Raises NotFound."""
    found = without_keys().filter(token=token).first()
    if found is None:
        raise NotFound("there is no such operation, or not any more")
    return found


def running() -> list[Operation]:
    """Those under way, the oldest first. One query."""
    return list(without_keys().filter(started_at__isnull=False, finished_at__isnull=True).order_by("started_at"))


def standing() -> tuple[GlobalPause | None, list[Operation]]:
    """Whether everything is paused, and the first of those under way. One query."""
    paused, rows = read_operations.standing(current())
    return paused, from_rows(rows)


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Operation]:
    """What store/read_operations.py tells of those under way."""
    return [Operation(**row) for row in rows]


def handled(operation: Operation) -> int:
    """How many of `total` are behind it."""
    if operation.queue == UNORDERED_QUEUE:
        return operation.done
    return operation.taken - len(operation.busy)
