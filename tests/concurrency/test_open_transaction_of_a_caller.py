"""A caller produces inside a long transaction of its own: its users wait for it, and nobody else does."""

from django.db import transaction

from engagements.services import produce
from engagements.store import children, expire, lease, settle, workers
from tests.support.store import (
    Connect,
    claim_one,
    kill_worker,
    overdue,
    pipeline,
    settlement,
    start_worker,
    status,
)


def test_every_batch_goes_on_with_the_other_users(connect: Connect) -> None:
    """Claim, settle, renewal, sweep and waking skip the held pipeline and report it as busy, not as fenced."""
    conn = connect()
    start_worker(conn, "w1")
    held, free = (produce(user_id=user, payload={}).engagement for user in ("held", "free"))
    tokens = {user: claim_one(conn, user) for user in ("held", "free")}
    children_of = produce(user_id="child", payload={}, causal_parent=free.id).engagement
    lease.claim(conn, ["child"], worker="w1")
    old = [produce(user_id=user, payload={}).engagement.id for user in ("held", "late")]
    overdue(conn, *old)

    with transaction.atomic():
        produce(user_id="held", payload={})
        assert lease.renew(conn, {user: grant.token for user, grant in tokens.items()}).revoked == []
        settled = settle.settle(conn, [settlement(grant) for grant in tokens.values()], worker="w1")
        assert (settled.ids, settled.busy, settled.lost) == ([free.id], ["held"], [])
        assert expire.sweep(conn).ids == [old[1]]
        assert children.wake(conn, ["child", "held"]).wake == {"w1": ["child"]}
        assert lease.claim(conn, ["held", "child"], worker="w1").grants[0].id == children_of.id
    assert settle.settle(conn, [settlement(tokens["held"])], worker="w1").ids == [held.id]
    assert pipeline("held").depth == 2


def test_a_dead_workers_other_users_move_on(connect: Connect) -> None:
    conn = connect()
    start_worker(conn, "w1")
    for user in ("held", "free"):
        produce(user_id=user, payload={})
    kill_worker(conn, "w1")
    start_worker(conn, "w2")

    with transaction.atomic():
        produce(user_id="held", payload={})
        assert workers.move_orphans(conn, ["w2"]) == {"w2": ["free"]}
    assert workers.move_orphans(conn, ["w2"]) == {"w2": ["held"]}


def test_what_the_caller_rolls_back_never_was(connect: Connect) -> None:
    """Neither the engagement nor the pipeline that it made; the depth of one that was there is as before."""
    conn = connect()
    start_worker(conn, "w1")
    one = produce(user_id="ann", payload={}).engagement

    with transaction.atomic():
        produce(user_id="ann", payload={})
        produce(user_id="new", payload={})
        transaction.set_rollback(True)

    assert pipeline("ann").depth == 1
    assert not conn.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'new'").fetchall()
    assert claim_one(conn, "ann").id == one.id
    assert status(one.id) == "pending"


def test_a_lease_that_could_not_be_renewed_is_not_taken_for_renewed(connect: Connect) -> None:
    """The worker must stop sending when it runs out: after the caller's commit somebody else may take it."""
    conn = connect()
    start_worker(conn, "w1")
    held = {}
    for user in ("held", "free"):
        produce(user_id=user, payload={})
        held[user] = claim_one(conn, user).token
    until = pipeline("held").lease_until

    with transaction.atomic():
        produce(user_id="held", payload={})
        renewed = lease.renew(conn, held)

    assert (renewed.kept, renewed.revoked) == (["free"], [])
    assert pipeline("held").lease_until == until
