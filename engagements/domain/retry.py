"""When a failed attempt is repeated."""

BASE_SECONDS = 0.1
"""First pause: long enough to let a restarting receiver come back, short beside the 30 s an engagement has."""

LONGEST_SECONDS = 5.0
"""Cap of the pause: at least half a dozen attempts fit into the default time-out."""

LONGEST_WISH_SECONDS = 3600.0
"""What a receiver may ask for at most: no engagement lives longer, and PostgreSQL cannot add an infinite pause."""


def backoff_seconds(attempt: int, *, jitter: float, retry_after: float | None = None) -> float:
    """Seconds until the attempt after number `attempt` (1, 2, …): doubling, spread by jitter (0 ≤ jitter < 1).

    The receiver's Retry-After is respected as the least pause; the caller bounds the result by the deadline.
    """
    pause = min(LONGEST_SECONDS, BASE_SECONDS * 2.0 ** min(attempt - 1, 16))
    pause *= 0.5 + jitter / 2
    return pause if retry_after is None else max(pause, min(retry_after, LONGEST_WISH_SECONDS))
