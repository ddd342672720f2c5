"""Recording how attempts ended, and what moves up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings

from engagements import services
from engagements.models import Attempt
from engagements.services import produce, produce_bulk
from engagements.store import lease, settle
from engagements.store.connection import Connection
from engagements.store.heads import Grant
from tests.support.store import Connect, claim_one, engagement, overdue, pipeline, settlement, start_worker, status

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def worker(conn: Connection) -> None:
    start_worker(conn, "w1")


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def make(user: str = "ann", **fields: object) -> UUID:
    return produce(user_id=user, payload={}, **fields).engagement.id


def end(conn: Connection, grant: Grant, outcome: str = "delivered", **more: object) -> settle.Settled:
    function = settle.settle if outcome in ("delivered", "failed") else settle.postpone
    return function(conn, [settlement(grant, outcome, **more)], worker="w1")  # type: ignore[arg-type]


# --- Delivered and failed ---


def test_a_delivered_one_is_final_with_its_number_and_the_next_is_marked_with_it(conn: Connection) -> None:
    one, two = make(), make()
    grant = claim_one(conn, "ann")

    settled = end(conn, grant, answer="ok")

    assert (settled.ids, settled.asleep, settled.done, settled.busy, settled.lost) == ([one], {}, [], [], [])
    [successor] = settled.grants
    assert (successor.id, successor.sequence, successor.attempt) == (two, 2, 1)
    assert successor.token == grant.token  # the same lease goes on
    assert (successor.payload, successor.channel, successor.late) == ("{}", "log", False)
    assert 20 < successor.expires_in <= 30
    row = engagement(one)
    assert (row.status, row.sequence, row.attempts, row.last_error) == ("delivered", 1, 1, "")
    assert row.settled_at is not None
    assert (pipeline("ann").depth, pipeline("ann").in_service) == (1, two)


@pytest.mark.parametrize("number", [settle.FEW, settle.FEW + 1])
def test_one_that_somebody_holds_keeps_no_other_from_being_settled(
    conn: Connection, connect: Connect, number: int
) -> None:
    """Few are locked and settled on one way, more on two."""
    users = [f"u{n:02}" for n in range(number)]
    ids = {user: make(user) for user in users}
    grants = lease.claim(conn, users, worker="w1").grants
    somebody = connect()
    with somebody.transaction():
        somebody.execute("SELECT FROM engagements_pipeline WHERE user_id = %s FOR UPDATE", [users[1]])
        settled = settle.settle(conn, [settlement(grant) for grant in grants], worker="w1")

    assert settled.busy == [users[1]]
    assert (sorted(settled.done), settled.lost) == (users[:1] + users[2:], [])
    assert {user: status(id) for user, id in ids.items()} == {
        user: "pending" if user == users[1] else "delivered" for user in users
    }
    assert Attempt.objects.count() == number - 1


def test_the_last_one_leaves_the_pipeline_idle_and_unleased(conn: Connection) -> None:
    make()
    settled = end(conn, claim_one(conn, "ann"))
    assert (settled.done, settled.grants) == (["ann"], [])
    row = pipeline("ann")
    assert (row.depth, row.due_at, row.in_service, row.lease_worker, row.lease_until) == (0, None, None, None, None)
    assert (row.worker, row.sequence) == ("w1", 1)


def test_a_failed_one_is_a_dead_letter_and_the_next_moves_up(conn: Connection) -> None:
    one, two = make(), make()
    settled = end(conn, claim_one(conn, "ann"), "failed", answer="410 gone")
    assert [grant.id for grant in settled.grants] == [two]
    assert (engagement(one).status, engagement(one).last_error) == ("failed", "410 gone")


def test_many_users_are_settled_in_one_transaction(conn: Connection) -> None:
    users = [f"u{n}" for n in range(300)]
    produce_bulk([{"user_id": user, "payload": {}} for user in users])
    grants = lease.claim(conn, users, worker="w1").grants
    settled = settle.settle(conn, [settlement(grant) for grant in reversed(grants)], worker="w1")
    assert sorted(settled.done) == sorted(users)
    assert {status(grant.id) for grant in grants} == {"delivered"}


@pytest.mark.parametrize("answer", ["", "a\nb", 'quote " and \\ back', "{a,b}", "NULL", "ünï 🙂"])
def test_an_answer_is_recorded_as_it_came(conn: Connection, answer: str) -> None:
    one = make()
    end(conn, claim_one(conn, "ann"), answer=answer)
    [attempt] = Attempt.objects.filter(engagement_id=one)
    assert attempt.answer == answer


def test_an_attempts_record_says_who_when_and_for_how_long(conn: Connection) -> None:
    one = make()
    grant = claim_one(conn, "ann")
    before = ago(0)
    settle.settle(conn, [settle.Settlement("ann", grant.token, one, "delivered", "200", 0.0, 2.0, 0.25)], worker="w1")
    [attempt] = Attempt.objects.filter(engagement_id=one)
    assert (attempt.number, attempt.worker, attempt.sequence, attempt.token) == (1, "w1", 1, grant.token)
    assert (attempt.outcome, attempt.answer, attempt.duration_seconds) == ("delivered", "200", 0.25)
    assert abs(attempt.started_at - (before - timedelta(seconds=2.25))) < timedelta(seconds=5)


def test_a_worker_that_stops_is_given_nothing_more(conn: Connection) -> None:
    make()
    two = make()
    settled = settle.settle(conn, [settlement(claim_one(conn, "ann"))], worker="w1", serve_next=False)
    assert (settled.grants, settled.asleep) == ([], {"ann": 0.0})
    assert pipeline("ann").lease_worker is None
    assert (claim_one(conn, "ann").id, pipeline("ann").sequence) == (two, 2)


# --- What does not simply move up ---


def test_a_child_is_left_to_a_claim_which_knows_its_parent(conn: Connection) -> None:
    make()
    make(causal_parent=uuid4())
    settled = end(conn, claim_one(conn, "ann"))
    assert (settled.grants, settled.asleep) == ([], {"ann": 0.0})
    assert lease.claim(conn, ["ann"], worker="w1").grants == []
    assert pipeline("ann").sequence == 1


def test_one_inside_its_reorder_window_is_waited_for(conn: Connection, settings: Settings) -> None:
    settings.REORDER_WINDOW_MS = 3000
    make()
    grant = claim_one(conn, "ann")
    held = make(produced_at=ago(-1))
    settled = end(conn, grant)
    assert settled.grants == []
    assert 1 < settled.asleep["ann"] <= 3
    assert pipeline("ann").due_at == engagement(held).held_until


def test_an_overdue_successor_is_left_to_a_claim_which_expires_it(conn: Connection) -> None:
    make()
    two, three = make(), make()
    grant = claim_one(conn, "ann")
    overdue(conn, two)
    settled = end(conn, grant)
    assert (settled.grants, settled.asleep) == ([], {"ann": 0.0})
    claim = lease.claim(conn, ["ann"], worker="w1")
    assert (claim.expired, [one.id for one in claim.grants]) == ([two], [three])


def test_a_paused_pipelines_attempt_settles_and_nothing_moves_up(conn: Connection) -> None:
    one = make()
    make()
    grant = claim_one(conn, "ann")
    services.pause("ann", actor="test")
    settled = end(conn, grant)
    assert (settled.ids, settled.grants) == ([one], [])
    assert pipeline("ann").in_service is None


def test_one_that_came_late_is_next(conn: Connection) -> None:
    make()
    two = make()
    grant = claim_one(conn, "ann")
    late = make(produced_at=ago(3600))
    [second] = end(conn, grant).grants
    assert (second.id, second.late, second.sequence) == (late, True, 2)
    [third] = end(conn, second).grants
    assert (third.id, third.late, third.sequence) == (two, False, 3)


def test_what_was_attempted_is_the_measure_of_late_also_after_a_late_one(conn: Connection) -> None:
    first = produce(user_id="ann", payload={}, produced_at=ago(10)).engagement
    end(conn, claim_one(conn, "ann"))
    make(produced_at=ago(3600))
    end(conn, claim_one(conn, "ann"))
    assert pipeline("ann").last_order_time == first.order_time
    assert engagement(make(produced_at=ago(20))).late


# --- Sessions ---


def test_settling_pushes_the_session_forward(conn: Connection) -> None:
    make()
    grant = claim_one(conn, "ann")
    conn.execute("UPDATE engagements_pipeline SET session_until = clock_timestamp()")
    end(conn, grant)
    until = pipeline("ann").session_until
    assert until is not None
    assert until > ago(-250)


def test_settling_does_not_bring_an_ended_session_back(conn: Connection) -> None:
    make()
    grant = claim_one(conn, "ann")
    services.end_session("ann", actor="test")
    end(conn, grant, "retry")
    end(conn, claim_one(conn, "ann"))
    assert pipeline("ann").session_until is None


# --- Retries, in place ---


def test_a_retry_gives_up_the_lease_and_stays_in_service(conn: Connection) -> None:
    one = make()
    make()
    grant = claim_one(conn, "ann")

    postponed = end(conn, grant, "retry", answer="503", delay=4.0)

    assert (postponed.ids, postponed.done, postponed.lost) == ([], [], [])
    assert 3 < postponed.asleep["ann"] <= 4
    row = pipeline("ann")
    assert (row.in_service, row.sequence, row.lease_worker, row.depth) == (one, 1, None, 2)
    assert (engagement(one).attempts, engagement(one).last_error, engagement(one).status) == (1, "503", "pending")
    [attempt] = Attempt.objects.filter(engagement_id=one)
    assert (attempt.number, attempt.outcome) == (1, "retry")


def test_a_retry_later_than_the_deadline_is_looked_at_when_that_passes(conn: Connection) -> None:
    one = make(timeout_seconds=20)
    postponed = end(conn, claim_one(conn, "ann"), "retry", delay=3600.0)
    assert 15 < postponed.asleep["ann"] <= 20
    assert pipeline("ann").due_at == engagement(one).expires_at


def test_attempts_count_up_through_retries_to_the_end(conn: Connection) -> None:
    one = make()
    for _ in range(3):
        end(conn, claim_one(conn, "ann"), "retry", answer="no")
    end(conn, claim_one(conn, "ann"))
    row = engagement(one)
    assert (row.status, row.attempts, row.sequence, row.last_error) == ("delivered", 4, 1, "")
    assert list(Attempt.objects.values_list("number", "outcome", "sequence")) == [
        (1, "retry", 1),
        (2, "retry", 1),
        (3, "retry", 1),
        (4, "delivered", 1),
    ]


def test_what_was_interrupted_goes_first_at_once(conn: Connection) -> None:
    one = make()
    assert end(conn, claim_one(conn, "ann"), "interrupted").asleep == {"ann": 0.0}
    assert claim_one(conn, "ann").id == one


# --- Cut at the deadline ---


def test_one_cut_at_its_deadline_is_expired_with_its_number(conn: Connection) -> None:
    one = make()
    grant = claim_one(conn, "ann")
    overdue(conn, one, seconds=0)
    cut = end(conn, grant, "cut", answer="no answer before the deadline")
    assert (cut.ids, cut.done, cut.asleep) == ([one], ["ann"], {})
    row = engagement(one)
    assert (row.status, row.sequence, row.attempts) == ("expired", 1, 1)
    assert row.last_error == "no answer before the deadline"
    assert pipeline("ann").lease_token > grant.token


def test_one_cut_before_its_deadline_is_tried_again(conn: Connection) -> None:
    """The clocks of the two need not agree to the millisecond, and a resume may have moved the deadline."""
    one = make()
    cut = end(conn, claim_one(conn, "ann"), "cut")
    assert (cut.ids, cut.asleep) == ([], {"ann": 0.0})
    assert claim_one(conn, "ann").id == one


def test_one_cut_while_paused_stays_pending_and_goes_first_when_resumed(conn: Connection) -> None:
    one = make()
    grant = claim_one(conn, "ann")
    services.pause("ann", actor="test")
    overdue(conn, one, seconds=0)
    cut = end(conn, grant, "cut")
    assert (cut.ids, status(one)) == ([], "pending")
    conn.execute("UPDATE engagements_pipeline SET paused_at = clock_timestamp() - interval '10 seconds'")
    conn.execute("UPDATE engagements_engagement SET received_at = received_at - interval '1 minute'")
    services.resume("ann", actor="test")
    again = claim_one(conn, "ann")
    assert (again.id, again.attempt, again.sequence) == (one, 2, 1)


# --- The fence ---


@pytest.mark.parametrize("outcome", ["delivered", "failed", "retry", "cut", "interrupted"])
def test_a_wrong_token_or_engagement_writes_nothing(conn: Connection, outcome: str) -> None:
    one = make()
    grant = claim_one(conn, "ann")
    before = pipeline("ann").__dict__ | {"_state": None}
    for forged in (
        grant._replace(token=grant.token - 1),
        grant._replace(token=grant.token + 1),
        grant._replace(id=uuid4()),
        grant._replace(user_id="bob"),
    ):
        lost = end(conn, forged, outcome)
        assert (lost.lost, lost.ids, lost.grants) == ([forged.user_id], [], [])
    assert pipeline("ann").__dict__ | {"_state": None} == before
    assert (status(one), Attempt.objects.count()) == ("pending", 0)


def test_a_lease_whose_time_is_over_still_settles_while_nobody_has_taken_it(conn: Connection) -> None:
    one = make()
    grant = claim_one(conn, "ann")
    conn.execute("UPDATE engagements_pipeline SET lease_until = clock_timestamp() - interval '1 minute'")
    assert end(conn, grant).ids == [one]
