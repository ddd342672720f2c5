"""A short run in simulated time, written down for the observer as its producers, receiver and API saw it."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from engagements.api.representation import engagement_json
from engagements.domain.ring import Ring
from engagements.models import Engagement
from engagements.services import produce
from tests.support.observed import request_of, told_of
from tests.support.observer import History, Operation, Produced, Report, Request, observe
from tests.support.observer.history import moment
from tests.support.simulation.receiver import Call
from tests.support.simulation.world import World

STATUS = {"ok": 200, "retry": 503, "fail": 410}

QUIET_SECONDS = 60.0
"""At the end of a run, for whatever still can happen to happen."""

LONG_SECONDS = 3600.0
"""A time-out that no run lasts for: what nobody looks after then stays pending, instead of expiring in silence."""


class Run:
    """World and log. The answers of an engagement are those of its attempts: what, and after how many seconds."""

    def __init__(self, *, checks_sequence: bool = True) -> None:
        self.world = World(random.Random(7), checks_sequence=checks_sequence)
        self._checks_sequence = checks_sequence
        self._produced: list[Produced] = []
        self._operations: list[Operation] = []

    def produce(self, user: str, *answers: tuple[str, float], age: float | None = None, **fields: Any) -> UUID:
        """age: how many seconds ago it says it was produced; None: it does not say."""
        clock = self.world.clock
        sent = self.moment()
        stated = None if age is None else clock.at(clock.seconds - age)
        payload = {"answers": answers or [("ok", 0.01)]}
        fields = {"timeout_seconds": LONG_SECONDS, **fields}
        if stated is not None:
            fields["produced_at"] = stated
        id: UUID = self.world.call(produce, user_id=user, payload=payload, **fields).engagement.id
        parent = fields.get("causal_parent")
        self._produced.append(
            Produced(
                id=str(id),
                user_id=user,
                answer="acknowledged",
                sent_at=sent,
                answered_at=self.moment(),
                stated=None if stated is None else moment(stated.isoformat()),
                causal_parent=None if parent is None else str(parent),
                unordered=fields.get("unordered", False),
                timeout_seconds=fields["timeout_seconds"],
                call=len(self._produced),
            )
        )
        return id

    def moment(self) -> int:
        """Now, as the observer counts time."""
        return moment(self.world.clock.now.isoformat())

    def report(self) -> Report:
        """What the observer says of it once all is quiet."""
        self.world.advance(QUIET_SECONDS)
        told = {str(one.id): told_of(engagement_json(one)) for one in Engagement.objects.all()}
        requests = [self._request(call) for call in self.world.receiver.calls]
        requests.sort(key=lambda request: request.ended_at)
        return observe(
            History(
                produced=self._produced,
                requests=requests,
                told=told,
                operations=self._operations,
                receiver_checks=self._checks_sequence,
            )
        )

    def operate(self, operation: Operation) -> None:
        """An operator does this; the observer is told."""
        self._operations.append(operation)

    def _request(self, call: Call) -> Request:
        delivery, clock = call.delivery, self.world.clock
        ended = clock.seconds if call.ended is None else call.ended
        data = {
            "id": str(delivery.id),
            "user_id": delivery.user_id,
            "sequence": delivery.sequence,
            "fencing_token": delivery.fencing_token,
            "attempt": delivery.attempt,
            "produced_at": delivery.produced_at.isoformat(),
            "causal_parent": delivery.causal_parent and str(delivery.causal_parent),
            "unordered": delivery.unordered,
            "late": delivery.late,
        }
        return request_of(
            data,
            begun=clock.at(call.began).timestamp(),
            ended=clock.at(ended).timestamp(),
            status=None if call.answer is None else STATUS[call.answer],
        )


@contextmanager
def running(*workers: str, checks_sequence: bool = True) -> Iterator[Run]:
    """A run with these workers alive."""
    run = Run(checks_sequence=checks_sequence)
    with run.world.running():
        for name in workers:
            run.world.start(name)
        run.world.advance(0.5)
        yield run


def user_of(worker: str, among: Sequence[str]) -> str:
    """A user whom the ring of these workers gives to this one."""
    ring = Ring(among)
    return next(user for user in map("user-{}".format, range(1000)) if ring.worker(user) == worker)
