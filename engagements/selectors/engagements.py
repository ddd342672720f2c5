"""Engagements as the API and the admin show them: one in service has its sequence and its running attempt."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engagements.domain.errors import NotFound
from engagements.models import Engagement
from engagements.store import read_engagements
from engagements.store.connection import current


@dataclass(frozen=True, slots=True)
class Page:
    """newer, older: the arrival numbers from which the neighbouring pages go on; None at the ends."""

    engagements: list[Engagement]
    newer: int | None
    older: int | None


def engagement(id: UUID) -> Engagement:
    """Raises NotFound."""
    row = read_engagements.one(current(), id)
    if row is None:
        raise NotFound(f"there is no engagement {id}")
    return _engagement(row)


def engagements(ids: Sequence[UUID]) -> dict[UUID, Engagement]:
    """Those of the ids that exist."""
    return {row["id"]: _engagement(row) for row in read_engagements.several(current(), ids)}


def page(filters: dict[str, Any], *, start: int | None, towards_newer: bool, size: int) -> Page:
    """Newest first, whichever way the list is walked.

    filters: of user_id, status, channel, late; only those given. A page may be short while more follow: the walk is
    bounded, and goes on with the next page.
    """
    found = read_engagements.walk(current(), filters, start=start, forwards=towards_newer, limit=size + 1)
    rows, more = found.rows[:size], len(found.rows) > size
    onward = rows[-1]["arrival"] if more else found.scanned_to
    back = None
    if start is not None:  # an empty page leads back to the row it started behind
        back = rows[0]["arrival"] if rows else start + (1 if towards_newer else -1)
    if towards_newer:
        rows.reverse()
        return Page([_engagement(row) for row in rows], newer=onward, older=back)
    return Page([_engagement(row) for row in rows], newer=back, older=onward)


def _engagement(row: dict[str, Any]) -> Engagement:
    return Engagement(**{**row, "payload": json.loads(row["payload"])})
