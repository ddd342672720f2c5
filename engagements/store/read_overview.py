"""The figures of the overview, in one statement, each a bounded read of an index whatever the size of the tables."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from engagements.store.connection import Connection, fetch_dicts
from engagements.store.everything import RUNS
from engagements.store.read_operations import RUNNING

FIGURE_LIMIT = 10_000
"""Rows that a figure counts: some milliseconds each. What reaches it is "10,000+"."""

FAILED_LOOKED_AT = 1_000
"""Of the failed, the latest by arrival: those that failed lately are among them."""

OVERDUE_SECONDS = 2.0
"""What is pending so long after its deadline should have been swept: a second, and one more for a busy moment."""

FAILED_WITHIN = "1 hour"

# A range of one value keeps the planner to the index of the undelivered.
_OF_STATUS = "status <> 'delivered' AND status >= '{0}' AND status <= '{0}'"

# statement_timestamp, because an index condition needs a time that stands still.
OVERDUE = f"""
SELECT e.id FROM (
    SELECT id, user_id, unordered FROM engagements_engagement
    WHERE status = 'pending' AND expires_at < statement_timestamp() - interval '{OVERDUE_SECONDS} seconds'
    ORDER BY expires_at LIMIT {FIGURE_LIMIT + 1}
) e LEFT JOIN engagements_pipeline p ON p.user_id = e.user_id
WHERE e.unordered OR (p.paused_at IS NULL AND {RUNS})
"""
"""The ids of those that are pending beyond their deadlines, though nothing makes them stand still."""

_FIGURES = f"""
SELECT
    (SELECT count(*) FROM (SELECT FROM engagements_engagement WHERE status = 'pending'
        ORDER BY expires_at LIMIT {FIGURE_LIMIT + 1}) e) AS pending,
    (SELECT count(*) FROM (SELECT FROM engagements_pipeline WHERE due_at IS NOT NULL AND paused_at IS NULL
        ORDER BY worker, due_at LIMIT {FIGURE_LIMIT + 1}) p) AS working,
    (SELECT count(*) FROM (SELECT FROM engagements_pipeline WHERE due_at IS NOT NULL AND paused_at IS NOT NULL
        LIMIT {FIGURE_LIMIT + 1}) p) AS paused,
    (SELECT count(*) FROM ({OVERDUE}) o) AS overdue,
    (SELECT count(*) FROM (SELECT settled_at FROM engagements_engagement WHERE {_OF_STATUS.format("failed")}
        ORDER BY status DESC, arrival DESC LIMIT {FAILED_LOOKED_AT}) f
        WHERE f.settled_at > clock_timestamp() - interval '{FAILED_WITHIN}') AS failed_lately,
    (SELECT paused_at FROM engagements_globalpause) AS everything_paused_at,
    (SELECT GREATEST(date_part('epoch', clock_timestamp() - at), 0) FROM engagements_beattick) AS beat_silent_seconds,
    EXISTS (SELECT FROM engagements_engagement) AS any_engagement, {RUNNING} AS operations,
    oldest.id AS oldest_id, oldest.user_id AS oldest_user_id, oldest.unordered AS oldest_unordered,
    date_part('epoch', clock_timestamp() - oldest.received_at) AS oldest_seconds
FROM (SELECT) one LEFT JOIN LATERAL (
    SELECT id, user_id, unordered, received_at FROM engagements_engagement WHERE {_OF_STATUS.format("pending")}
    ORDER BY status, arrival LIMIT 1
) oldest ON true
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts stop above FIGURE_LIMIT, failed_lately at FAILED_LOOKED_AT. working, paused: pipelines with pending work.

    oldest_…: of the pending engagement that arrived first; None when nothing is pending. beat_silent_seconds: since
    beat's last message; None when there has never been one. operations: those under way, as JSON.
    """

    pending: int
    working: int
    paused: int
    overdue: int
    failed_lately: int
    everything_paused_at: datetime | None
    beat_silent_seconds: float | None
    any_engagement: bool
    operations: str
    oldest_id: UUID | None
    oldest_user_id: str | None
    oldest_unordered: bool | None
    oldest_seconds: float | None


def figures(conn: Connection) -> Figures:
    [row] = fetch_dicts(conn, _FIGURES)
    values: dict[str, Any] = row
    return Figures(**values)
