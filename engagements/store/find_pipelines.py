"""Finding pipelines for people: who is stuck, who waits longest, who is deepest; whatever is asked, a bounded read.

Each search takes its candidates from one index, at most CANDIDATES of them, and filters and sorts these alone:

- users by the beginning of their id: the primary key. Paused: their own small index.
- late: `engagement_late`, the latest first.
- blocked, due, at work, or of one worker: `pipeline_due`, for each worker from both ends: due, and asleep, for longest.
- by channel, or oldest first: `engagement_undelivered`, the pending by arrival, from where the caller says.
- deepest: no index knows the depth, for every settle changes it. The same index again: the oldest pending, and as many
  more evenly spread over the rest. Who holds one in 500 of all that is pending is among them (99 %).

What is looked up for a candidate (its row, its head) is one probe of an index each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from engagements import conf
from engagements.domain.waiting import BLOCKED_SECONDS
from engagements.store.connection import Connection, fetch_dicts
from engagements.store.everything import RUNS
from engagements.store.workers import IS_ALIVE

CANDIDATES = 5_000
"""Pipelines that one search looks at: some tens of milliseconds."""

PENDING_SCAN = 25_000
"""Pending engagements that one search walks through: about as long."""

SPREAD = 3_000
"""Pending engagements looked at for depth beside the oldest: one probe each, at even distances of arrival."""


LAST_CHARACTER = "\U0010ffff"
"""Behind the beginning of an id: no id with this beginning sorts after it."""


class Order(Enum):
    """What the found pipelines are sorted by."""

    USER = "user"
    AGE = "age"
    DEPTH = "depth"


class State(Enum):
    BLOCKED = "blocked"
    UNLEASED = "unleased"
    WORK = "work"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for.

    user: the beginning of user ids. channel: of the head. after: the arrival number to go on from.
    candidates: how many pipelines are looked at, at most; CANDIDATES, unless somebody asks often.
    """

    user: str = ""
    state: State | None = None
    worker: str = ""
    channel: str = ""
    late: bool = False
    order: Order = Order.USER
    after: int = 0
    candidates: int | None = None


class Source(Enum):
    """Where the candidates come from."""

    USERS = "users"
    PAUSED = "paused"
    LATE = "late"
    DUE = "due"
    PENDING = "pending"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Found:
    """users: in the order asked for. bounded: more may match, beyond what was looked at.

    reached: the arrival up to which the pending were walked through, where a further search can go on.
    """

    users: list[str]
    source: Source
    bounded: bool
    reached: int | None


def source_of(search: Search) -> Source:
    """The index that tells most about what is looked for."""
    if search.late:
        return Source.LATE
    if search.user:
        return Source.USERS
    if search.state is State.PAUSED:
        return Source.PAUSED
    if search.state is not None or search.worker:
        return Source.DUE
    if search.channel or search.order is Order.AGE:
        return Source.PENDING
    return Source.SPREAD if search.order is Order.DEPTH else Source.USERS


_OF_USER = "p.user_id >= %(user)s AND p.user_id <= %(user_end)s"

# A range of one value is what keeps the planner to this index.
_PENDING = "status <> 'delivered' AND status >= 'pending' AND status <= 'pending'"

_BY_USER = """
walked AS MATERIALIZED (
    SELECT user_id, 0::bigint AS place FROM engagements_pipeline p WHERE {where} ORDER BY user_id LIMIT {candidates}
), bound AS (
    SELECT count(*) >= {candidates} AS bounded, NULL::bigint AS reached FROM walked
)
"""

# Which workers have work that is not paused, found by hopping along the index; nobody's comes last.
_ALL_WORKERS = """
workers AS MATERIALIZED (
    WITH RECURSIVE hop AS (
        (SELECT worker FROM engagements_pipeline WHERE due_at IS NOT NULL AND paused_at IS NULL ORDER BY worker LIMIT 1)
        UNION ALL
        SELECT (SELECT p.worker FROM engagements_pipeline p
            WHERE p.due_at IS NOT NULL AND p.paused_at IS NULL AND p.worker > hop.worker ORDER BY p.worker LIMIT 1)
        FROM hop WHERE hop.worker IS NOT NULL
    ) SELECT worker FROM hop WHERE worker IS NOT NULL
)
"""

_ONE_WORKER = "workers AS MATERIALIZED (SELECT %(worker)s::text AS worker)"

