"""Pausing everything, and resuming it: one row that whoever claims, settles or sweeps looks at, so that any number of
pipelines stands still at once, new ones included.

Resuming walks through the users in ascending order and moves their deadlines, some hundred per transaction; who stands
behind resumed_to, or is in left_behind because somebody had the pipeline locked, is paused yet. After a crash anywhere
the row says how far it has come, and the next one to look goes on. Unordered engagements know nothing of it.
"""

from dataclasses import dataclass
from datetime import datetime

from engagements.domain.errors import Conflict
from engagements.store.connection import Connection, fetch, fetch_dicts, run

USERS = 500
"""Pipelines resumed per transaction: some tens of milliseconds of row locks."""

RUNS = """
(COALESCE(p.user_id <= (SELECT resumed_to FROM engagements_globalpause), true)
    AND COALESCE(p.user_id <> ALL((SELECT left_behind FROM engagements_globalpause)::text[]), true))
"""
"""The condition that pipeline p is not among those paused with everything; looked up once per statement."""

SINCE = f"(SELECT paused_at FROM engagements_globalpause WHERE NOT {RUNS})"
"""Since when pipeline p is paused with everything; null when it is not."""

_PAUSE = """
INSERT INTO engagements_globalpause (id, paused_at, resuming, resumed_to, left_behind)
VALUES (1, clock_timestamp(), false, '', '{}') ON CONFLICT (id) DO NOTHING
"""

STATE = "SELECT paused_at, resuming FROM engagements_globalpause"

_BEGIN = "UPDATE engagements_globalpause SET resuming = true"

_LOCK = """
SELECT paused_at, resumed_to, left_behind FROM engagements_globalpause WHERE resuming FOR UPDATE SKIP LOCKED
"""

_NEXT = """
SELECT user_id FROM engagements_pipeline
WHERE user_id > %s AND due_at IS NOT NULL ORDER BY user_id LIMIT %s
"""

_LOCK_USERS = """
SELECT user_id, worker FROM engagements_pipeline WHERE user_id = ANY(%s) ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
"""

# One that was paused on its own meanwhile stays so: its deadlines have stood still with everything until then.
_EXTEND = """
UPDATE engagements_engagement e
SET expires_at = e.expires_at + (COALESCE(p.paused_at, clock_timestamp()) - GREATEST(%s, e.received_at))
FROM engagements_pipeline p
WHERE p.user_id = ANY(%s) AND e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
    AND COALESCE(p.paused_at, clock_timestamp()) > GREATEST(%s, e.received_at)
"""

_ADVANCE = "UPDATE engagements_globalpause SET resumed_to = %s, left_behind = %s"

_END = "DELETE FROM engagements_globalpause"


@dataclass(frozen=True, slots=True)
class GlobalPause:
    """paused_at: since when. resuming: it is being undone, user by user."""

    paused_at: datetime
    resuming: bool


@dataclass(frozen=True, slots=True)
class Resumed:
    """worker (None: none) → users who go on; more: whether to call again, now (True) or in a moment (False)."""

    wake: dict[str | None, list[str]]
    more: bool


def state(conn: Connection) -> GlobalPause | None:
    """None while everything runs."""
    rows = fetch(conn, STATE)
    return GlobalPause(*rows[0]) if rows else None


def pause(conn: Connection) -> None:
    """From the commit on, nothing ordered is marked for its attempt or expires. Twice is once.

    Raises Conflict while an earlier pause is being undone.
    """
    run(conn, _PAUSE)
    found = state(conn)
    if found is not None and found.resuming:
        raise Conflict("everything is being resumed at the moment; pause it again when that is done")


def begin_resume(conn: Connection) -> bool:
    """From the commit on, resume_some() may go on; False when nothing is paused."""
    return run(conn, _BEGIN) > 0


def resume_some(conn: Connection) -> Resumed:
    """Let some hundred users go on, every pending deadline moved by the time it stood still, in one transaction.

    Does nothing when nothing is being resumed, or somebody else is at it.
    """
    with conn.transaction():
        rows = fetch(conn, _LOCK)
        if not rows:
            return Resumed({}, more=False)
        paused_at, resumed_to, left_behind = rows[0]
        users: list[str] = []
        if resumed_to is not None:
            users = [user for (user,) in fetch(conn, _NEXT, [resumed_to, USERS])]
        more = len(users) == USERS
        wanted = [*left_behind, *users]
        locked = {row["user_id"]: row["worker"] for row in fetch_dicts(conn, _LOCK_USERS, [wanted])}
        run(conn, _EXTEND, [paused_at, list(locked), paused_at])
        skipped = [user for user in wanted if user not in locked]
        if more or skipped:
            run(conn, _ADVANCE, [users[-1] if more else None, skipped])
        else:
            run(conn, _END)
    wake: dict[str | None, list[str]] = {}
    for user, worker in locked.items():
        wake.setdefault(worker, []).append(user)
    return Resumed(wake, more)
