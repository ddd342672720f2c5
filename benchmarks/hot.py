"""Every hot statement of the store, run as the engine and the producers run it, at the size that they run it with."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from engagements.domain.draft import read_draft
from engagements.domain.ring import Ring
from engagements.store import children, expire, lease, operate, produce, retention, settle, unordered, workers
from engagements.store.connection import Connection, fetch, run
from engagements.store.settle import Settlement


class Work(NamedTuple):
    """items: how many rows it is about. prepare: what has to be so before it, not measured."""

    name: str
    items: int
    run: Callable[[], object]
    prepare: Callable[[], object] | None = None


class Hot:
    """Named pieces of work on a database that benchmarks/large.py has filled, to be run in transactions that end in a
    rollback."""

    def __init__(self, conn: Connection, *, batch: int) -> None:
        self.conn = conn
        self.batch = batch
        due = "SELECT user_id FROM engagements_pipeline WHERE {} ORDER BY md5(user_id) LIMIT %s"
        free = "worker = 'w1' AND due_at <= now() AND lease_worker IS NULL"
        self.due = [user for (user,) in fetch(conn, due.format(free), [batch])]
        held = "lease_worker = 'w1' AND in_service IS NOT NULL"
        what = "SELECT user_id, lease_token, in_service FROM engagements_pipeline"
        self.held = fetch(conn, f"{what} WHERE {held} ORDER BY md5(user_id) LIMIT %s", [batch])
        asleep = "worker = 'idle' AND due_at > now() AND in_service IS NULL"
        self.asleep = [user for (user,) in fetch(conn, due.format(asleep), [batch])]
        settled = "SELECT id FROM engagements_engagement WHERE status <> 'pending' ORDER BY arrival DESC LIMIT 5000"
        self.settled = [id for (id,) in fetch(conn, settled)]
        failed = "SELECT id FROM engagements_engagement WHERE status = 'expired' AND NOT unordered LIMIT 1"
        [(self.failed,)] = fetch(conn, failed)
        self.tokens = {user: token for user, token, _ in self.held}
        self.ring = Ring(["w1", "w2"])

    def __iter__(self) -> Iterator[Work]:
        conn, batch = self.conn, self.batch
        yield Work("claim", len(self.due), lambda: lease.claim(conn, self.due, worker="w1"))
        yield Work("claim one", 1, lambda: lease.claim(conn, self.due[:1], worker="w1"))
        yield Work("settle", len(self.held), lambda: settle.settle(conn, self._settlements("delivered"), worker="w1"))
        yield Work("settle one", 1, lambda: settle.settle(conn, self._settlements("delivered")[:1], worker="w1"))
        yield Work("retry", len(self.held), lambda: settle.postpone(conn, self._settlements("retry"), worker="w1"))
        yield Work("renew", len(self.held), lambda: lease.renew(conn, self.tokens))
        yield Work("release", len(self.held), lambda: lease.release(conn, self.tokens, worker="w1", incarnation=1))
        yield Work("poll", 2000, lambda: workers.due(conn, "w1", limit=2000))
        yield Work("poll, nothing due", 1, lambda: workers.due(conn, "idle", limit=2000))
        yield Work("forgotten", len(self.asleep), lambda: workers.forgotten(conn, "idle", limit=2000))
        yield Work("fail over, nobody dead", 3, lambda: workers.move_orphans(conn, ["w1", "w2", "dead", "idle"]))
        yield Work("fail over", 1000, lambda: workers.move_orphans(conn, ["w1", "w2", "idle"]))
        yield Work("sweep, nothing overdue", 1, lambda: expire.sweep(conn, limit=1))
        yield Work("sweep", len(self.due), lambda: expire.sweep(conn), self._overdue)
        yield Work("children of", len(self.settled), lambda: children.users_of(conn, self.settled))
        yield Work("wake children", len(self.asleep), lambda: children.wake(conn, self.asleep))
        yield Work("produce one", 1, lambda: self._produce(["user-3"]))
        yield Work("produce one, new user", 1, lambda: self._produce([f"new-{uuid4()}"]))
        yield Work("produce one with id and parent", 1, lambda: self._produce(["user-3"], parent=self.settled[0]))
        yield Work("produce many", batch, lambda: self._produce(self.due))
        yield Work("unordered claim", batch, lambda: unordered.claim(conn, limit=batch))
        yield Work("unordered settle", batch, self._settle_unordered, self._claim_unordered)
        yield Work("purge", 1, lambda: operate.purge(conn, self.due[:1]))
        yield Work("resume", 1, lambda: operate.resume(conn, self.due[0]), self._pause)
        yield Work("replay", 1, lambda: operate.replay(conn, self.failed, self.ring))
        yield Work("retention", 1000, lambda: retention.delete_old(conn, keep=timedelta(days=7), batches=1))

    def _settlements(self, outcome: str) -> list[Settlement]:
        return [Settlement(user, token, id, outcome, "200", 1.0, 0.0, 0.01) for user, token, id in self.held]

    def _produce(self, users: list[str], parent: UUID | None = None) -> None:
        more = {} if parent is None else {"id": uuid4(), "causal_parent": parent}
        drafts = [read_draft({"user_id": user, "payload": {"text": "hello"}, **more}) for user in users]
        produce.insert(self.conn, drafts, self.ring)

    def _overdue(self) -> None:
        late = """
        UPDATE engagements_engagement SET expires_at = now() - interval '9 s'
        WHERE user_id = ANY(%s) AND status = 'pending' AND NOT unordered
        """
        run(self.conn, late, [self.due])

    def _claim_unordered(self) -> None:
        self.grants = unordered.claim(self.conn, limit=self.batch)

    def _settle_unordered(self) -> None:
        settlements = [
            Settlement(grant.user_id, grant.token, grant.id, "delivered", "", 0.0, 0.0, 0.01) for grant in self.grants
        ]
        unordered.settle(self.conn, settlements, worker="w1")

    def _pause(self) -> None:
        run(self.conn, "UPDATE engagements_pipeline SET paused_at = now() WHERE user_id = %s", [self.due[0]])
