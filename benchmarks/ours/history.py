"""Databases as they look after a while, made once by COPY: many pipelines, and a history of settled engagements."""

import datetime as dt
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

CHUNK = 10_000

_PIPELINES = """
COPY engagements_pipeline (user_id, lease_token, attempt, sequence, depth, last_order_time) FROM STDIN
"""

_ENGAGEMENTS = """
COPY engagements_engagement (id, user_id, payload, produced_at, received_at, expires_at, settled_at, order_time,
    held_until, arrival, status, unordered, channel, late, sequence, lease_token, attempts, replays, last_error,
    content_digest) FROM STDIN
"""

_ATTEMPTS = """
COPY engagements_attempt (engagement_id, number, worker, sequence, token, started_at, duration_seconds, outcome, answer)
FROM STDIN
"""

# Without what a constraint needs: faster to make at the end than to keep up row by row.
_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
JOIN pg_class t ON t.oid = i.indrelid
WHERE t.relname = ANY(%s) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def fill(connection: psycopg.Connection[Any], *, pipelines: int, settled: int) -> None:
    """Into a migrated database with no engagements: idle pipelines, each with its part of what was delivered over the
    last six days."""
    end = dt.datetime.now(dt.UTC)
    tables = ["engagements_engagement", "engagements_attempt", "engagements_pipeline"]
    indexes = connection.execute(_INDEXES, [tables]).fetchall() if settled else []
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    _copy(connection, _PIPELINES, _pipelines(pipelines, settled, end))
    if settled:
        _copy(connection, _ENGAGEMENTS, _engagements(pipelines, settled, end))
        _copy(connection, _ATTEMPTS, _attempts(pipelines, settled, end))
        connection.execute("SELECT setval('engagements_arrival', %s)", [settled])
    for _, definition in indexes:
        connection.execute(definition)
    connection.execute(f"VACUUM (ANALYZE, FREEZE) {', '.join(tables)}")
    connection.execute("CHECKPOINT")


def _copy(connection: psycopg.Connection[Any], statement: str, lines: Iterator[str]) -> None:
    with connection.transaction(), connection.cursor().copy(statement) as copy:
        chunk = []
        for line in lines:
            chunk.append(line)
            if len(chunk) == CHUNK:
                copy.write("".join(chunk))
                chunk.clear()
        copy.write("".join(chunk))


def _when(number: int, settled: int, end: dt.datetime) -> str:
    return (end - dt.timedelta(days=6) * ((settled - number) / settled)).isoformat()


def _id(number: int) -> UUID:
    return UUID(int=0x4000_8000_0000_0000_0000 + number)


def _pipelines(pipelines: int, settled: int, end: dt.datetime) -> Iterator[str]:
    last = end.isoformat() if settled else r"\N"
    for n in range(pipelines):
        yield f"user-{n}\t1\t1\t{settled // pipelines + 1}\t0\t{last}\n"


def _engagements(pipelines: int, settled: int, end: dt.datetime) -> Iterator[str]:
    for n in range(settled):
        at = _when(n, settled, end)
        times = f"{at}\t" * 6
        yield (
            f'{_id(n)}\tuser-{n % pipelines}\t{{"n": {n}, "text": "hello"}}\t{times}{n + 1}\t'
            f"delivered\tf\tnull\tf\t{n // pipelines + 1}\t0\t1\t0\t\t\\\\x\n"
        )


def _attempts(pipelines: int, settled: int, end: dt.datetime) -> Iterator[str]:
    for n in range(settled):
        yield f"{_id(n)}\t1\tw1\t{n // pipelines + 1}\t1\t{_when(n, settled, end)}\t0.01\tdelivered\t\n"
