"""What an action on many concerns: which pipelines match, how many engagements that is, a sample, whose children wait.

Index use: matching walks the pipelines, or the small index that a condition names, for as long as a page may take
(patience.py); counting probes one row per key; unordered ones are counted along their own index, up to a bound.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engagements.store import everything
from engagements.store.connection import Connection, fetch, fetch_dicts
from engagements.store.everything import GlobalPause
from engagements.store.find_pipelines import Search, where_of

COUNTED = 1_000_000
"""Unordered engagements that are counted: some hundred milliseconds. Beyond it is "more than"."""

PARENTS = 5_000
"""Pending engagements whose waiting children a confirmation counts: some ten milliseconds."""

SAMPLE = 5

_LATE = "p.user_id = ANY(ARRAY(SELECT user_id FROM engagements_engagement WHERE late GROUP BY user_id))"

_MATCH = "SELECT p.user_id FROM engagements_pipeline p {head} WHERE {where} ORDER BY p.user_id LIMIT %(most)s"

_OF_USERS = """
SELECT count(*), COALESCE(sum(depth), 0)::bigint FROM engagements_pipeline
WHERE user_id = ANY(%s) AND due_at IS NOT NULL
"""

_OF_KEYS = """
SELECT count(*), COALESCE(sum(p.depth), 0)::bigint
FROM engagements_operation o CROSS JOIN unnest(o.keys) AS k(user_id)
JOIN engagements_pipeline p ON p.user_id = k.user_id COLLATE "C" AND p.due_at IS NOT NULL WHERE o.token = %s
"""

_OF_WORKER = """
SELECT count(*), COALESCE(sum(depth), 0)::bigint FROM engagements_pipeline WHERE worker = %s AND due_at IS NOT NULL
"""

_UNORDERED = """
SELECT count(*) FROM (SELECT FROM engagements_engagement WHERE status = 'pending' AND unordered LIMIT %s) e
"""

_KEYS = "SELECT keys[%(first)s:%(last)s] FROM engagements_operation WHERE token = %(token)s"

_DEEPEST = (
    "SELECT user_id, depth FROM engagements_pipeline WHERE user_id = ANY(%s) ORDER BY depth DESC, user_id LIMIT %s"
)

# Those that are not paused stand in one index by their worker, the paused in another.
_SOME_OF_WORKER = """
(SELECT user_id FROM engagements_pipeline
    WHERE worker = %(worker)s AND due_at IS NOT NULL AND paused_at IS NULL LIMIT %(limit)s)
UNION ALL
(SELECT user_id FROM engagements_pipeline
    WHERE worker = %(worker)s AND due_at IS NOT NULL AND paused_at IS NOT NULL LIMIT %(limit)s)
LIMIT %(limit)s
"""

_ENGAGEMENTS = """
SELECT e.id, e.user_id, e.received_at, e.status FROM unnest(%s::uuid[]) WITH ORDINALITY AS k(id, place)
JOIN engagements_engagement e USING (id) ORDER BY k.place
"""

_OLDEST_UNORDERED = """
SELECT id, user_id, received_at, status FROM engagements_engagement WHERE status = 'pending' AND unordered
ORDER BY arrival LIMIT %s
"""

# Only of users whose own line is not purged as well: those go with it. One probe of an index for each parent, which is
# what OFFSET 0 keeps the planner to.
_CHILDREN = """
WITH parent AS MATERIALIZED ({parents} LIMIT %(parents)s)
SELECT (SELECT count(*) FROM parent) >= %(parents)s AS bounded, (
    SELECT count(*) FROM parent CROSS JOIN LATERAL (
        SELECT FROM engagements_engagement c
        WHERE c.causal_parent = parent.id AND c.status = 'pending' AND {others} OFFSET 0
    ) child) AS children
"""

_IN_LINE = """
SELECT e.id FROM engagements_pipeline p JOIN engagements_engagement e
    ON e.user_id = p.user_id AND e.status = 'pending' AND NOT e.unordered
