"""The plans of the hot statements at 1,000 and at 1,000,000 engagements.

    python -m benchmarks.plans [--engagements 1000000] [--users 200000]

Prints each statement's plan, the rows it read and its time at both sizes. Exits with 1 when one reads a whole table, or
far more rows than it is about: plans that look fine on a small table and are ruinous on a large one.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from benchmarks.explain import Ran, watched
from benchmarks.large import load
from benchmarks.stage import stage

SMALL_USERS, SMALL_ENGAGEMENTS = 200, 1000

BATCH = 500
"""Users of a claim or a settle."""

RUNS = 8
"""PostgreSQL tries a prepared statement's own plan five times before it considers the one for all parameters."""

ROWS_PER_ITEM = 40
"""Rows that a statement may read for each row that it is about: its pipeline, its neighbours, its parent …"""

ROWS_FREE = 200
"""And rows that it may read in any case."""


def too_much(ran: Ran, items: int) -> str:
    """What is wrong with this plan, or an empty text."""
    if ran.whole_tables:
        return f"reads all of {', '.join(ran.whole_tables)}"
    if ran.rows_read > ROWS_FREE + ROWS_PER_ITEM * items:
        return f"reads {ran.rows_read:,.0f} rows for {items}"
    return ""


@contextmanager
def database(name: str) -> Iterator[psycopg.Connection]:
    """A migrated database of this name, as Django's own and with an engine's connection to it."""
    from django.core.management import call_command
    from django.db import connection, connections

    from engagements.store.connection import dedicated

    connection.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connections.close_all()
    before, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], name
    try:
        call_command("migrate", verbosity=0)
        with dedicated(application_name="plans") as conn:
            yield conn
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = before


def measure(conn: psycopg.Connection, *, batch: int = BATCH) -> dict[tuple[str, str], tuple[Ran, int]]:
    """(work, statement) → how it ran at last, and how many rows it was about."""
    from benchmarks.hot import Hot  # needs Django, which main() sets up

    conn.execute("SET idle_in_transaction_session_timeout = 0")
    found: dict[tuple[str, str], tuple[Ran, int]] = {}
    for work in Hot(conn, batch=batch):
        for last in [False] * (RUNS - 1) + [True]:
            with conn.transaction(force_rollback=True):
                if work.prepare is not None:
                    work.prepare()
                if not last:
                    work.run()
                    continue
                with watched(conn) as ran:
                    work.run()
                for one in ran:
                    if "engagements_" in one.sql:
                        found[work.name, one.sql] = (one, work.items)
        conn.execute("VACUUM engagements_pipeline, engagements_engagement")  # what was rolled back
    return found


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--engagements", type=int, default=1_000_000)
    arguments.add_argument("--users", type=int, default=200_000)
    options = arguments.parse_args()
    with stage():
        with database("small") as conn:
            load(conn, users=SMALL_USERS, engagements=SMALL_ENGAGEMENTS)
            small = measure(conn)
        with database("large") as conn:
            load(conn, users=options.users, engagements=options.engagements)
            large = measure(conn)
    wrong = 0
    previous = ""
    for (name, statement), (ran, items) in large.items():
        if name != previous:
            print(f"\n{name} ({items})")
            previous = name
        problem = too_much(ran, items)
        wrong += bool(problem)
        before = small.get((name, statement))
        small_time = f"{before[0].milliseconds:8.2f}" if before else "       -"
        words = " ".join(statement.split())
        print(
            f"  {small_time} → {ran.milliseconds:8.2f} ms  {ran.rows_read:9,.0f} rows  {ran.blocks:7,} pages  "
            f"{words[:60]:60}  {ran.shape}{'  !!! ' + problem if problem else ''}"
        )
    print(f"\n{wrong} statements read too much at {options.engagements:,} engagements of {options.users:,} users.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
