"""What an engagement was produced in response to, and what was produced in response to it, as a bounded tree."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from engagements.models import Engagement
from engagements.store import read_causes
from engagements.store.connection import current
from engagements.store.read_causes import CHILDREN_COUNTED as CHILDREN_COUNTED

LEVELS = 3
"""Generations that are followed, up and down."""

CHILDREN, GRANDCHILDREN = 6, 3
"""Children shown of the engagement itself, and of each of its descendants."""


@dataclass(slots=True)
class Cause:
    """An engagement in a causal chain. status None: it is not known, or not any more.

    repeated: it stands in the tree already, nearer to the middle: a cycle. waits: it waits for its parent now.
    more: how many of its children are not in `children`; counted up to CHILDREN_COUNTED.
    """

    id: UUID
    user_id: str = ""
    status: str | None = None
    unordered: bool = False
    replays: int = 0
    waits: bool = False
    repeated: bool = False
    children: list["Cause"] = field(default_factory=list)
    more: int = 0


@dataclass(frozen=True, slots=True)
class Causes:
    """above: the chain of parents, the nearest first. further: the ancestor above those, if there is one."""

    above: list[Cause]
    further: UUID | None
    itself: Cause

    @property
    def alone(self) -> bool:
        return not self.above and not self.itself.children


def causes_of(engagement: Engagement) -> Causes:
    """Two statements."""
    conn = current()
    row = {name: getattr(engagement, name) for name in ("id", "user_id", "status", "unordered", "replays")}
    itself = _cause(row)
    above, further = _above(itself, engagement.causal_parent, read_causes.ancestors(conn, itself.id, levels=LEVELS))
    below = read_causes.descendants(conn, itself.id, levels=LEVELS, children=CHILDREN, grandchildren=GRANDCHILDREN)
    _hang(itself, below, seen={itself.id, *(cause.id for cause in above)})
    return Causes(above, further, itself)


def children_of(id: UUID, *, most: int) -> list[Cause]:
    """The first children, by arrival; one statement."""
    return [_cause(row) for row in read_causes.children(current(), id, most=most)]


def _above(itself: Cause, parent: UUID | None, rows: list[dict[str, Any]]) -> tuple[list[Cause], UUID | None]:
    """The chain upwards, and the id of the one above it that is not shown."""
    above: list[Cause] = []
    seen, child = {itself.id}, itself
    for row in rows:
        cause = _cause(row, repeated=row["id"] in seen)
        child.waits = _waits(child, cause)
        above.append(cause)
        if cause.repeated:
            return above, None
        seen.add(cause.id)
        child, parent = cause, row["causal_parent"]
    if parent is None or len(above) == LEVELS:
        return above, parent
    unknown = Cause(parent)
    child.waits = _waits(child, unknown)
    return [*above, unknown], None


def _hang(itself: Cause, rows: list[dict[str, Any]], *, seen: set[UUID]) -> None:
    """Give the rows, which come level by level, to their parents."""
    parents = {(0, itself.id): itself}
    for row in rows:
        parent = parents.get((row["level"] - 1, row["causal_parent"]))
        if parent is None:  # below one that is repeated
            continue
        cause = _cause(row, repeated=row["id"] in seen)
        cause.waits = _waits(cause, parent)
        parent.children.append(cause)
        parent.more = row["siblings"] - len(parent.children)
        if not cause.repeated:
            seen.add(cause.id)
            parents[row["level"], cause.id] = cause


def _cause(row: dict[str, Any], *, repeated: bool = False) -> Cause:
    return Cause(row["id"], row["user_id"], row["status"], row["unordered"], row["replays"], repeated=repeated)


def _waits(child: Cause, parent: Cause) -> bool:
    """A replayed one waits for no parent, and no child waits for it."""
    return child.status == "pending" and parent.status in (None, "pending") and not child.replays + parent.replays
