"""Unordered engagements: leased row by row, retried alone, in nobody's way."""

from datetime import timedelta
from uuid import UUID

import pytest

from engagements.models import Attempt, Pipeline
from engagements.services import produce, replay, set_timeout
from engagements.store import unordered
from engagements.store.connection import Connection
from engagements.store.heads import Grant
from tests.support.store import Connect, engagement, overdue, settlement, status

pytestmark = pytest.mark.usefixtures("database")


def make(**fields: object) -> UUID:
    return produce(user_id="ann", payload={"n": 1}, unordered=True, **fields).engagement.id


def end(conn: Connection, grant: Grant, outcome: str = "delivered", **more: object) -> unordered.Settled:
    return unordered.settle(conn, [settlement(grant, outcome, **more)], worker="w1")  # type: ignore[arg-type]


def test_a_grant_has_no_sequence_and_counts_its_attempt(conn: Connection) -> None:
    one = make()
    [grant] = unordered.claim(conn, limit=5)
    assert (grant.id, grant.user_id, grant.payload, grant.sequence, grant.attempt) == (one, "ann", '{"n": 1}', None, 1)
    assert 20 < grant.expires_in <= 30
    assert engagement(one).attempts == 1


def test_the_oldest_go_first_and_nobody_gets_one_twice(connect: Connect) -> None:
    first, second = connect(), connect()
    ids = [make() for _ in range(6)]
    assert {grant.id for grant in unordered.claim(first, limit=2)} == set(ids[:2])
    with first.transaction():
        assert {grant.id for grant in unordered.claim(first, limit=2)} == set(ids[2:4])
        assert {grant.id for grant in unordered.claim(second, limit=9)} == set(ids[4:])
    assert unordered.claim(second, limit=9) == []


def test_a_lease_that_ran_out_is_taken_over_and_fenced(conn: Connection) -> None:
    one = make()
    [old] = unordered.claim(conn, limit=1)
    conn.execute("UPDATE engagements_engagement SET held_until = clock_timestamp()")
    [new] = unordered.claim(conn, limit=1)
    assert (new.id, new.token, new.attempt) == (one, old.token + 1, 2)
    assert unordered.renew(conn, {one: old.token}) == set()
    assert end(conn, old) == unordered.Settled()
    assert end(conn, new).ids == [one]


def test_a_settle_of_its_former_life_finds_a_replayed_one_fenced(conn: Connection) -> None:
    one = make()
    [old] = unordered.claim(conn, limit=1)
    assert end(conn, old, "failed").ids == [one]
    replay(one, actor="test")
    assert end(conn, old, "failed") == unordered.Settled()
    assert status(one) == "pending"


def test_a_replayed_one_takes_no_time_out_from_the_pipeline_that_it_does_not_touch(conn: Connection) -> None:
    one = make()
    [grant] = unordered.claim(conn, limit=1)
    end(conn, grant, "failed")
    set_timeout("ann", 5, actor="test")
    replayed = replay(one, actor="test")
    assert replayed.expires_at - replayed.received_at == timedelta(seconds=30)


def test_delivered_and_failed_are_final(conn: Connection) -> None:
    one, two = make(), make()
    grants = {grant.id: grant for grant in unordered.claim(conn, limit=2)}
    assert end(conn, grants[one]).ids == [one]
    assert end(conn, grants[two], "failed", answer="410").ids == [two]
    assert (status(one), status(two), engagement(two).last_error) == ("delivered", "failed", "410")
    assert set(Attempt.objects.values_list("engagement_id", "number", "sequence", "outcome")) == {
        (one, 1, None, "delivered"),
        (two, 1, None, "failed"),
    }


def test_a_retry_waits_for_its_time_and_not_beyond_the_deadline(conn: Connection) -> None:
    one, two = make(), make(timeout_seconds=10)
    grants = {grant.id: grant for grant in unordered.claim(conn, limit=2)}
    again = end(conn, grants[one], "retry", delay=0.0, answer="503").again
    assert again[one] == pytest.approx(0, abs=0.1)
    assert 5 < end(conn, grants[two], "retry", delay=3600.0).again[two] <= 10
    [grant] = unordered.claim(conn, limit=5)
    assert (grant.id, grant.attempt, engagement(one).last_error) == (one, 2, "503")


def test_what_ends_after_its_deadline_is_delivered_or_else_expired(conn: Connection) -> None:
    """The first settle to commit wins."""
    one, two = make(), make()
    grants = {grant.id: grant for grant in unordered.claim(conn, limit=2)}
    overdue(conn, one, two, seconds=0)
    assert end(conn, grants[one]).ids == [one]
    assert end(conn, grants[two], "cut").ids == [two]
    assert (status(one), status(two)) == ("delivered", "expired")


def test_an_overdue_one_is_not_claimed(conn: Connection) -> None:
    overdue(conn, make())
    assert unordered.claim(conn, limit=1) == []


def test_renewing_keeps_it_and_releasing_gives_it_away(conn: Connection) -> None:
    one = make()
    [grant] = unordered.claim(conn, limit=1)
    conn.execute("UPDATE engagements_engagement SET held_until = clock_timestamp() + interval '0.1 s'")
    assert unordered.renew(conn, {one: grant.token}) == {one}
    assert unordered.claim(conn, limit=1) == []
    unordered.release(conn, {})
    unordered.release(conn, {one: grant.token - 1})
    assert unordered.claim(conn, limit=1) == []
    unordered.release(conn, {one: grant.token})
    assert [again.id for again in unordered.claim(conn, limit=1)] == [one]


def test_many_are_settled_at_once(conn: Connection) -> None:
    ids = {make() for _ in range(50)}
    grants = unordered.claim(conn, limit=50)
    settled = unordered.settle(conn, [settlement(grant) for grant in grants], worker="w1")
    assert set(settled.ids) == ids
    assert not Pipeline.objects.exists()
