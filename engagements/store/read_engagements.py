"""Reading engagements for people and programs: one by id, and pages in order of arrival.

Index use: every page walks one index backwards or forwards by arrival, chosen here by the most telling filter; the
other filters are applied to what it yields, at most SCAN_LIMIT rows at a time. So no combination of filters costs more
than some tens of milliseconds at any table size; where matches are rarer than that, a page comes back short and says
where to go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engagements.store.connection import Connection, fetch, fetch_dicts

SCAN_LIMIT = 20_000
"""Rows looked at for one page: 10 to 50 ms from memory."""

_COLUMNS = """e.id, e.user_id, e.payload::text AS payload, e.produced_at, e.received_at, e.expires_at, e.settled_at,
    e.order_time, e.held_until, e.arrival, e.status, e.causal_parent, e.unordered, e.channel AS channel_id, e.late,
    COALESCE(e.sequence, s.sequence) AS sequence, GREATEST(e.attempts, s.attempt) AS attempts, e.replays, e.last_error,
    e.timeout_seconds"""

# What is in service has its number and its running attempt in the pipeline's row until it settles.
_IN_SERVICE = """
LEFT JOIN engagements_pipeline s ON s.user_id = e.user_id AND s.in_service = e.id AND e.status = 'pending'
"""

_ONE = f"SELECT {_COLUMNS} FROM engagements_engagement e {_IN_SERVICE} WHERE e.id = %s"

# A range of one value, sorted by it, is what makes the planner keep to the index that starts with that column: for an
# equality it may walk all arrivals instead, which takes seconds when the matches lie far back.
_OF_USER = ("e.user_id >= %(user_id)s AND e.user_id <= %(user_id)s", "user_id {way}, arrival {way}")
_OF_STATUS = (
    "e.status <> 'delivered' AND e.status >= %(status)s AND e.status <= %(status)s",
    "status {way}, arrival {way}",
)
_LATE = ("e.late", "arrival {way}")
_ALL = ("true", "arrival {way}")

_RESIDUAL = {
    "user_id": "e.user_id = %(user_id)s",
    "status": "e.status = %(status)s",
    "channel": "e.channel = %(channel)s",
    "late": "e.late = %(late)s",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """One page's worth, in the order walked. scanned_to: the arrival to go on from when the walk was cut short."""

    rows: list[dict[str, Any]]
    scanned_to: int | None


def one(conn: Connection, id: UUID) -> dict[str, Any] | None:
    """The engagement with this id."""
    rows = fetch_dicts(conn, _ONE, [id])
    return rows[0] if rows else None


def several(conn: Connection, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The engagements with these ids, in any order."""
    return fetch_dicts(conn, _ONE.replace("e.id = %s", "e.id = ANY(%s)"), [list(ids)])


def walk(
    conn: Connection, filters: dict[str, Any], *, start: int | None, forwards: bool, limit: int, scan: int = SCAN_LIMIT
) -> Rows:
    """Up to `limit` engagements after `start`, by arrival: the newest first, or the oldest first when `forwards`.

    filters: of user_id, status, channel, late; only those given.
    """
    way = "ASC" if forwards else "DESC"
    if "user_id" in filters:
        base, order = _OF_USER
        covered = "user_id"
    elif filters.get("status", "delivered") != "delivered":
        base, order = _OF_STATUS
        covered = "status"
    elif filters.get("late"):
        base, order = _LATE
        covered = "late"
    else:
        base, order = _ALL
        covered = ""
    if start is not None:
        base += f" AND e.arrival {'>' if forwards else '<'} %(start)s"
    residual = " AND ".join(_RESIDUAL[name] for name in filters if name != covered)
    walked = f"SELECT * FROM engagements_engagement e WHERE {base} ORDER BY {order.format(way=way)}"
    page = f"SELECT * FROM ({walked} LIMIT {scan if residual else limit}) e WHERE {residual or 'true'} LIMIT {limit}"
    params = {**filters, "start": start}
    rows = fetch_dicts(conn, f"SELECT {_COLUMNS} FROM ({page}) e {_IN_SERVICE} ORDER BY e.arrival {way}", params)
    scanned_to = None
    if residual and len(rows) < limit:
        # The walk ended at the end of the index or at its bound; the row at the bound tells which.
        last = walked.replace("SELECT *", "SELECT e.arrival", 1) + f" OFFSET {scan - 1} LIMIT 1"
        at_bound = fetch(conn, last, params)
        scanned_to = at_bound[0][0] if at_bound else None
    return Rows(rows, scanned_to)
