"""The row lock in settle: a fence that is looked at and not held is no fence.

Two real connections, since a simulation has no two statements at a time. A take-over is in flight when the settle looks
at the token, and commits before it writes.
"""

import time

from engagements.api.representation import engagement_json
from engagements.models import Engagement
from engagements.services import produce
from engagements.store import lease, settle, workers
from engagements.store.heads import Grant
from tests.controls.sabotage import without
from tests.support.observed import request_of, told_of
from tests.support.observer import History, Produced, Report, Request, observe
from tests.support.observer.history import SECOND
from tests.support.store import Connect, claim_one, in_thread, kill_worker, lock_waits, settlement, start_worker, until


class Log:
    """What the receiver would have written down of attempts that the test begins and ends."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._begun: dict[tuple[int, int], float] = {}

    def begin(self, grant: Grant) -> None:
        self._begun[grant.token, grant.sequence or 0] = time.time()
        time.sleep(0.005)  # two attempts that touch are not at a time

    def end(self, grant: Grant) -> None:
        time.sleep(0.005)
        data = {**grant._asdict(), "id": str(grant.id), "fencing_token": grant.token, "unordered": False}
        data["produced_at"] = grant.produced_at.isoformat()
        begun = self._begun[grant.token, grant.sequence or 0]
        self.requests.append(request_of(data, begun=begun, ended=time.time(), status=200))


def _a_take_over_between_look_and_write(connect: Connect) -> Report:
    holder, other, observer = connect(), connect(), connect()
    log, produced = Log(), []
    start_worker(holder, "w1")
    for call in range(2):
        sent = round(time.time() * SECOND)
        one = produce(user_id="ann", payload={}, timeout_seconds=3600).engagement
        answered = round(time.time() * SECOND)
        produced.append(Produced(str(one.id), "ann", "acknowledged", sent, answered, timeout_seconds=3600, call=call))
    first = claim_one(holder, "ann")
    log.begin(first)
    log.end(first)
    kill_worker(other, "w1")
    start_worker(other, "w2")

    with other.transaction():
        assert workers.move_orphans(other, ["w2"]) == {"w2": ["ann"]}
        open_now = [(grant, "w2") for grant in lease.claim(other, ["ann"], worker="w2").grants]
        settling = in_thread(lambda: settle.settle(holder, [settlement(first)], worker="w1"))
        until(lambda: settling.done() or lock_waits(observer), "the settle has looked at the token")
    open_now += [(grant, "w1") for grant in settling.result(timeout=10).grants]
    for grant, _ in open_now:
        log.begin(grant)
    while open_now:
        grant, worker = open_now.pop(0)
        log.end(grant)
        for following in settle.settle(holder, [settlement(grant)], worker=worker).grants:
            log.begin(following)
            open_now.append((following, worker))

    told = {str(one.id): told_of(engagement_json(one)) for one in Engagement.objects.all()}
    return observe(History(produced=produced, requests=log.requests, told=told))


def test_a_settle_beside_a_take_over_writes_nothing(connect: Connect) -> None:
    report = _a_take_over_between_look_and_write(connect)
    assert report.holds, report.table()


def test_without_the_row_lock_two_of_a_user_are_attempted_at_a_time(connect: Connect) -> None:
    with without(settle, "_LOCK", "ORDER BY p.user_id FOR NO KEY UPDATE OF p SKIP LOCKED"):
        report = _a_take_over_between_look_and_write(connect)
    assert report.of("overlap"), report.table()