_DUE = """
{workers}, share AS MATERIALIZED (
    SELECT GREATEST({candidates} / 100, {candidates} / (2 * (SELECT count(*) FROM workers) + {unassigned})) AS most
), walked AS MATERIALIZED (
    SELECT d.user_id, 0::bigint AS place, w.worker, d.due FROM workers w CROSS JOIN LATERAL (
        (SELECT user_id, true AS due FROM engagements_pipeline
            WHERE worker = w.worker AND due_at <= statement_timestamp() AND paused_at IS NULL
            ORDER BY due_at LIMIT (SELECT most FROM share))
        UNION ALL
        (SELECT user_id, false FROM engagements_pipeline
            WHERE worker = w.worker AND due_at > statement_timestamp() AND paused_at IS NULL
            ORDER BY due_at DESC LIMIT (SELECT most FROM share))
    ) d
    UNION ALL
    (SELECT user_id, 0, NULL, true FROM engagements_pipeline
        WHERE {unassigned} = 1 AND worker IS NULL AND due_at IS NOT NULL AND paused_at IS NULL
        ORDER BY due_at LIMIT (SELECT most FROM share))
), bound AS (
    SELECT EXISTS (SELECT FROM walked GROUP BY worker, due HAVING count(*) >= (SELECT most FROM share)) AS bounded,
        NULL::bigint AS reached
)
"""

_BY_ARRIVAL = """
scanned AS MATERIALIZED (
    SELECT user_id, arrival, unordered, channel FROM engagements_engagement
    WHERE {where} ORDER BY {order} LIMIT {scan}
), walked AS MATERIALIZED (
    SELECT user_id, {place} AS place FROM scanned WHERE NOT unordered {residual}
    GROUP BY user_id ORDER BY place LIMIT {candidates}
), bound AS (
    SELECT count(*) >= {scan} OR (SELECT count(*) FROM walked) >= {candidates} AS bounded,
        CASE WHEN (SELECT count(*) FROM walked) >= {candidates} THEN (SELECT max(place) FROM walked)
            WHEN count(*) >= {scan} THEN max(arrival) END AS reached FROM scanned
)
"""

_SPREAD = """
oldest AS MATERIALIZED (
    SELECT user_id, arrival, unordered FROM engagements_engagement
    WHERE {pending} ORDER BY status, arrival LIMIT {candidates}
), ends AS MATERIALIZED (
    SELECT (SELECT max(arrival) FROM oldest) AS low, (SELECT arrival FROM engagements_engagement
        WHERE {pending} ORDER BY status DESC, arrival DESC LIMIT 1) AS high
    WHERE (SELECT count(*) FROM oldest) >= {candidates}
), walked AS MATERIALIZED (
    SELECT user_id, 0::bigint AS place FROM oldest WHERE NOT unordered
    UNION
    SELECT e.user_id, 0 FROM ends CROSS JOIN generate_series(0, {spread} - 1) n CROSS JOIN LATERAL (
        SELECT user_id, unordered FROM engagements_engagement
        WHERE {pending} AND arrival > low + (high - low) * n / {spread} ORDER BY status, arrival LIMIT 1
    ) e WHERE NOT e.unordered
), bound AS (
    SELECT EXISTS (SELECT FROM ends WHERE high > low) AS bounded, NULL::bigint AS reached
)
"""

_HEAD = """
    (SELECT s.channel, s.received_at FROM engagements_engagement s WHERE s.id = p.in_service AND s.status = 'pending')
    UNION ALL
    (SELECT s.channel, s.received_at FROM engagements_engagement s
    WHERE s.user_id = p.user_id AND s.status = 'pending' AND NOT s.unordered ORDER BY s.order_time, s.arrival LIMIT 1)
    LIMIT 1
"""

_LOOK_AT_HEAD = f"LEFT JOIN LATERAL ({_HEAD}) head ON true"

# What domain/waiting.py calls blocked, cheapest first: the last of these reads the head and what was settled before it.
_BLOCKED = f"""
p.due_at IS NOT NULL AND p.paused_at IS NULL AND {RUNS} AND (
    COALESCE(p.worker <> ALL (ARRAY(SELECT name FROM engagements_worker WHERE {IS_ALIVE})), true)
    OR (p.in_service IS NOT NULL AND (p.attempt > 1 OR COALESCE(p.lease_until <= clock_timestamp(), true)))
    OR (p.in_service IS NULL AND p.due_at > clock_timestamp() + %(window)s)
    OR (p.due_at <= clock_timestamp() - interval '{BLOCKED_SECONDS} seconds' AND (
        SELECT GREATEST(h.received_at, CASE WHEN p.in_service IS NOT NULL THEN (
            SELECT b.settled_at FROM engagements_engagement b
            WHERE b.user_id = p.user_id AND b.sequence = p.sequence - 1) END)
        FROM ({_HEAD}) h) <= clock_timestamp() - interval '{BLOCKED_SECONDS} seconds')
)
"""

