"""Engagements that settled at a time and with a latency of the test's choosing, as if they had been delivered then."""

from engagements.store.connection import Connection, run

_SETTLED = """
INSERT INTO engagements_engagement (id, user_id, payload, produced_at, received_at, expires_at, settled_at, order_time,
    held_until, arrival, status, causal_parent, unordered, channel, late, sequence, lease_token, attempts, replays,
    last_error, timeout_seconds, content_digest)
SELECT gen_random_uuid(), %(user)s, '{}', t.at, t.at, t.at + interval '1 day', t.at + %(latency)s * interval '1 second',
    t.at, t.at, nextval('engagements_arrival'), %(status)s, NULL, false, 'log', %(late)s, NULL, 0, 1, 0, '', NULL, ''
FROM generate_series(1, %(number)s) n, LATERAL (
    SELECT clock_timestamp() - (%(ago)s + %(latency)s) * interval '1 second' AS at) t
"""


def settled(
    conn: Connection,
    number: int = 1,
    *,
    status: str = "delivered",
    ago: float = 60.0,
    latency: float = 0.1,
    late: bool = False,
    user: str = "history",
) -> None:
    """So many engagements with this status that settled `ago` seconds ago, `latency` seconds after their receipt."""
    names = {"number": number, "status": status, "ago": ago, "latency": latency, "late": late, "user": user}
    assert run(conn, _SETTLED, names) == number


def start_counting(conn: Connection, *, ago: float) -> None:
    """As if everything up to then had been counted."""
    from engagements.store import rollups

    rollups.count_settled(conn)
    run(
        conn,
        "UPDATE engagements_settledcount SET counted_until = clock_timestamp() - %s * interval '1 second'",
        [ago],
    )
