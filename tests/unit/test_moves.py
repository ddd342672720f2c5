"""The statuses, and every legal change of them."""

import pytest

from engagements.domain.moves import Move, Status
from engagements.models import FINAL, PENDING, Engagement

FINAL_STATUSES = [status for status in Status if status.settled]


def test_all_statuses_but_pending_are_final() -> None:
    assert [status for status in Status if not status.settled] == [Status.PENDING]


def test_the_tables_know_the_same_statuses() -> None:
    """The models spell them out, so that migrations need no domain."""
    assert {*FINAL, PENDING} == set(Status)
    assert set(Engagement.Status.values) == set(Status)


@pytest.mark.parametrize("move", [Move.DELIVER, Move.EXPIRE, Move.FAIL, Move.PURGE])
def test_what_settles_starts_from_pending_only(move: Move) -> None:
    assert [status for status in Status if move.allowed_from(status)] == [Status.PENDING]
    assert move.target.settled


def test_only_a_failed_or_expired_one_is_replayed() -> None:
    allowed = {status for status in Status if Move.REPLAY.allowed_from(status)}
    assert allowed == {Status.FAILED, Status.EXPIRED}
    assert Move.REPLAY.target is Status.PENDING


def test_a_delivered_or_purged_one_never_moves_again() -> None:
    for status in (Status.DELIVERED, Status.PURGED):
        assert not any(move.allowed_from(status) for move in Move)


def test_every_final_status_is_reached_by_exactly_one_move() -> None:
    """The move is named, not the pair of states: retry and replay both end in pending, and only one is a move."""
    assert sorted(move.target for move in Move if move.target.settled) == sorted(FINAL_STATUSES)
