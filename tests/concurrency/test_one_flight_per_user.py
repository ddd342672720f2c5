"""A user is worked on once at a time in a process, whichever of its lanes finds them first."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pytest_django import Settings

from engagements.services import produce
from engagements.store import expire, settle, workers
from tests.support import channels
from tests.support.channels import Gate
from tests.support.engines import OpenDesk
from tests.support.store import Connect, claim_one, overdue, pipeline, settlement, start_worker, status, until
from workers.channels.base import Delivered, Delivery, Outcome
from workers.engine.engine import Engine
from workers.engine.lane import Lane


class _Held(Lane):
    """The lane of the claims, which the test holds up as a slow database would."""

    def __init__(self, *args: Any, gate: Gate, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.held = 0
        self._gate = gate

    async def run(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.held += 1
        await self._gate.wait()
        return await super().run(work, *args, **kwargs)


class _SlowToClaim(Engine):
    gate: Gate
    claims: _Held

    def _lane(self, name: str) -> Lane:
        if name != "claim":
            return super()._lane(name)
        self.claims = _Held(name, application_name=name, gate=self.gate)
        return self.claims


def test_a_user_whose_locked_row_was_waited_for_is_not_claimed_again_by_the_others(
    connect: Connect, open_desk: OpenDesk, terminations: list[int], settings: Settings
) -> None:
    """The claims stand still, a wake-up for ann waits behind them, and the lane for locked rows is faster."""
    settings.CHANNEL_KINDS = {**settings.CHANNEL_KINDS, **channels.KINDS}
    conn, receiver = connect(), Gate()

    async def answer(delivery: Delivery) -> Outcome:
        await receiver.wait()
        return Delivered()

    desk = open_desk(answer)
    engine = _SlowToClaim("w1")
    engine.gate = Gate()
    engine.start()
    try:
        until(lambda: engine._course is not None, "the engine")
        until(lambda: "w1" in workers.alive(conn), "its heartbeat")
        bob, *anns = (produce(user_id=user, payload={}, channel="desk").engagement.id for user in ("bob", "ann", "ann"))
        course = engine._course
        assert course is not None
        engine.submit(["bob"])
        until(lambda: engine.claims.held, "a claim that stands still")
        engine.submit(["ann"])
        until(lambda: "ann" in course.agenda.users, "ann waits behind it")
        engine._call(lambda: course._crowd.add("claim", "ann", partial(course._claim_in_line, "ann")))
        until(lambda: anns[0] in desk.ids, "ann's attempt")
        engine.gate.open()
        until(lambda: bob in desk.ids, "the claims go on")
        assert course.held().keys() == {"ann", "bob"}
        receiver.open()
        until(lambda: [status(id) for id in (bob, *anns)] == ["delivered"] * 3, "all deliveries")
        assert desk.ids.count(anns[0]) == 1
        assert terminations == []
    finally:
        receiver.open()
        engine.gate.open()
        engine.stop()


@pytest.mark.parametrize("write", [settle.settle, settle.postpone])
def test_the_fence_looks_at_each_settlement_and_not_at_its_user(connect: Connect, write: Callable[..., Any]) -> None:
    """An answer to what has expired meanwhile stands in one batch with the answer to what came next."""
    conn = connect()
    start_worker(conn, "w1")
    late, one, two = (produce(user_id="ann", payload={}).engagement.id for _ in range(3))
    stale = claim_one(conn, "ann")
    overdue(conn, late)
    expire.sweep(conn)
    grant = claim_one(conn, "ann")
    assert (status(late), grant.id) == ("expired", one)

    settled = write(conn, [settlement(stale), settlement(grant)], worker="w1")

    assert settled.lost == []
    if write is settle.settle:
        assert [(next_one.id, next_one.sequence) for next_one in settled.grants] == [(two, 3)]
        assert pipeline("ann").in_service == two
        assert [status(id) for id in (late, one, two)] == ["expired", "delivered", "pending"]
    else:
        assert pipeline("ann").in_service == one
