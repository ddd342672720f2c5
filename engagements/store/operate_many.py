"""The same as operate.py does, to some hundred pipelines in one transaction that waits for nobody.

Who is busy, because a caller's open transaction has locked the pipeline, is left out and named: others must not stand
still for it. `in_line` waits for one of those, alone.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from engagements.domain.moves import Move, Status
from engagements.domain.ring import Ring
from engagements.store import operate
from engagements.store.connection import Connection, fetch, fetch_dicts
from engagements.store.crowd import in_line as in_line
from engagements.store.pipelines import enlist

LIGHT = 5_000
"""Pending engagements that one transaction moves, unless a single pipeline holds more: some hundred milliseconds."""


@dataclass(slots=True)
class Done:
    """What became of a batch.

    number: engagements settled or replayed, pipelines paused or resumed. counts: the same by what it concerned, a user
    or a replayed engagement. settled: the engagements purged. busy: the keys left out (users, or engagements to be
    replayed). refused: engagement → why not. wake: worker → users. unordered: some of those are to be announced.
    """

    number: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    settled: list[UUID] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    refused: dict[UUID, str] = field(default_factory=dict)
    wake: dict[str | None, list[str]] = field(default_factory=dict)
    unordered: bool = False


_DEPTHS = "SELECT user_id, depth FROM engagements_pipeline WHERE user_id = ANY(%s)"

_LOCK_FREE = """
SELECT user_id, worker, depth, paused_at, in_service FROM engagements_pipeline
WHERE user_id = ANY(%s) ORDER BY user_id FOR NO KEY UPDATE SKIP LOCKED
"""

_KNOWN = "SELECT user_id FROM engagements_pipeline WHERE user_id = ANY(%s)"

_OWNERS = "SELECT id, user_id, unordered FROM engagements_engagement WHERE id = ANY(%s)"

_LOCK_ENGAGEMENTS = """
SELECT id, user_id, status, unordered FROM engagements_engagement WHERE id = ANY(%s) ORDER BY id FOR UPDATE
"""


def light(conn: Connection, users: Sequence[str]) -> list[str]:
    """The first of these users, as many as one transaction takes well; at least one."""
    depths: dict[str, int] = dict(fetch(conn, _DEPTHS, [list(users)]))
    taken: list[str] = []
    weight = 0
    for user in users:
        weight += depths.get(user, 0)
        if taken and weight > LIGHT:
            break
        taken.append(user)
    return taken


def purge(conn: Connection, users: Sequence[str], *, upto: int = operate.LAST) -> Done:
    """Settle as purged what is pending of these users and arrived up to that number."""
    rows, busy = _locked(conn, users)
    purged = operate.purge_locked(conn, rows, upto=upto)
    return Done(
        number=len(purged.owners),
        counts=Counter(purged.owners.values()),
        settled=purged.ids,
        busy=busy,
        wake=purged.wake,
    )


def pause(conn: Connection, users: Sequence[str]) -> Done:
    """Pause those that are not."""
    rows, busy = _locked(conn, users)
    paused = operate.pause_locked(conn, [row["user_id"] for row in rows])
    return Done(number=len(paused), counts=dict.fromkeys(paused, 1), busy=busy)


def resume(conn: Connection, users: Sequence[str]) -> Done:
    """Resume those that are paused, every pending deadline moved by the time it stood still."""
    rows, busy = _locked(conn, users)
    paused = [row for row in rows if row["paused_at"] is not None]
    users = [row["user_id"] for row in paused]
    operate.resume_locked(conn, users)
    done = Done(number=len(paused), counts=dict.fromkeys(users, 1), busy=busy)
    for row in paused:
        if row["depth"]:
            done.wake.setdefault(row["worker"], []).append(row["user_id"])
    return done


def replay(conn: Connection, ids: Sequence[UUID], ring: Ring, *, behind: Collection[str] = ()) -> Done:
    """Give the failed and expired ones of these a new life, those of one user in the order of their arrival.

    behind: users to be left out as if they were busy, since an earlier one of theirs was.
    """
    found = {id: (user, unordered) for id, user, unordered in fetch(conn, _OWNERS, [list(ids)])}
    users = {user for user, unordered in found.values() if not unordered}
    _, busy = _locked(conn, users - set(behind))
    free = users - set(behind) - set(busy)
    done = Done(refused={id: "it is no longer known" for id in ids if id not in found})
    done.busy = [str(id) for id in ids if id in found and not found[id][1] and found[id][0] not in free]
    wanted = [id for id, (user, unordered) in found.items() if unordered or user in free]
    ready: list[dict[str, Any]] = []
    for row in fetch_dicts(conn, _LOCK_ENGAGEMENTS, [wanted]):
        if Move.REPLAY.allowed_from(Status(row["status"])):
            ready.append(row)
        else:
            done.refused[row["id"]] = f"it is {row['status']}; only a failed or expired one can be replayed"
    depths = Counter(row["user_id"] for row in ready if not row["unordered"])
    if depths:
        pipelines, _ = enlist(conn, depths, ring)
        for user, pipeline in pipelines.items():
            done.wake.setdefault(pipeline.worker, []).append(user)
    operate.replay_locked(conn, [row["id"] for row in ready])
    done.number = len(ready)
    done.counts = {str(row["id"]): 1 for row in ready}
    done.unordered = len(ready) > sum(depths.values())
    return done


def owners(conn: Connection, ids: Sequence[UUID]) -> dict[str, str]:
    """Engagement → user, of those that are in line and known."""
    return {str(id): user for id, user, unordered in fetch(conn, _OWNERS, [list(ids)]) if not unordered}


def _locked(conn: Connection, users: Collection[str]) -> tuple[list[dict[str, Any]], list[str]]:
    rows = fetch_dicts(conn, _LOCK_FREE, [list(users)])
    rest = set(users) - {row["user_id"] for row in rows}
    return rows, sorted(_known(conn, rest))


def _known(conn: Connection, users: Collection[str]) -> set[str]:
    return {user for (user,) in fetch(conn, _KNOWN, [list(users)])} if users else set()
