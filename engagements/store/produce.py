"""Storing new engagements: one transaction, set-based, callable inside the caller's own.

Lock order: pipelines ascending by user id (one INSERT … ON CONFLICT that creates and locks), then engagements.
Order of arrival, receipt and lateness are decided under the pipelines' locks, so that two producers of one user agree.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from engagements import conf
from engagements.domain.causality import in_cycle
from engagements.domain.draft import Draft
from engagements.domain.errors import EngagementsError, IdReused, Invalid
from engagements.domain.ordering import FUTURE_TOLERANCE
from engagements.domain.ring import Ring
from engagements.store.ancestors import ancestors
from engagements.store.connection import Connection, fetch, pipeline, run, send
from engagements.store.pipelines import Enlisted, enlist, enlisted, send_enlist
from engagements.store.rows import Stored, insert_rows, rows_of


@dataclass(slots=True)
class Produced:
    """What became of a list of drafts, and who has to be woken once it is committed.

    outcomes: one per draft, in order: the row, "duplicate" of an id, or the error that refused it.
    wake: worker (None: none alive) → users whose pipeline slept. named: new ids that the producer chose, so that a
    child may have come before: it sorts after its parent now, and what stood behind it can move up.
    """

    outcomes: list["Stored | Duplicate | EngagementsError"]
    wake: dict[str | None, list[str]] = field(default_factory=dict)
    unordered: list[UUID] = field(default_factory=list)
    named: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same id and content came before."""

    id: UUID


# Also leaves behind how many are known: ENLIST, which may be on its way already, does nothing if some are missing.
_FACTS = """
SELECT clock_timestamp(), known.names, set_config('delivery.known', cardinality(known.names)::text, true)
FROM (SELECT ARRAY(SELECT name FROM engagements_channel WHERE (active OR %s) AND name = ANY(%s)) AS names) known
"""

_KNOWN = "SELECT id, content_digest, order_time FROM engagements_engagement WHERE id = ANY(%s)"

_REFERENCED = "SELECT EXISTS (SELECT FROM engagements_engagement WHERE causal_parent = ANY(%s))"

# A waiting pipeline is looked at as soon as the newcomer allows; one that retries its head keeps its time.
_LOOK_SOONER = """
UPDATE engagements_pipeline p SET due_at = n.due_at
FROM unnest(%s::text[], %s::timestamptz[]) AS n(user_id, due_at)
WHERE p.user_id = n.user_id AND p.in_service IS NULL AND p.due_at > n.due_at
"""

_TAKE_BACK_DEPTH = """
UPDATE engagements_pipeline p SET depth = p.depth - n.excess,
    due_at = CASE WHEN p.depth = n.excess THEN NULL ELSE p.due_at END
FROM unnest(%s::text[], %s::int[]) AS n(user_id, excess)
WHERE p.user_id = n.user_id
"""


def insert(
    conn: Connection, drafts: Sequence[Draft | EngagementsError], ring: Ring, *, switched_off: bool = False
) -> Produced:
    """Store the drafts in list order; must run inside a transaction.

    switched_off: channels that are not active take them as well.
    An error in the list is handed through as the outcome of its place. A crash before the commit leaves nothing.
    """
    return _Insertion(conn, drafts, ring, switched_off=switched_off).run()


def check(conn: Connection, drafts: Sequence[Draft | EngagementsError]) -> list[Duplicate | EngagementsError | None]:
    """What `insert` would answer to these drafts now; None for what it would store. Reads and locks nothing."""
    return _Insertion(conn, drafts, Ring([])).check()


