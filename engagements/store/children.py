"""Waking the children of what has settled, in a transaction of its own after the settle's commit.

Only then does the look-up see every child that could have looked at its parent before; a later child sees the parent
settled. A settle itself never touches another user's pipeline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from engagements.store.connection import Connection, fetch, run

_USERS = """
SELECT DISTINCT user_id FROM engagements_engagement
WHERE causal_parent = ANY(%s) AND status = 'pending'
"""

_LOCK = """
SELECT user_id, worker FROM engagements_pipeline
WHERE user_id = ANY(%s) AND in_service IS NULL AND due_at IS NOT NULL
ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
"""

_WAKE = "UPDATE engagements_pipeline SET due_at = LEAST(due_at, clock_timestamp()) WHERE user_id = ANY(%s)"

# Whoever has it locked may have looked at the parent before it settled, and be about to let the child sleep: what the
# row says about its next look is no reason to leave it out.
_SKIPPED = """
SELECT user_id FROM engagements_pipeline
WHERE user_id = ANY(%s) AND in_service IS NULL AND due_at IS NOT NULL
"""


@dataclass(slots=True)
class Woken:
    """worker (None: none) → users with a child that may go now; busy: locked by somebody, try again soon."""

    wake: dict[str | None, list[str]] = field(default_factory=dict)
    busy: list[str] = field(default_factory=list)


def users_of(conn: Connection, parents: Sequence[UUID]) -> list[str]:
    """The users with a pending child of one of these."""
    return [user for (user,) in fetch(conn, _USERS, [list(parents)])] if parents else []


def wake(conn: Connection, users: Sequence[str]) -> Woken:
    """Let these users' pipelines be looked at now."""
    woken = Woken()
    if not users:
        return woken
    with conn.transaction():
        rows = fetch(conn, _LOCK, [list(users)])
        run(conn, _WAKE, [[user for user, _ in rows]])
    for user, worker in rows:
        woken.wake.setdefault(worker, []).append(user)
    rest = set(users) - {user for user, _ in rows}
    if rest:
        woken.busy = [user for (user,) in fetch(conn, _SKIPPED, [list(rest)])]
    return woken
