"""How much a key may do: a bucket that fills up again at a steady rate, and is emptied by one atomic statement.

A row holds one time, `full_at`: when its bucket will be full again if nothing more is taken (the generic cell rate
algorithm). PostgreSQL locks the row before it looks, so the limit holds over all threads and processes together. A
bucket without a row is full. The table is not logged: taking waits for no disk, and a crash of PostgreSQL fills all.
"""

from datetime import timedelta
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from engagements.store.connection import Connection, fetch, run


class Rate(NamedTuple):
    """per_second: how fast a bucket fills up again. burst: how much a full one holds."""

    per_second: float
    burst: int


# RETURNING nothing is the refusal: the condition is looked at again on the row as it is once its lock is granted.
_TAKE = """
INSERT INTO engagements_ratebucket AS b (id, full_at)
VALUES (%(id)s, clock_timestamp() + %(cost)s)
ON CONFLICT (id) DO UPDATE SET full_at = GREATEST(b.full_at, clock_timestamp()) + %(cost)s
WHERE GREATEST(b.full_at, clock_timestamp()) + %(cost)s <= clock_timestamp() + %(depth)s
RETURNING TRUE
"""

_WAIT = """
SELECT GREATEST(extract(epoch FROM full_at + %(cost)s - %(depth)s - clock_timestamp()), 0)::float8
FROM engagements_ratebucket WHERE id = %(id)s
"""

_GIVE_BACK = "UPDATE engagements_ratebucket SET full_at = full_at - %(cost)s WHERE id = %(id)s"

_FORGET = "DELETE FROM engagements_ratebucket WHERE full_at < clock_timestamp()"


def take(conn: Connection, bucket: str, number: int, rate: Rate) -> float:
    """Take `number` out of a bucket: 0.0 when they were there; else nothing is taken, and the seconds until they are.

    number: at most rate.burst. Outside of a transaction, or others that take from this bucket wait for its end.
    """
    params = _params(bucket, number, rate)
    if fetch(conn, _TAKE, params):
        return 0.0
    found = fetch(conn, _WAIT, params)
    return max(float(found[0][0]), 0.001) if found else 0.001


def give_back(conn: Connection, bucket: str, number: int, rate: Rate) -> None:
    """Undo one that was taken: it did not count after all."""
    run(conn, _GIVE_BACK, _params(bucket, number, rate))


def _params(bucket: str, number: int, rate: Rate) -> dict[str, Any]:
    return {
        "id": UUID(bytes=blake2b(bucket.encode(errors="surrogatepass"), digest_size=16).digest()),
        "cost": timedelta(seconds=number / rate.per_second),
        "depth": timedelta(seconds=rate.burst / rate.per_second),
    }


def forget_full(conn: Connection) -> int:
    """Delete the rows of buckets that are full again, for keys come and go; how many."""
    return run(conn, _FORGET)
