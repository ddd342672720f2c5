"""Deleting old history in batches: engagements settled longer ago than the retention, with their attempts.

Parents of pending children are spared: a child must still see that its parent was settled. Pipelines stay: they carry
the sequence that receivers rely on.
"""

from datetime import timedelta

from engagements.store.connection import Connection, fetch_dicts, run

BATCH = 1000
"""Engagements per transaction."""

# In order of arrival, so that the walk ends at the first batch that is too young as a whole.
_OLDEST = """
SELECT e.id, e.arrival, e.received_at < clock_timestamp() - %(keep)s AS old,
    e.settled_at < clock_timestamp() - %(keep)s AND NOT EXISTS (
        SELECT FROM engagements_engagement c WHERE c.causal_parent = e.id AND c.status = 'pending') AS deletable
FROM engagements_engagement e WHERE e.arrival > %(after)s ORDER BY e.arrival LIMIT %(limit)s
"""

_DELETE = """
WITH gone AS (
    DELETE FROM engagements_engagement WHERE id = ANY(%(ids)s) AND settled_at < clock_timestamp() - %(keep)s
    RETURNING id
)
DELETE FROM engagements_attempt WHERE engagement_id IN (SELECT id FROM gone)
"""


# Nothing refers to the row but the console: a pipeline pinned to an unknown worker is moved like one of a dead worker.
_DELETE_WORKERS = "DELETE FROM engagements_worker WHERE heartbeat_at < clock_timestamp() - %s"


_DELETE_IMPORTS = "DELETE FROM engagements_importfile WHERE made_at < clock_timestamp() - %s"


def delete_imports(conn: Connection, *, keep: timedelta) -> int:
    """Forget files of engagements that were handed in longer than `keep` ago, stored or not; how many."""
    return run(conn, _DELETE_IMPORTS, [keep])


# One under way stays until it has ended; one that nobody has confirmed is forgotten with the page that showed it.
_DELETE_OPERATIONS = """
DELETE FROM engagements_operation WHERE (finished_at IS NOT NULL AND made_at < clock_timestamp() - %(keep)s)
    OR (started_at IS NULL AND made_at < clock_timestamp() - %(unconfirmed)s)
"""


def delete_operations(conn: Connection, *, keep: timedelta, unconfirmed: timedelta) -> int:
    """Forget actions on many that have ended, and those that were shown and not confirmed; how many."""
    return run(conn, _DELETE_OPERATIONS, {"keep": keep, "unconfirmed": unconfirmed})


def delete_workers(conn: Connection, *, keep: timedelta) -> int:
    """Forget workers that have been silent for longer than `keep`: hosts come and go under new names; how many."""
    return run(conn, _DELETE_WORKERS, [keep])


def delete_old(conn: Connection, *, keep: timedelta, batches: int) -> int:
    """Delete up to `batches` batches of what settled longer than `keep` ago; how many engagements were chosen.

    What has to stay is walked past, however much of it there is.
    Stopped in the middle it has deleted whole batches; the next run goes on.
    """
    deleted, after = 0, 0
    while batches:
        rows = fetch_dicts(conn, _OLDEST, {"keep": keep, "after": after, "limit": BATCH})
        ids = [row["id"] for row in rows if row["deletable"]]
        if ids:
            run(conn, _DELETE, {"ids": ids, "keep": keep})
            deleted += len(ids)
            batches -= 1
        if len(rows) < BATCH or not rows[-1]["old"]:
            break
        after = rows[-1]["arrival"]
    return deleted
