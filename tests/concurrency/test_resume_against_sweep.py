"""A pipeline is resumed, its deadlines moved, while a sweep looks for what is overdue."""

from datetime import timedelta
from uuid import UUID

from engagements import services
from engagements.services import produce
from engagements.store import expire, lease, operate
from tests.support.store import (
    Connect,
    claim_one,
    engagement,
    in_thread,
    overdue,
    pipeline,
    start_worker,
    status,
    until_lock_wait,
)


def _paused_for_a_minute(connect: Connect) -> tuple[UUID, timedelta]:
    """One that had five seconds left when its pipeline was paused, a minute ago."""
    conn = connect()
    start_worker(conn, "w1")
    one = produce(user_id="ann", payload={}).engagement.id
    services.pause("ann", actor="test")
    overdue(conn, one, seconds=55.0)
    for sql in (
        "UPDATE engagements_pipeline SET paused_at = paused_at - interval '1 min'",
        "UPDATE engagements_engagement SET received_at = received_at - interval '2 min'",
    ):
        conn.execute(sql)
    return one, timedelta(seconds=60)


def test_a_sweep_beside_a_resume_in_flight_expires_nothing_by_the_old_deadline(connect: Connect) -> None:
    """Neither while the resume is uncommitted nor afterwards, when the deadline has moved."""
    one, stood = _paused_for_a_minute(connect)
    operator, sweeper = connect(), connect()
    before = engagement(one).expires_at

    with operator.transaction():
        assert operate.resume(operator, "ann") == "w1"
        assert expire.sweep(sweeper).ids == []
    assert expire.sweep(sweeper).ids == []

    moved = engagement(one).expires_at - before
    assert stood <= moved < stood + timedelta(seconds=5)
    assert claim_one(operator, "ann").id == one


def test_a_resume_waits_for_whoever_has_the_pipeline_and_counts_that_time(connect: Connect) -> None:
    """The deadline moves by the time up to when the resume took the lock, not up to when it was asked for."""
    one, stood = _paused_for_a_minute(connect)
    holder, observer = connect(), connect()
    before = engagement(one).expires_at

    with holder.transaction():
        holder.execute("SELECT 1 FROM engagements_pipeline WHERE user_id = 'ann' FOR NO KEY UPDATE")
        resume = in_thread(lambda: services.resume("ann", actor="test"))
        until_lock_wait(observer)
        assert lease.claim(observer, ["ann"], worker="w1").grants == []
        [(released,)] = holder.execute("SELECT clock_timestamp()").fetchall()
        paused_at = pipeline("ann").paused_at
    resume.result(timeout=10)

    assert paused_at is not None
    assert engagement(one).expires_at - before >= released - paused_at >= stood
    assert status(one) == "pending"
    assert expire.sweep(observer).ids == []
