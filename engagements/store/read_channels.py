"""How the channels have done lately: bounded reads of the latest attempts and of what is pending.

No index of the attempts knows the channel: twenty thousand a second are written, and each would pay for it. The latest
of all channels are read instead, backwards along the primary key, each with a look at its engagement.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engagements.store.connection import Connection, fetch, fetch_dicts

ATTEMPTS_LOOKED_AT = 5_000
"""The latest of all channels together: some twenty milliseconds."""

PENDING_LOOKED_AT = 10_000
"""Of the pending, those that expire first: some milliseconds."""

# OFFSET 0: one look-up by primary key for each attempt; a join could be planned as a walk over all engagements.
# An attempt that a stopping worker cut off says nothing about the receiver.
_RECENT = f"""
WITH latest AS MATERIALIZED (
    SELECT id, engagement_id, outcome, started_at, duration_seconds FROM engagements_attempt
    ORDER BY id DESC LIMIT {ATTEMPTS_LOOKED_AT}
), told AS (
    SELECT a.*, e.channel, a.started_at > statement_timestamp() - %(span)s AS within
    FROM latest a
    CROSS JOIN LATERAL (SELECT channel FROM engagements_engagement WHERE id = a.engagement_id OFFSET 0) e
    WHERE a.outcome <> 'interrupted'
), sums AS (
    SELECT channel,
        count(*) FILTER (WHERE within) AS attempts,
        count(*) FILTER (WHERE within AND outcome = 'delivered') AS delivered,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_seconds) FILTER (WHERE within) AS p50_seconds,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_seconds) FILTER (WHERE within) AS p95_seconds,
        max(started_at) FILTER (WHERE outcome = 'delivered') AS last_success_at,
        max(id) FILTER (WHERE outcome <> 'delivered') AS error_id
    FROM told GROUP BY channel
), reach AS (SELECT count(*) AS looked_at, min(started_at) AS reached FROM latest)
SELECT looked_at, reached, sums.channel, attempts, delivered, p50_seconds, p95_seconds, last_success_at,
    l.started_at + l.duration_seconds * interval '1 second' AS error_at, l.outcome AS error_outcome,
    l.answer AS error, l.engagement_id AS error_engagement
FROM reach LEFT JOIN sums ON true LEFT JOIN engagements_attempt l ON l.id = sums.error_id
"""

# Only of those that failed the engagement is looked up.
_ERRORS = f"""
SELECT a.engagement_id, e.user_id, a.number, a.outcome, a.answer, a.duration_seconds, a.worker,
    a.started_at + a.duration_seconds * interval '1 second' AS ended_at
FROM (SELECT * FROM engagements_attempt ORDER BY id DESC LIMIT {ATTEMPTS_LOOKED_AT}) a
CROSS JOIN LATERAL (SELECT user_id, channel FROM engagements_engagement WHERE id = a.engagement_id OFFSET 0) e
WHERE a.outcome NOT IN ('delivered', 'interrupted') AND e.channel = %s
ORDER BY a.id DESC LIMIT %s
"""

_PENDING = f"""
SELECT channel, count(*), count(*) FILTER (WHERE last_error <> '') FROM (
    SELECT channel, last_error FROM engagements_engagement WHERE status = 'pending'
    ORDER BY expires_at LIMIT {PENDING_LOOKED_AT + 1}
) p GROUP BY channel
"""


@dataclass(frozen=True, slots=True)
class Recent:
    """Of one channel: its attempts within the span, and the last success and error, however long ago.

    All among the attempts that were looked at.
    """

    channel: str
    attempts: int
    delivered: int
    p50_seconds: float | None
    p95_seconds: float | None
    last_success_at: datetime | None
    error_at: datetime | None
    error_outcome: str | None
    error: str | None
    error_engagement: UUID | None


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt that delivered nothing."""

    engagement_id: UUID
    user_id: str
    number: int
    outcome: str
    answer: str
    duration_seconds: float
    worker: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for one channel. retrying: those of them whose last attempt failed."""

    engagements: int
    retrying: int


@dataclass(frozen=True, slots=True)
class Latest:
    """The attempts that were looked at: how many, since when, and what they tell of each channel among them."""

    looked_at: int
    reached: datetime | None
    by_channel: dict[str, Recent]


def latest(conn: Connection, *, span: timedelta) -> Latest:
    """span: of what successes and durations are told."""
    rows = fetch_dicts(conn, _RECENT, {"span": span})
    looked_at, reached = rows[0]["looked_at"], rows[0]["reached"]
    told = [{name: value for name, value in row.items() if name not in ("looked_at", "reached")} for row in rows]
    return Latest(looked_at, reached, {row["channel"]: Recent(**row) for row in told if row["channel"] is not None})


def errors(conn: Connection, channel: str, *, limit: int) -> list[FailedAttempt]:
    """The latest of this channel that delivered nothing, among the attempts that are looked at."""
    rows: list[dict[str, Any]] = fetch_dicts(conn, _ERRORS, [channel, limit])
    return [FailedAttempt(**row) for row in rows]


def pending(conn: Connection) -> tuple[dict[str, Pending], bool]:
    """By channel, and whether there is more than was looked at."""
    rows = fetch(conn, _PENDING)
    found = {channel: Pending(number, retrying) for channel, number, retrying in rows}
    return found, sum(one.engagements for one in found.values()) > PENDING_LOOKED_AT
