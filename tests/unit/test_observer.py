"""The observer cries neither wolf nor looks away: for every check one log that breaks it, and ones that do not."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.observer import CHECKS, History, Operation, Produced, Request, Span, Told, observe
from tests.support.observer.history import SECOND, moment

T0 = moment("2026-01-01T00:00:00Z")


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


class Run:
    """A run in the making: engagements of user u unless told otherwise, each delivered at its first attempt."""

    def __init__(self) -> None:
        self.produced: dict[str, Produced] = {}
        self.requests: list[Request] = []
        self.told: dict[str, Told] = {}
        self.operations: list[Operation] = []
        self.frozen: list[Span] = []
        self.outages: list[Span] = []
        self.crashes = True
        self._calls = 0

    def produce(self, id: str, received: float, *, user: str = "u", stated: float | None = None, **sent: Any) -> None:
        """Sent 0.1 s before its receipt and answered as much later, with the default time-out of 30 s."""
        self._calls += 1
        time = None if stated is None else at(stated)
        self.produced[id] = Produced(
            id, user, "acknowledged", at(received - 0.1), at(received + 0.1), stated=time, call=self._calls, **sent
        )
        self.told[id] = Told(
            status="pending",
            user_id=user,
            produced_at=at(received) if time is None else time,
            received_at=at(received),
            expires_at=at(received + sent.get("timeout_seconds", 30)),
            settled_at=None,
            sequence=None,
            attempts=0,
            late=False,
            causal_parent=sent.get("causal_parent"),
            unordered=sent.get("unordered", False),
        )

    def attempt(
        self,
        id: str,
        begun: float,
        sequence: int | None,
        *,
        token: int | None = 1,
        status: int | None = 200,
        number: int = 1,
        seconds: float = 0.1,
    ) -> None:
        """One request, which settles the engagement when its answer does."""
        told = self.told[id]
        request = Request(
            id, told.user_id, sequence, token, number, at(begun), at(begun + seconds), status,
            told.produced_at, told.causal_parent, told.unordered, told.late,
        )  # fmt: skip
        self.requests.append(request)
        if request.accepted or request.refused:
            outcome = "delivered" if request.accepted else "failed"
            self.settle(id, begun + seconds + 0.01, outcome, sequence=sequence, attempts=number)

    def settle(self, id: str, when: float, status: str, **told: Any) -> None:
        self.told[id] = replace(self.told[id], status=status, settled_at=at(when), **told)

    def operate(self, kind: Any, when: float, *, id: str = "", user: str = "") -> None:
        self.operations.append(Operation(kind, at(when), at(when + 0.1), id=id, user_id=user))

    def found(self) -> dict[str, list[str]]:
        report = observe(
            History(
                list(self.produced.values()),
                self.requests,
                self.told,
                self.operations,
                self.frozen,
                self.outages,
                crashes=self.crashes,
                timeout_seconds=30,
            )
        )
        assert report.holds == (not report.findings)
        return {check: report.of(check) for check in CHECKS if report.of(check)}


def two_in_order() -> Run:
    """A run in which nothing is wrong: a, then b."""
    run = Run()
    run.produce("a", 1)
    run.produce("b", 2)
    run.attempt("a", 3, 1)
    run.attempt("b", 4, 2)
    return run


def test_a_run_in_order_has_no_finding_and_a_line_for_each_check() -> None:
    run = two_in_order()
    assert run.found() == {}
    report = observe(History(list(run.produced.values()), run.requests, run.told))
    lines = report.table().splitlines()
    assert len(lines) == 1 + len(CHECKS)
    assert all(any(line.startswith(check) for line in lines) for check in CHECKS)


# --- Logs that break one check each ---


def unknown_to_the_api(run: Run) -> None:
    del run.told["b"]
    run.requests.pop()


def still_pending(run: Run) -> None:
    run.produce("c", 4)


def delivered_unseen(run: Run) -> None:
    run.requests.pop()


def failed_unseen(run: Run) -> None:
    run.told["b"] = replace(run.told["b"], status="failed")


def purged_by_nobody(run: Run) -> None:
    run.produce("c", 4)
    run.settle("c", 5, "purged")


def never_sent(run: Run) -> None:
    del run.produced["b"]


def refused_and_attempted(run: Run) -> None:
    run.produced["b"] = replace(run.produced["b"], answer="refused")


def attempted_before_it_was_sent(run: Run) -> None:
    run.produced["b"] = replace(run.produced["b"], answer="unknown", sent_at=at(5), answered_at=at(6))


def another_produce_time(run: Run) -> None:
    run.requests[1] = replace(run.requests[1], produced_at=at(1.5))


def another_receipt(run: Run) -> None:
    run.produced["a"] = replace(run.produced["a"], answered_at=at(0.95))


def attempted_after_its_end(run: Run) -> None:
    run.told["b"] = replace(run.told["b"], settled_at=at(3.5))


def earlier_one_passed_over(run: Run) -> None:
    """Both were in line when c was attempted, and b2 is older; a flag excuses nothing then."""
    run.produce("b2", 4.4, stated=3.5)
    run.told["b2"] = replace(run.told["b2"], late=True)
    run.produce("c", 4.45)
    run.attempt("c", 6, 3)
    run.attempt("b2", 7, 4)


def late_and_not_flagged(run: Run) -> None:
    run.produce("c", 4.5, stated=0.5)
    run.attempt("c", 5, 3)


def flagged_and_not_late(run: Run) -> None:
    run.produce("c", 4.5)
    run.told["c"] = replace(run.told["c"], late=True)
    run.attempt("c", 5, 3)


def tie_of_one_list_turned_round(run: Run) -> None:
    for id, place, begun, sequence in (("c", 1, 6, 3), ("d", 0, 7, 4)):
        run.produce(id, 5)
        run.produced[id] = replace(run.produced[id], call=9, place=place)
        run.attempt(id, begun, sequence)


def attempted_again_after_another(run: Run) -> None:
    run.attempt("a", 5, 1, token=2, number=2)
    run.told["a"] = replace(run.told["a"], settled_at=at(6))


def next_one_before_the_end(run: Run) -> None:
    run.told["a"] = replace(run.told["a"], settled_at=at(4.05))


def child_before_its_parent(run: Run) -> None:
    run.produce("c", 5, user="v", causal_parent="b")
    run.attempt("c", 5.1, 1)
    run.told["b"] = replace(run.told["b"], settled_at=at(5.2))


def child_of_nobody(run: Run) -> None:
    run.produce("c", 5, user="v", causal_parent="z")
    run.attempt("c", 5.1, 1)


def number_changed(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 5.1, 3, status=500)
    run.attempt("c", 6, 4, token=2, number=2)


def number_of_another(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 5.1, 2, token=2)


def number_below_an_older_token(run: Run) -> None:
    run.requests[0] = replace(run.requests[0], fencing_token=5)


def attempt_sent_twice(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 5.1, 3, status=None)
    run.attempt("c", 5.4, 3)


def no_number(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 5.1, None, token=None)


def stale_and_accepted(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 5.1, 3, token=3, status=500, number=2)
    run.attempt("c", 5.4, 3, token=2, number=1)


def two_at_a_time(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 5.1, 3, status=500, seconds=2)
    run.attempt("c", 6, 3, token=2, number=2)


def repeated_though_nothing_was_harmed(run: Run) -> None:
    run.crashes = False
    run.produce("c", 5)
    run.attempt("c", 5.1, 3)
    run.attempt("c", 5.3, 3, token=2, number=2)


def accepted_twice_under_two_numbers(run: Run) -> None:
    run.attempt("b", 5, 3, token=2, number=2)


def expired_too_soon(run: Run) -> None:
    run.produce("c", 5)
    run.settle("c", 34, "expired")


def given_less_time(run: Run) -> None:
    run.told["b"] = replace(run.told["b"], expires_at=at(20))


def expired_too_late(run: Run) -> None:
    run.produce("c", 5)
    run.settle("c", 36.2, "expired")


def attempt_not_cut_off(run: Run) -> None:
    run.produce("c", 5)
    run.attempt("c", 6, 3, status=None, seconds=31)
    run.settle("c", 35.5, "expired", sequence=3)


def given_more_time(run: Run) -> None:
    run.told["b"] = replace(run.told["b"], expires_at=at(90))


def attempted_while_paused(run: Run) -> None:
    run.operate("pause", 4.5, user="u")
    run.produce("c", 5)
    run.attempt("c", 9, 3)


BREAKS: dict[str, list[Callable[[Run], None]]] = {
    "lost": [unknown_to_the_api, still_pending, delivered_unseen, failed_unseen, purged_by_nobody],
    "unproduced": [never_sent, refused_and_attempted, attempted_before_it_was_sent],
    "content": [another_produce_time, another_receipt],
    "after settled": [attempted_after_its_end],
    "reordered": [
        earlier_one_passed_over, late_and_not_flagged, flagged_and_not_late, tie_of_one_list_turned_round,
    ],
    "stepped back": [attempted_again_after_another, next_one_before_the_end],
    "causal": [child_before_its_parent, child_of_nobody],
    "sequence": [number_changed, number_of_another, number_below_an_older_token, attempt_sent_twice, no_number],
    "stale token": [stale_and_accepted],
    "overlap": [two_at_a_time],
    "duplicate": [repeated_though_nothing_was_harmed, accepted_twice_under_two_numbers],
    "expired early": [expired_too_soon, given_less_time],
    "expired late": [expired_too_late, attempt_not_cut_off, given_more_time],
    "paused": [attempted_while_paused],
}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "harm"), [(check, harm) for check, harms in BREAKS.items() for harm in harms], ids=lambda one: str(one)
)
def test_a_log_that_breaks_a_check_is_found(check: str, harm: Callable[[Run], None]) -> None:
    run = two_in_order()
    harm(run)
    assert check in run.found()


def test_every_check_has_a_log_that_breaks_it() -> None:
    assert set(BREAKS) == set(CHECKS)


# --- Logs that look wrong and are not ---


def test_a_late_arrival_goes_after_what_was_attempted_before_it_came() -> None:
    run = two_in_order()
    run.produce("c", 4.5, stated=0.5)
    run.told["c"] = replace(run.told["c"], late=True)
    run.attempt("c", 5, 3)
    assert run.found() == {}


def test_an_unknown_answer_may_mean_that_nothing_was_stored_or_that_it_was() -> None:
    run = two_in_order()
    run.produce("c", 5)
    del run.told["c"]
    for id in ("b", "c"):
        run.produced[id] = replace(run.produced[id], answer="unknown")
    assert run.found() == {}


def test_a_retry_and_a_takeover_repeat_the_number_under_greater_tokens() -> None:
    run = two_in_order()
    run.produce("c", 5)
    run.attempt("c", 5.1, 3, status=500)
    run.attempt("c", 6, 3, token=2, number=2, status=None)
    run.attempt("c", 12, 3, token=3, number=3)
    assert run.found() == {}


def test_a_repeat_after_a_crash_is_ignored_by_the_receiver() -> None:
    run = two_in_order()
    run.produce("c", 5)
    run.attempt("c", 5.1, 3)
    run.attempt("c", 10, 3, token=2, number=2)
    assert run.found() == {}


def test_a_late_child_may_be_raised_above_what_it_was_late_for() -> None:
    """It came before its parent was known, and the flag tells of then."""
    run = two_in_order()
    run.produce("c", 4.5, stated=0.5, causal_parent="p")
    run.told["c"] = replace(run.told["c"], late=True)
    run.produce("p", 5, user="v")
    run.attempt("p", 5.1, 1)
    run.attempt("c", 6, 3)
    assert run.found() == {}


def test_a_receiver_may_notice_a_moment_later_that_an_attempt_was_broken_off() -> None:
    run = two_in_order()
    run.produce("c", 5)
    run.attempt("c", 5.1, 3, status=None, seconds=1)
    run.attempt("c", 6, 3, token=2, number=2)
    assert run.found() == {}
    run.requests[2] = replace(run.requests[2], status=500)
    assert "overlap" in run.found()


def test_a_busy_receiver_may_read_what_was_cut_at_its_deadline_after_the_next_one() -> None:
    """For a moment only: its sender let go of it, and the bytes were on their way."""
    run = two_in_order()
    run.produce("c", 5, timeout_seconds=2)
    run.produce("d", 5.5)
    run.attempt("d", 7.3, 4)
    run.attempt("c", 7.4, 3)
    run.settle("c", 7.05, "expired", sequence=3, attempts=1)
    assert run.found() == {}
    run.requests[-1] = replace(run.requests[-1], begun_at=at(7.9), ended_at=at(7.95))
    assert run.found().keys() == {"after settled", "stepped back"}


def test_numbers_may_be_left_out() -> None:
    """One that expired in service took a number and need not have reached the receiver."""
    run = two_in_order()
    run.produce("c", 5, timeout_seconds=1)
    run.settle("c", 6.5, "expired", sequence=3)
    run.produce("d", 5.5)
    run.attempt("d", 7, 4)
    assert run.found() == {}


def test_a_frozen_worker_may_repeat_an_old_attempt_and_hold_one_open() -> None:
    """Only while it is frozen and in the moment after; the same log without the freeze has findings."""
    run = two_in_order()
    run.produce("c", 5)
    run.attempt("c", 6, 3, token=1, status=None, seconds=14)
    run.attempt("c", 12, 3, token=2, number=2)
    run.produce("d", 13)
    run.attempt("d", 14, 4, token=2)
    run.attempt("c", 20.5, 3, token=1, number=1)
    run.requests[-1] = replace(run.requests[-1], attempt=9)
    run.settle("c", 12.2, "delivered", sequence=3, attempts=2)
    assert {"after settled", "stepped back", "overlap"} <= run.found().keys()
    run.frozen = [Span(at(5.9), at(20))]
    assert run.found() == {}
    run.frozen = [Span(at(5.9), at(17))]
    assert run.found().keys() == {"after settled", "stepped back"}


def test_what_a_frozen_worker_lets_in_first_is_excused_at_the_receiver_too() -> None:
    run = two_in_order()
    stale_and_accepted(run)
    run.frozen = [Span(at(1), at(5.3))]
    assert run.found() == {}


def test_a_replay_is_a_new_life() -> None:
    """A new number, behind what has been attempted, without waiting for its parent."""
    run = two_in_order()
    run.produce("c", 5, causal_parent="b")
    run.attempt("c", 5.5, 3, status=410)
    run.produce("d", 6)
    run.attempt("d", 6.5, 4)
    run.operate("replay", 7, id="c")
    run.told["c"] = replace(run.told["c"], received_at=at(7.05), expires_at=at(37.05))
    run.attempt("c", 7.5, 5, token=2)
    assert run.found() == {}
    run.operations.clear()
    assert "sequence" in run.found()


def test_a_purge_settles_and_the_holder_needs_a_moment_to_notice() -> None:
    run = two_in_order()
    run.produce("c", 5)
    run.operate("purge", 6, user="u")
    run.settle("c", 6.05, "purged", sequence=3)
    run.attempt("c", 6.2, 3, status=None, seconds=2)
    assert run.found() == {}


def test_a_pause_lets_the_running_attempt_end_and_stops_the_clock() -> None:
    run = two_in_order()
    run.produce("c", 5)
    run.attempt("c", 5.9, 3, status=500)
    run.operate("pause", 6, user="u")
    run.operate("resume", 56, user="u")
    run.told["c"] = replace(run.told["c"], expires_at=at(85))
    run.attempt("c", 57, 3, token=2, number=2)
    assert run.found() == {}


def test_a_child_stands_where_its_parent_puts_it() -> None:
    """Stated before b2 and raised above its parent, which came later: it is not early, and b2 is not passed over."""
    run = two_in_order()
    run.produce("c", 5, stated=4.5, causal_parent="p")
    run.produce("p", 6, user="v", stated=5.8)
    run.produce("b2", 6.1, stated=5.5)
    run.attempt("p", 6.3, 1)
    run.attempt("b2", 6.4, 3)
    run.attempt("c", 6.6, 4)
    assert run.found() == {}


def test_unordered_ones_stand_in_no_line() -> None:
    run = two_in_order()
    run.produce("c", 2.5, unordered=True)
    run.attempt("c", 3.05, None, token=None, status=500)
    run.attempt("c", 4.05, None, token=None, number=2)
    assert run.found() == {}


def test_deadlines_are_not_judged_while_the_database_was_away() -> None:
    run = two_in_order()
    expired_too_late(run)
    run.outages = [Span(at(30), at(36))]
    assert run.found() == {}


def test_one_that_freezes_in_a_transaction_may_keep_its_users_for_five_seconds() -> None:
    run = two_in_order()
    expired_too_late(run)
    run.frozen = [Span(at(34), at(50))]
    assert run.found() == {}
    run.frozen = [Span(at(20), at(50))]
    assert run.found().keys() == {"expired late"}


def test_the_observer_imports_nothing_of_the_product() -> None:
    code = (
        "import sys, tests.support.observer\n"
        "print([name for name in sys.modules"
        " if name.partition('.')[0] in ('engagements', 'workers', 'deliveryproject', 'django', 'celery')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
