"""An operator skips a head at the moment when it expires."""

import pytest

from engagements import services
from engagements.domain.errors import Conflict
from engagements.services import produce
from engagements.store import expire, operate
from tests.support.store import Connect, in_thread, overdue, pipeline, start_worker, status, until_lock_wait


def test_a_skip_that_waited_for_the_sweep_finds_another_head(connect: Connect) -> None:
    """The successor is not skipped in the place of the one that expired."""
    sweeper, observer = connect(), connect()
    start_worker(sweeper, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    overdue(sweeper, one)

    with sweeper.transaction():
        assert expire.sweep(sweeper).ids == [one]
        skip = in_thread(lambda: services.skip("ann", one, actor="test"))
        until_lock_wait(observer)

    with pytest.raises(Conflict, match=str(two)):
        skip.result(timeout=10)
    assert (status(one), status(two), pipeline("ann").depth) == ("expired", "pending", 1)


def test_a_sweep_beside_a_skip_in_flight_settles_nothing_twice(connect: Connect) -> None:
    """It passes the locked pipeline by; what was skipped is purged, and what stood behind it expires next time."""
    operator, sweeper = connect(), connect()
    start_worker(operator, "w1")
    one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(2))
    overdue(sweeper, one, two)

    with operator.transaction():
        operate.skip(operator, "ann", one)
        assert expire.sweep(sweeper).ids == []
    assert expire.sweep(sweeper).ids == [two]

    assert (status(one), status(two)) == ("purged", "expired")
    assert (pipeline("ann").depth, pipeline("ann").due_at) == (0, None)