WHERE p.user_id = ANY(%(users)s) AND p.due_at IS NOT NULL
"""

_FREE = "SELECT id FROM engagements_engagement WHERE status = 'pending' AND unordered"


_WAITING = """
SELECT EXISTS (SELECT FROM engagements_operation WHERE started_at IS NOT NULL AND finished_at IS NULL)
"""


RUNNING_SHOWN = 5
"""Operations under way that other pages tell of; their own list has the others."""

RUNNING = f"""
(SELECT COALESCE(json_agg(o ORDER BY o.started_at), '[]')::text FROM (
    SELECT token, action, scope, actor, queue, total, taken, done, busy, started_at FROM engagements_operation
    WHERE started_at IS NOT NULL AND finished_at IS NULL ORDER BY started_at LIMIT {RUNNING_SHOWN}
) o)
"""
"""Those under way as JSON, to be a column of a statement that a page needs anyway."""

_STANDING = f"SELECT (SELECT to_json(g)::text FROM ({everything.STATE}) g), {RUNNING}"


class Load(NamedTuple):
    """Pipelines with pending work, and how many engagements are pending in them."""

    pipelines: int
    engagements: int


@dataclass(frozen=True, slots=True)
class One:
    """An engagement of a sample."""

    id: UUID
    user_id: str
    received_at: datetime
    status: str


@dataclass(frozen=True, slots=True)
class Children:
    """How many pending ones of others wait for what is purged; bounded: at least."""

    number: int
    bounded: bool


def waiting(conn: Connection) -> bool:
    """Whether any operation is under way."""
    return bool(fetch(conn, _WAITING)[0][0])


def standing(conn: Connection) -> tuple[GlobalPause | None, list[dict[str, Any]]]:
    """Whether everything is paused, and what is under way, as RUNNING tells it; in one statement."""
    [(paused, running)] = fetch(conn, _STANDING)
    found = json.loads(paused) if paused else None
    pause = GlobalPause(datetime.fromisoformat(found["paused_at"]), found["resuming"]) if found else None
    return pause, json.loads(running)


def match(conn: Connection, search: Search, *, busy: bool = False, paused: bool | None = None, most: int) -> list[str]:
    """The users of all pipelines that a list's search and filters mean, ascending, the first `most`.

    busy: only with pending work. paused: only those that are, or are not. The order and `after` of the search mean
    nothing here.
    """
    where, head, params = where_of(search)
    if search.late:
        where.append(_LATE)
    if busy:
        where.append("p.due_at IS NOT NULL")
    if paused is not None:
        where.append(f"p.paused_at IS {'NOT ' if paused else ''}NULL")
    sql = _MATCH.format(head=head, where=" AND ".join(where) or "true")
    return [user for (user,) in fetch(conn, sql, {**params, "most": most})]


def of_users(conn: Connection, users: Sequence[str]) -> Load:
    """What is pending of these users."""
    return Load(*fetch(conn, _OF_USERS, [list(users)])[0])


def of_keys(conn: Connection, token: UUID) -> Load:
    """The same of the users that an operation names."""
    return Load(*fetch(conn, _OF_KEYS, [token])[0])


def of_worker(conn: Connection, worker: str) -> Load:
    """The same of a worker's users."""
    return Load(*fetch(conn, _OF_WORKER, [worker])[0])


def unordered(conn: Connection) -> int:
    """How many unordered are pending; one more than COUNTED: more than those."""
    return int(fetch(conn, _UNORDERED, [COUNTED + 1])[0][0])


def keys(conn: Connection, token: UUID, *, after: int, limit: int) -> list[str]:
    """The next of what an operation names, behind the first `after`."""
    found = fetch(conn, _KEYS, {"token": token, "first": after + 1, "last": after + limit})
    return list(found[0][0]) if found else []


def deepest(conn: Connection, users: Sequence[str]) -> list[tuple[str, int]]:
    """A sample of these users, with their depth."""
    return [(user, depth) for user, depth in fetch(conn, _DEEPEST, [list(users), SAMPLE])]


def some_of_worker(conn: Connection, worker: str, *, limit: int) -> list[str]:
    """Some of a worker's users with pending work."""
    return [user for (user,) in fetch(conn, _SOME_OF_WORKER, {"worker": worker, "limit": limit})]


def engagements(conn: Connection, ids: Sequence[str]) -> list[One]:
    """A sample of these, in their order."""
    return [One(**row) for row in fetch_dicts(conn, _ENGAGEMENTS, [list(ids)])]


def oldest_unordered(conn: Connection) -> list[One]:
    return [One(**row) for row in fetch_dicts(conn, _OLDEST_UNORDERED, [SAMPLE])]


def children_of_users(conn: Connection, users: Sequence[str]) -> Children:
    """Who waits for what is pending of these users, and is not one of them."""
    return _children(conn, _IN_LINE, users=list(users))


def children_of_unordered(conn: Connection) -> Children:
    return _children(conn, _FREE)


def _children(conn: Connection, parents: str, **params: Any) -> Children:
    others = "c.user_id <> ALL(%(users)s)" if "users" in params else "true"
    sql = _CHILDREN.format(parents=parents, others=others)
    [(bounded, number)] = fetch(conn, sql, {**params, "parents": PARENTS})
    return Children(number, bounded)
