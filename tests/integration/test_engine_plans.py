"""The lanes plan their statements anew when the tables have changed their size."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engagements.store.connection import Connection, fetch, run
from workers.engine.lane import Lane
from workers.engine.plans import Plans

QUERY = "SELECT count(*) FROM engagements_pipeline WHERE user_id = %s"

GROW = """
INSERT INTO engagements_pipeline (user_id, lease_token, attempt, sequence, depth)
SELECT 'grown-' || n, 0, 0, 0, 0 FROM generate_series(1, 5000) n
"""


@pytest.fixture
def unwatched(conn: Connection) -> Iterator[None]:
    """Nobody else makes PostgreSQL plan anew meanwhile."""
    conn.execute("ALTER TABLE engagements_pipeline SET (autovacuum_enabled = off)")
    yield
    conn.execute("ALTER TABLE engagements_pipeline SET (autovacuum_enabled = on)")


def scan(conn: Connection) -> str:
    """How the statement runs that this connection has prepared."""
    for _ in range(5):
        fetch(conn, QUERY, ["ann"])
    [(name,)] = conn.execute(
        "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%% user_id = $1'"
    ).fetchall()
    plan: Any = conn.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name}('ann')").fetchone()
    return str(plan[0][0]["Plan"]["Plans"][0]["Node Type"])


@pytest.mark.usefixtures("unwatched")
def test_a_plan_for_an_empty_table_does_not_outlive_its_growth(conn: Connection) -> None:
    conn.execute("VACUUM FULL ANALYZE engagements_pipeline")

    async def story() -> list[str]:
        lane = Lane("plans", application_name="plans")
        plans = Plans([lane])
        found = []
        await plans.look(lane)
        found.append(await lane.run(scan))
        run(conn, GROW)
        found.append(await lane.run(scan))
        await plans.look(lane)
        found.append(await lane.run(scan))
        await plans.look(lane)
        await lane.close()
        return found

    small, stale, anew = asyncio.run(story())

    assert small == stale == "Seq Scan"
    assert anew in {"Index Scan", "Index Only Scan"}
