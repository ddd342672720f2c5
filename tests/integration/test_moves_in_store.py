"""The statements that write a status make the moves of domain/moves.py and no other, from whatever status they meet."""

import contextlib
from collections.abc import Callable
from uuid import UUID

import pytest

from engagements import services
from engagements.domain.errors import Conflict
from engagements.domain.moves import Move, Status
from engagements.services import produce
from engagements.store import expire, settle, unordered
from engagements.store.connection import Connection, run
from engagements.store.heads import Grant
from tests.support.store import claim_one, overdue, settlement, start_worker, status

Writer = Callable[[Connection, Grant], object]


def _sweep(conn: Connection, grant: Grant) -> None:
    overdue(conn, grant.id)
    expire.sweep(conn)


def _skip(conn: Connection, grant: Grant) -> None:
    with contextlib.suppress(Conflict):
        services.skip("ann", grant.id, actor="test")


def _replay(conn: Connection, grant: Grant) -> None:
    with contextlib.suppress(Conflict):
        services.replay(grant.id, actor="test")


def _cut(conn: Connection, grant: Grant) -> None:
    overdue(conn, grant.id)
    settle.postpone(conn, [settlement(grant, "cut")], worker="w1")


ORDERED: dict[str, tuple[Move, Writer]] = {
    "settle as delivered": (
        Move.DELIVER,
        lambda conn, grant: settle.settle(conn, [settlement(grant)], worker="w1"),
    ),
    "settle as failed": (
        Move.FAIL,
        lambda conn, grant: settle.settle(conn, [settlement(grant, "failed")], worker="w1"),
    ),
    "cut at the deadline": (Move.EXPIRE, _cut),
    "sweep": (Move.EXPIRE, _sweep),
    "purge": (Move.PURGE, lambda conn, grant: services.purge("ann", actor="test")),
    "skip": (Move.PURGE, _skip),
    "replay": (Move.REPLAY, _replay),
}

UNORDERED: dict[str, tuple[Move, Writer]] = {
    "settle as delivered": (
        Move.DELIVER,
        lambda conn, grant: unordered.settle(conn, [settlement(grant)], worker="w1"),
    ),
    "settle as failed": (
        Move.FAIL,
        lambda conn, grant: unordered.settle(conn, [settlement(grant, "failed")], worker="w1"),
    ),
    "sweep": (Move.EXPIRE, _sweep),
    "purge": (Move.PURGE, lambda conn, grant: services.purge_queue("unordered", actor="test")),
    "replay": (Move.REPLAY, _replay),
}


def _becomes(conn: Connection, id: UUID, found: Status) -> None:
    """As if somebody else had moved it meanwhile, by a statement of which this one knows nothing."""
    sql = """
    UPDATE engagements_engagement SET status = %s, settled_at = CASE WHEN %s THEN clock_timestamp() END WHERE id = %s
    """
    run(conn, sql, [found.value, found.settled, id])


def _expected(move: Move, found: Status) -> str:
    return move.target if move.allowed_from(found) else found


@pytest.mark.parametrize("found", list(Status))
@pytest.mark.parametrize("writer", ORDERED)
def test_an_ordered_engagement_moves_as_the_table_says(conn: Connection, writer: str, found: Status) -> None:
    move, write = ORDERED[writer]
    start_worker(conn, "w1")
    id = produce(user_id="ann", payload={}).engagement.id
    grant = claim_one(conn, "ann")
    _becomes(conn, id, found)

    write(conn, grant)

    assert status(id) == _expected(move, found)


@pytest.mark.parametrize("found", list(Status))
@pytest.mark.parametrize("writer", UNORDERED)
def test_an_unordered_engagement_moves_as_the_table_says(conn: Connection, writer: str, found: Status) -> None:
    move, write = UNORDERED[writer]
    start_worker(conn, "w1")
    id = produce(user_id="ann", payload={}, unordered=True).engagement.id
    [grant] = unordered.claim(conn, limit=1)
    _becomes(conn, id, found)

    write(conn, grant)

    assert status(id) == _expected(move, found)


def test_every_move_is_made_by_some_statement() -> None:
    assert {move for move, _ in ORDERED.values()} == {move for move, _ in UNORDERED.values()} == set(Move)
