"""The record of who did what, to what, to how many and why: written in the transaction of the deed itself."""

from collections.abc import Mapping
from uuid import UUID

from engagements.models import AuditEntry

TARGET_LENGTH = 300
REASON_LENGTH = 500
"""Characters kept; a longer reason loses its end rather than the deed."""


def record(
    actor: str, action: str, target: str, *, count: int = 1, reason: str = "", operation: UUID | None = None
) -> None:
    """Add an entry. count: how many engagements, pipelines or channels it concerned."""
    record_each(actor, action, {target: count}, reason=reason, operation=operation)


def record_each(
    actor: str, action: str, counts: Mapping[str, int], *, reason: str = "", operation: UUID | None = None
) -> None:
    """Add an entry for each target, with its count."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            actor=actor,
            action=action,
            target=target[:TARGET_LENGTH],
            count=count,
            reason=reason[:REASON_LENGTH],
            operation=operation,
        )
        for target, count in counts.items()
    )
