"""The record of who did what, to what, to how many and why: written in the transaction of the deed itself."""

from engagements.models import AuditEntry

TARGET_LENGTH = 300
REASON_LENGTH = 500
"""Characters kept; a longer reason loses its end rather than the deed."""


def record(actor: str, action: str, target: str, *, count: int = 1, reason: str = "") -> None:
    """Add an entry. count: how many engagements, pipelines or channels it concerned."""
    AuditEntry.objects.create(
        actor=actor, action=action, target=target[:TARGET_LENGTH], count=count, reason=reason[:REASON_LENGTH]
    )
