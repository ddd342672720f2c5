"""A stored backlog, drained by started workers: from the first attempt to the last settle, by PostgreSQL's clock."""

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

LOOK_SECONDS = 0.02
"""How exactly the end is seen; a look at the attempts made costs next to nothing."""

_ATTEMPTS = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM engagements_attempt_id_seq"

_PENDING = """
SELECT EXISTS (SELECT FROM engagements_pipeline WHERE due_at IS NOT NULL)
    OR EXISTS (SELECT FROM engagements_engagement WHERE status = 'pending' AND unordered)
"""

# In the shapes with one user that stands apart, that is user-0.
_FIGURES = """
WITH e AS (
    SELECT e.user_id = 'user-0' AS apart, e.settled_at, e.status, a.started_at
    FROM engagements_engagement e LEFT JOIN engagements_attempt a ON a.engagement_id = e.id
)
SELECT count(*) AS done, count(*) FILTER (WHERE status = 'delivered') AS delivered,
    count(*) / extract(epoch FROM max(settled_at) - min(started_at))::float8 AS rate,
    (count(*) FILTER (WHERE NOT apart)
        / extract(epoch FROM max(settled_at) FILTER (WHERE NOT apart) - min(started_at)))::float8 AS others,
    (count(*) FILTER (WHERE apart)
        / extract(epoch FROM max(settled_at) FILTER (WHERE apart) - min(started_at)))::float8 AS one
FROM e
"""


class NotDelivered(Exception):
    """The workers did not deliver everything in time, or some of it otherwise than planned."""


def attempts_made(connection: psycopg.Connection[Any]) -> int:
    """How many have been recorded in this database so far."""
    [(made,)] = connection.execute(_ATTEMPTS).fetchall()
    return int(made)


def wait_until_settled(
    connection: psycopg.Connection[Any], *, count: int, before: int = 0, seconds: float = 600.0
) -> None:
    """Until nothing is pending, with so many attempts at the least. before: attempts that had been made."""
    until = time.monotonic() + seconds
    while attempts_made(connection) - before < count or connection.execute(_PENDING).fetchall() != [(False,)]:
        if time.monotonic() > until:
            raise NotDelivered(f"{attempts_made(connection) - before} attempts in {seconds:.0f} s, for {count}")
        time.sleep(LOOK_SECONDS)


def figures(connection: psycopg.Connection[Any], *, count: int, apart: bool = False) -> dict[str, float]:
    """rate, and where one user stands apart: the rate of the others, and of that one."""
    row = connection.cursor(row_factory=dict_row).execute(_FIGURES).fetchone()
    if row is None or row["delivered"] != count:
        raise NotDelivered(f"{row and row['delivered']} of {count} were delivered")
    names: Sequence[str] = ("rate", "others", "one") if apart else ("rate",)
    return {name: float(row[name]) for name in names}
