"""The order of everything that was recorded, judged from PostgreSQL alone."""

import psycopg

# An attempt's start is taken down by PostgreSQL when it is settled, and so is never before it really began: what
# begins too early here did.
_VIOLATIONS = {
    "neighbours in one user's sequence that stand against (order time, arrival)": """
        SELECT count(*) FROM (
            SELECT (order_time, arrival) < lag((order_time, arrival)) OVER line AS back
            FROM engagements_engagement WHERE sequence IS NOT NULL AND NOT late AND arrival > %s
            WINDOW line AS (PARTITION BY user_id ORDER BY sequence)
        ) pairs WHERE back""",
    "begun before the one before it of the same user was settled": """
        SELECT count(*) FROM (
            SELECT a.started_at < lag(e.settled_at) OVER (PARTITION BY e.user_id ORDER BY e.sequence) AS early
            FROM engagements_engagement e JOIN LATERAL (
                SELECT min(started_at) AS started_at FROM engagements_attempt WHERE engagement_id = e.id) a ON true
            WHERE e.sequence IS NOT NULL AND e.arrival > %s
        ) pairs WHERE early""",
    "begun before its causal parent was settled": """
        SELECT count(*) FROM engagements_engagement e
        JOIN engagements_engagement p ON p.id = e.causal_parent
        JOIN engagements_attempt a ON a.engagement_id = e.id
        WHERE a.started_at < p.settled_at AND e.arrival > %s""",
    "delivered more than once": """
        SELECT count(*) FROM (
            SELECT FROM engagements_attempt a JOIN engagements_engagement e ON e.id = a.engagement_id
            WHERE a.outcome = 'delivered' AND e.arrival > %s GROUP BY e.id HAVING count(*) > 1
        ) repeated""",
}


def violations(connection: psycopg.Connection[tuple[object, ...]], *, after_arrival: int = 0) -> dict[str, int]:
    """What was found among what arrived after that number, by its description; empty when the order held."""
    connection.execute("ANALYZE engagements_attempt, engagements_engagement")
    found = {}
    for what, statement in _VIOLATIONS.items():
        [(count,)] = connection.execute(statement, [after_arrival]).fetchall()
        if count:
            found[what] = int(str(count))
    return found