# Work that should be done now, and for some seconds nobody has been at it: that of a worker that stands still, say.
_UNLEASED = f"""
p.due_at <= clock_timestamp() - interval '{BLOCKED_SECONDS} seconds' AND p.paused_at IS NULL AND {RUNS}
    AND COALESCE(p.lease_until <= clock_timestamp() - interval '{BLOCKED_SECONDS} seconds', true)
"""

_FIND = """
WITH {candidates}, ranked AS MATERIALIZED (
    SELECT p.user_id, row_number() OVER (ORDER BY {order}) AS rank
    FROM walked w CROSS JOIN LATERAL (
        SELECT * FROM engagements_pipeline p WHERE p.user_id = w.user_id OFFSET 0
    ) p {head} WHERE {where}
)
SELECT bounded, reached,
    ARRAY(SELECT user_id FROM ranked ORDER BY rank) AS users
FROM bound
"""


def find(conn: Connection, search: Search) -> Found:
    """What is looked for, in its order, in one statement."""
    source = source_of(search)
    where, order = " AND ".join(_conditions(search, source)) or "true", _order(search, source)
    head = _LOOK_AT_HEAD if "head." in where + order else ""
    sql = _FIND.format(candidates=_candidates(search, source), head=head, where=where, order=order)
    [row] = fetch_dicts(conn, sql, _params(search))
    return Found(row["users"], source, row["bounded"], row["reached"])


def where_of(search: Search) -> tuple[list[str], str, dict[str, Any]]:
    """For a statement over all pipelines p: the conditions (but `late`), a join that they may need, the parameters."""
    where = list(_conditions(search, None))
    return where, _LOOK_AT_HEAD if search.channel else "", _params(search)


def _params(search: Search) -> dict[str, Any]:
    return {
        "user": search.user,
        "user_end": f"{search.user}{LAST_CHARACTER}",
        "worker": search.worker,
        "channel": search.channel,
        "after": search.after,
        "window": conf.reorder_window(),
    }


def _candidates(search: Search, source: Source) -> str:
    match source:
        case Source.USERS:
            sql, parts = _BY_USER, {"where": _OF_USER if search.user else "true"}
        case Source.PAUSED:
            sql, parts = _BY_USER, {"where": "paused_at IS NOT NULL"}
        case Source.DUE if search.worker:
            sql, parts = _DUE, {"workers": _ONE_WORKER, "unassigned": "0"}
        case Source.DUE:
            sql, parts = _DUE, {"workers": _ALL_WORKERS, "unassigned": "1"}
        case Source.LATE:
            sql, parts = (
                _BY_ARRIVAL,
                {"where": "late", "order": "arrival DESC", "place": "-max(arrival)", "residual": ""},
            )
        case Source.PENDING:
            residual = "AND channel = %(channel)s" if search.channel else ""
            where = f"{_PENDING} AND arrival > %(after)s"
            parts = {"where": where, "order": "status, arrival", "place": "min(arrival)", "residual": residual}
            sql = _BY_ARRIVAL
        case Source.SPREAD:
            sql, parts = _SPREAD, {"pending": _PENDING}
    return sql.format(candidates=search.candidates or CANDIDATES, scan=PENDING_SCAN, spread=SPREAD, **parts)


def _conditions(search: Search, source: Source | None) -> Iterator[str]:
    """What the source does not answer by itself; without one, everything."""
    if search.user and source is not Source.USERS:
        yield _OF_USER
    match search.state:
        case State.BLOCKED:
            yield _BLOCKED
        case State.UNLEASED:
            yield _UNLEASED
        case State.WORK:
            yield "p.due_at IS NOT NULL AND p.paused_at IS NULL"
        case State.PAUSED:
            yield "p.paused_at IS NOT NULL"
    if search.worker:
        yield "p.worker = %(worker)s"
    if search.channel:
        yield "head.channel = %(channel)s"


def _order(search: Search, source: Source) -> str:
    match search.order:
        case Order.DEPTH:
            return "p.depth DESC, p.user_id"
        case Order.AGE if source is not Source.PENDING:
            return "head.received_at, p.user_id"
    return "w.place, p.user_id"
