"""When a message of beat was last done by a worker: what "beat is alive" means here.

The row is written by the worker that does beat's sweep, so it proves the whole way: beat, broker, worker.
"""

from engagements.store.connection import Connection, fetch, run

DEAD_SECONDS = 10.0
"""Without a message for so long beat is taken for dead; it sends one a second."""

_TICK = """
INSERT INTO engagements_beattick AS t (id, at) VALUES (1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET at = clock_timestamp() WHERE t.at < clock_timestamp() - interval '500 ms'
"""

_SILENT = "SELECT date_part('epoch', clock_timestamp() - at) FROM engagements_beattick"


def tick(conn: Connection) -> None:
    """A message of beat has come."""
    run(conn, _TICK)


def silent_seconds(conn: Connection) -> float | None:
    """Since the last message of beat (s); None when there has never been one."""
    rows = fetch(conn, _SILENT)
    return max(0.0, rows[0][0]) if rows else None
