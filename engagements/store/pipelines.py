"""Pipelines for those who name them: whether one exists, and creating and locking it to add work (produce, replay)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import TupleRow

from engagements import conf
from engagements.domain.draft import user_id_problem
from engagements.domain.errors import NotFound
from engagements.domain.ring import Ring
from engagements.store.connection import Connection, fetch, send

# One statement creates, locks (ascending by user id) and counts up. A session that runs keeps its worker while that is
# alive, pending work keeps it in any case (the poll moves it if need be); else the ring chooses.
_ENLIST = """
INSERT INTO engagements_pipeline AS p
    (user_id, worker, session_until, lease_token, attempt, sequence, depth, due_at)
SELECT n.user_id, n.worker, clock_timestamp() + %(idle)s, 0, 0, 0, n.depth, clock_timestamp()
FROM unnest(%(users)s::text[], %(workers)s::text[], %(depths)s::int[]) AS n(user_id, worker, depth)
WHERE %(known)s::text IS NULL OR %(known)s::text = current_setting('delivery.known', true)
ORDER BY n.user_id COLLATE "C"
ON CONFLICT (user_id) DO UPDATE SET
    depth = p.depth + EXCLUDED.depth,
    due_at = COALESCE(p.due_at, clock_timestamp()),
    worker = CASE WHEN p.due_at IS NOT NULL OR (p.session_until > clock_timestamp() AND p.worker = ANY(%(alive)s))
        THEN p.worker ELSE EXCLUDED.worker END,
    session_until = CASE WHEN p.due_at IS NOT NULL AND p.session_until IS NULL
        THEN NULL ELSE clock_timestamp() + %(idle)s END
RETURNING p.user_id, p.worker, p.last_order_time, p.timeout_seconds, p.due_at >= statement_timestamp() AS slept,
    p.due_at, clock_timestamp()
"""


@dataclass(slots=True)
class Enlisted:
    """A locked pipeline. slept: nobody is at work on it, so its worker must be woken."""

    worker: str | None
    last_order_time: datetime | None
    timeout_seconds: float | None
    slept: bool
    due_at: datetime


def enlist(conn: Connection, depths: Mapping[str, int], ring: Ring) -> tuple[dict[str, Enlisted], datetime]:
    """Lock the pipelines of these users (user → engagements to come), creating what is missing, and count them up.

    Also PostgreSQL's time once all are locked: later than every receipt and every mark in these pipelines.
    """
    return enlisted(send_enlist(conn, depths, ring))


def send_enlist(
    conn: Connection, depths: Mapping[str, int], ring: Ring, *, known: str | None = None
) -> psycopg.Cursor[TupleRow]:
    """The same without waiting for it, for `enlisted` to read. known: nothing is done unless `delivery.known` says so,
    which a statement before it in this transaction has set."""
    params = {
        "users": list(depths),
        "workers": [ring.worker(user) for user in depths],
        "depths": list(depths.values()),
        "alive": list(ring.workers),
        "idle": timedelta(seconds=conf.session_idle_seconds()),
        "known": known,
    }
    return send(conn, _ENLIST, params)


def enlisted(sent: psycopg.Cursor[TupleRow]) -> tuple[dict[str, Enlisted], datetime]:
    """What became of send_enlist."""
    rows = sent.fetchall()
    return {row[0]: Enlisted(*row[1:6]) for row in rows}, max(row[6] for row in rows)


def must_exist(conn: Connection, user_id: str) -> None:
    """Raises NotFound when this user has no pipeline, as nobody has whose id is none."""
    if user_id_problem(user_id) or not fetch(conn, "SELECT FROM engagements_pipeline WHERE user_id = %s", [user_id]):
        raise NotFound.pipeline(user_id)
