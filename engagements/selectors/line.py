"""One user's line and what was settled lately, as people look at it."""

import json
from dataclasses import dataclass
from typing import Any

from engagements.models import Engagement
from engagements.store import read_line
from engagements.store.connection import current
from engagements.store.read_line import FOLLOWERS_COUNTED as FOLLOWERS_COUNTED


@dataclass(frozen=True, slots=True)
class InLine:
    """An engagement in line. served: it is in service. payload: None where it is large; bytes: as PostgreSQL keeps it.

    parent_status, parent_user: empty where the parent is not known. followers: how many wait for it, counted up to one
    more than FOLLOWERS_COUNTED.
    """

    engagement: Engagement
    served: bool
    payload: Any
    bytes: int
    parent_user: str
    parent_status: str
    followers: int


def line(user_id: str, *, limit: int) -> list[InLine]:
    """In the order in which they will be attempted; one statement."""
    return [_in_line(row) for row in read_line.line(current(), user_id, limit=limit)]


def history(user_id: str, *, limit: int, reach: int) -> list[Engagement]:
    """What was settled lately, the latest first; one statement. Without payloads."""
    return [Engagement(**row) for row in read_line.history(current(), user_id, limit=limit, reach=reach)]


def _in_line(row: dict[str, Any]) -> InLine:
    small = row.pop("small")
    return InLine(
        served=row.pop("served"),
        payload=None if small is None else json.loads(small),
        bytes=row.pop("bytes"),
        parent_user=row.pop("parent_user_id") or "",
        parent_status=row.pop("parent_status") or "",
        followers=row.pop("followers"),
        engagement=Engagement(**row),
    )
