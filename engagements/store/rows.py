"""New engagements as rows: which times they get under their pipelines' locks, and the statement that stores them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from engagements import conf
from engagements.domain.draft import Draft
from engagements.domain.moves import Status
from engagements.domain.ordering import above, held_until, is_late, order_time
from engagements.store.arrays import blobs, flags, numbers, texts, times, uuids
from engagements.store.connection import Connection, fetch
from engagements.store.pipelines import Enlisted


@dataclass(slots=True)
class Stored:
    """One stored engagement, as its row was written."""

    id: UUID
    draft: Draft
    channel: str
    order_time: datetime
    produced_at: datetime
    received_at: datetime
    expires_at: datetime
    held_until: datetime
    status: Status = Status.PENDING
    late: bool = False
    last_error: str = ""


# Arrival numbers follow the list; rows go in by id, so that two producers of the same ids cannot wait for each other.
_INSERT = """
INSERT INTO engagements_engagement
    (id, user_id, payload, produced_at, received_at, expires_at, settled_at, order_time, held_until, arrival, status,
     causal_parent, unordered, channel, late, lease_token, attempts, replays, last_error, timeout_seconds,
     content_digest)
SELECT n.id, n.user_id, n.payload::jsonb, n.produced_at, n.received_at, n.expires_at,
    CASE WHEN n.status <> 'pending' THEN n.received_at END, n.order_time, n.held_until,
    n.arrival, n.status, n.causal_parent, n.unordered, n.channel, n.late, 0, 0, 0, n.last_error,
    n.timeout_seconds, n.digest
FROM (
    SELECT *, nextval('engagements_arrival') AS arrival
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
        %s::timestamptz[], %s::timestamptz[], %s::text[], %s::uuid[], %s::bool[], %s::text[], %s::bool[], %s::text[],
        %s::float8[], %s::bytea[])
        WITH ORDINALITY AS l(id, user_id, payload, produced_at, received_at, expires_at, order_time, held_until, status,
            causal_parent, unordered, channel, late, last_error, timeout_seconds, digest, place)
    ORDER BY l.place
) n
ORDER BY n.id
ON CONFLICT (id) DO NOTHING
RETURNING id
"""


def rows_of(
    drafts: Mapping[int, Draft], pipelines: Mapping[str, Enlisted], parent_times: Mapping[UUID, datetime], now: datetime
) -> dict[int, Stored]:
    """The drafts (by place in the list) as rows.

    pipelines: those of their users, locked. parent_times: the order times of the parents that are known. now: later
    than every mark in these pipelines.
    """
    window, default_timeout = conf.reorder_window(), conf.pending_timeout_seconds()
    late_expires = conf.late_expires()
    rows: dict[int, Stored] = {}
    for place, draft in drafts.items():
        pipeline = None if draft.unordered else pipelines[draft.user_id]
        timeout = draft.timeout_seconds or (pipeline and pipeline.timeout_seconds) or default_timeout
        time = order_time(
            stated=draft.produced_at,
            received_at=now,
            last_attempted=pipeline.last_order_time if pipeline else None,
            parent=parent_times.get(draft.causal_parent) if draft.causal_parent else None,
        )
        rows[place] = Stored(
            id=draft.id or uuid4(),
            draft=draft,
            channel=draft.channel or conf.DEFAULT_CHANNEL,
            order_time=time,
            produced_at=draft.produced_at or now,
            received_at=now,
            expires_at=now + timedelta(seconds=timeout),
            held_until=now,
        )
    _raise_above_parents_in_list(rows)
    for row in rows.values():
        if row.draft.unordered:
            continue
        row.held_until = held_until(
            stated=row.draft.produced_at is not None,
            order_time=row.order_time,
            received_at=now,
            window=window,
        )
        row.late = is_late(order_time=row.order_time, last_attempted=pipelines[row.draft.user_id].last_order_time)
        if row.late and late_expires:
            row.status = Status.EXPIRED
            row.last_error = "late: arrived after a later engagement had been attempted"
    return rows


def _raise_above_parents_in_list(rows: dict[int, Stored]) -> None:
    """A parent may stand anywhere in the list; ancestors first, without recursion: a chain may be 1,000 long."""
    by_id = {row.id: row for row in rows.values()}
    done: set[UUID] = set()
    for row in rows.values():
        chain: list[Stored] = []
        current: Stored | None = row
        while current is not None and current.id not in done:
            done.add(current.id)
            chain.append(current)
            parent = current.draft.causal_parent
            current = by_id.get(parent) if parent is not None else None
        for child in reversed(chain):
            parent_row = by_id.get(child.draft.causal_parent) if child.draft.causal_parent else None
            if parent_row is not None:
                child.order_time = above(child.order_time, parent_row.order_time)


def insert_rows(conn: Connection, rows: Sequence[Stored]) -> set[UUID]:
    """Store the rows; the ids of those that are new. A transaction that stores one of these ids is waited for."""
    return {id for (id,) in fetch(conn, _INSERT, _columns(rows))}


def _columns(rows: Sequence[Stored]) -> list[str]:
    return [
        uuids([row.id for row in rows]),
        texts([row.draft.user_id for row in rows]),
        texts([row.draft.payload for row in rows]),
        times([row.produced_at for row in rows]),
        times([row.received_at for row in rows]),
        times([row.expires_at for row in rows]),
        times([row.order_time for row in rows]),
        times([row.held_until for row in rows]),
        texts([row.status.value for row in rows]),
        uuids([row.draft.causal_parent for row in rows]),
        flags([row.draft.unordered for row in rows]),
        texts([row.channel for row in rows]),
        flags([row.late for row in rows]),
        texts([row.last_error for row in rows]),
        numbers([row.draft.timeout_seconds for row in rows]),
        blobs([row.draft.digest for row in rows]),
    ]