class _Insertion:
    def __init__(
        self,
        conn: Connection,
        drafts: Sequence[Draft | EngagementsError],
        ring: Ring,
        *,
        switched_off: bool = False,
    ) -> None:
        self.conn = conn
        self.ring = ring
        self.switched_off = switched_off
        self.outcomes: list[Stored | Duplicate | EngagementsError | None] = [
            draft if isinstance(draft, EngagementsError) else None for draft in drafts
        ]
        self.open = {place: draft for place, draft in enumerate(drafts) if isinstance(draft, Draft)}
        self.parent_times: dict[UUID, datetime] = {}
        self.repeats: dict[int, int] = {}
        self.repeated: dict[int, Draft] = {}

    def check(self) -> list[Duplicate | EngagementsError | None]:
        self._sort_out()
        for place, first in self.repeats.items():
            if first in self.open:
                self.outcomes[place] = _judge(self.repeated[place], self.open[first].digest)
            else:
                self.outcomes[place] = self.outcomes[first]
        return [outcome if not isinstance(outcome, Stored) else None for outcome in self.outcomes]

    def _sort_out(self) -> None:
        """All answers that can be given before anything is locked."""
        self._answer_known_ids()  # first: what was accepted stays so, also when its channel is switched off since
        self._refuse_unknown_channels_and_future()
        self._set_repeats_aside()
        self._refuse_cycles()

    def run(self) -> Produced:
        locked = self._lock_at_once() if self._plain() else None
        if locked is None:
            self._sort_out()
        result = Produced(outcomes=[])
        if self.open:
            pipelines, now = locked or self._lock_pipelines()
            rows = rows_of(self.open, pipelines, self.parent_times, now)
            inserted = insert_rows(self.conn, list(rows.values()))
            stored = {place: row for place, row in rows.items() if row.id in inserted}
            self._settle_depths(rows, stored, pipelines)
            for place, row in stored.items():
                self.outcomes[place] = row
                if row.draft.unordered:
                    result.unordered.append(row.id)
                if row.draft.id is not None:
                    result.named.append(row.id)
            for place in rows.keys() - stored.keys():  # another transaction stored this id in between
                self._answer_reused(place, rows[place].id)
            users = {row.draft.user_id for row in stored.values() if not row.draft.unordered}
            for user in sorted(users):
                if pipelines[user].slept:
                    result.wake.setdefault(pipelines[user].worker, []).append(user)
        self._answer_repeats()
        result.outcomes = [outcome for outcome in self.outcomes if outcome is not None]
        assert len(result.outcomes) == len(self.outcomes)
        return result

    def _refuse(self, place: int, error: EngagementsError) -> None:
        self.outcomes[place] = error
        del self.open[place]

    def _plain(self) -> bool:
        """Whether there is nothing to look at before the locks but whether the channels are known."""
        return bool(self.open) and all(
            draft.id is None and draft.causal_parent is None and draft.produced_at is None and not draft.unordered
            for draft in self.open.values()
        )

    def _lock_at_once(self) -> tuple[dict[str, Enlisted], datetime] | None:
        """The pipelines locked, on the same way to PostgreSQL as the look at the channels; None, and nothing done,
        where one of those is not known."""
        names = self._channels()
        with pipeline(self.conn):
            facts = send(self.conn, _FACTS, [self.switched_off, names])
            sent = send_enlist(self.conn, self._depths(), self.ring, known=str(len(names)))
        [(_, known, _)] = facts.fetchall()
        return enlisted(sent) if len(known) == len(names) else None

    def _channels(self) -> list[str]:
        return list({draft.channel or conf.DEFAULT_CHANNEL for draft in self.open.values()})

    def _refuse_unknown_channels_and_future(self) -> None:
        [(now, known, _)] = fetch(self.conn, _FACTS, [self.switched_off, self._channels()])
        for place, draft in list(self.open.items()):
            channel = draft.channel or conf.DEFAULT_CHANNEL
            if channel not in known:
                detail = f"there is no active channel {channel!r}; GET /api/v1/channels/ lists them"
                self._refuse(place, Invalid.field("channel", detail))
            elif draft.produced_at is not None and draft.produced_at > now + FUTURE_TOLERANCE:
                seconds = FUTURE_TOLERANCE.total_seconds()
                self._refuse(place, Invalid.field("produced_at", f"is more than {seconds:g} s in the future"))

    def _set_repeats_aside(self) -> None:
        """Within one list the first of an id wins."""
        first_of_id: dict[UUID, int] = {}
        for place, draft in list(self.open.items()):
            if draft.id is None:
                continue
            first = first_of_id.setdefault(draft.id, place)
            if first != place:
                self.repeats[place] = first
        self.repeated = {place: self.open.pop(place) for place in self.repeats}

    def _answer_repeats(self) -> None:
        for place, first in self.repeats.items():
            draft, outcome = self.repeated[place], self.outcomes[first]
            assert draft.id is not None
            if isinstance(outcome, Stored):
                self.outcomes[place] = _judge(draft, outcome.draft.digest)
            else:
                self._answer_reused(place, draft.id, draft, otherwise=outcome)

    def _answer_known_ids(self) -> None:
        drafts = self.open.values()
        ids = {id for draft in drafts for id in (draft.id, draft.causal_parent) if id is not None}
        if not ids:
            return
        known = {id: (bytes(digest), time) for id, digest, time in fetch(self.conn, _KNOWN, [list(ids)])}
        self.parent_times = {id: time for id, (_, time) in known.items()}
        for place, draft in list(self.open.items()):
            if draft.id in known:
                self.outcomes[place] = _judge(draft, known[draft.id][0])
                del self.open[place]

    def _answer_reused(
        self,
        place: int,
        id: UUID,
        draft: Draft | None = None,
        otherwise: "Stored | Duplicate | EngagementsError | None" = None,
    ) -> None:
        draft = draft or self.open[place]
        rows = fetch(self.conn, _KNOWN, [[id]])
        self.outcomes[place] = _judge(draft, bytes(rows[0][1])) if rows else otherwise or IdReused(_REUSED)

    def _refuse_cycles(self) -> None:
        """A cycle comes back to its newcomer: only one that somebody names as a parent can close it."""
        linked = [
            (place, draft.id, draft.causal_parent)
            for place, draft in self.open.items()
            if draft.id is not None and draft.causal_parent is not None
        ]
        if not linked:
            return
        [(referenced,)] = fetch(self.conn, _REFERENCED, [[id for _, id, _ in linked]])
        parents = ancestors(self.conn, [parent for _, _, parent in linked]) if referenced else {}
        named = set(parents.values())
        for place, id, parent in linked:
            parents[id] = parent
            if (referenced or id in named) and in_cycle(id, parents):
                del parents[id]
                detail = "closes a cycle: this engagement is already an ancestor of its parent"
                self._refuse(place, Invalid.field("causal_parent", detail))
            else:
                named.add(parent)

    def _depths(self) -> Counter[str]:
        return Counter(draft.user_id for draft in self.open.values() if not draft.unordered)

    def _lock_pipelines(self) -> tuple[dict[str, Enlisted], datetime]:
        depths = self._depths()
        if depths:
            return enlist(self.conn, depths, self.ring)
        [(now,)] = fetch(self.conn, "SELECT clock_timestamp()")
        return {}, now

    def _settle_depths(
        self, rows: dict[int, Stored], stored: dict[int, Stored], pipelines: dict[str, Enlisted]
    ) -> None:
        """The pipelines were counted up before it was known which rows are new; look sooner where those ask for it."""
        excess: dict[str, int] = {}
        due: dict[str, datetime] = {}
        for place, row in rows.items():
            user = row.draft.user_id
            if row.draft.unordered:
                continue
            if place not in stored or row.status.settled:
                excess[user] = excess.get(user, 0) + 1
            elif pipelines[user].due_at > row.held_until:
                due[user] = min(due.get(user, row.held_until), row.held_until)
        if excess:
            users = sorted(excess)
            run(self.conn, _TAKE_BACK_DEPTH, [users, [excess[user] for user in users]])
        if due:
            run(self.conn, _LOOK_SOONER, [list(due), list(due.values())])


_REUSED = "an engagement with this id exists and its content differs; use a new id"


def _judge(draft: Draft, digest: bytes) -> Duplicate | IdReused:
    assert draft.id is not None
    return Duplicate(draft.id) if draft.digest == digest else IdReused(_REUSED)
