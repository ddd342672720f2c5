"""Counting what settled: each engagement once, in totals and in rollups, whoever counts and wherever they stop."""

from collections import Counter
from datetime import timedelta

import psycopg
import pytest

from engagements.domain.latency import merged, percentile
from engagements.models import Rollup, SettledCount
from engagements.store import rollups
from engagements.store.connection import Connection, fetch, run
from engagements.store.rollups import COARSE_SECONDS, FINE_SECONDS
from tests.support.history import settled, start_counting
from tests.support.store import Connect, in_thread

WIDTHS = (FINE_SECONDS, COARSE_SECONDS)

LOCK_TIMEOUT = "SET lock_timeout = '100ms'"


def totals() -> dict[str, tuple[int, int]]:
    return {row.status: (row.total, row.late) for row in SettledCount.objects.all() if row.total}


def rolled_up(width: int) -> dict[str, tuple[int, int]]:
    counts: Counter[str] = Counter()
    late: Counter[str] = Counter()
    for row in Rollup.objects.filter(width_seconds=width):
        counts[row.status] += row.settled
        late[row.status] += row.late
    return {status: (counts[status], late[status]) for status in counts}


def histogram(width: int) -> list[int]:
    return merged([row.latency for row in Rollup.objects.filter(width_seconds=width)])


def test_totals_and_rollups_of_both_widths_count_the_same(conn: Connection) -> None:
    start_counting(conn, ago=1000)
    settled(conn, 3, ago=900)
    settled(conn, 2, ago=400, late=True)
    settled(conn, 4, ago=400, status="expired")
    settled(conn, 1, ago=60, status="failed")
    settled(conn, 5, ago=1, status="failed")  # too young
    rollups.catch_up(conn, seconds=30)
    expected = {"delivered": (5, 2), "expired": (4, 0), "failed": (1, 0)}
    assert totals() == expected
    for width in WIDTHS:
        assert rolled_up(width) == expected
    assert SettledCount.objects.get(status="delivered").latency == histogram(FINE_SECONDS) == histogram(COARSE_SECONDS)


def test_each_is_counted_in_the_span_in_which_it_settled(conn: Connection) -> None:
    start_counting(conn, ago=1000)
    settled(conn, 2, ago=700)
    settled(conn, 3, ago=100)
    [(first,), (second,)] = fetch(
        conn, "SELECT DISTINCT date_bin('10 s', settled_at, 'epoch') FROM engagements_engagement ORDER BY 1"
    )
    rollups.catch_up(conn, seconds=30)
    fine = Rollup.objects.filter(width_seconds=FINE_SECONDS).order_by("starts_at", "status")
    assert sum(row.settled for row in fine if row.starts_at == first) in (1, 2)  # a span may end between two rows
    assert sum(row.settled for row in fine if first <= row.starts_at <= first + timedelta(seconds=10)) == 2
    assert sum(row.settled for row in fine if second <= row.starts_at <= second + timedelta(seconds=10)) == 3


def test_counting_goes_on_in_a_span_that_is_not_over(conn: Connection) -> None:
    for _ in range(3):
        start_counting(conn, ago=1000)
        run(conn, "DELETE FROM engagements_engagement")
        settled(conn, 2, ago=500, latency=0.001)
        settled(conn, 1, ago=500, latency=5.0, late=True)
        rollups.catch_up(conn, seconds=30)
    assert totals() == {"delivered": (9, 3)}
    for width in WIDTHS:
        assert rolled_up(width) == {"delivered": (9, 3)}
        found = histogram(width)
        assert (found[0], sum(found)) == (6, 9)


def test_latencies_fall_into_the_bucket_that_holds_them(conn: Connection) -> None:
    start_counting(conn, ago=1000)
    exact = [0.0005, 0.004, 0.013, 0.1, 0.77, 1.0, 2.5, 29.9, 3000.0]
    for latency in exact:
        settled(conn, latency=latency, ago=100)
    settled(conn, 50, latency=600.0, ago=100, status="expired")  # what was not delivered has no latency here
    rollups.catch_up(conn, seconds=30)
    found = histogram(FINE_SECONDS)
    assert sum(found) == len(exact)
    for number, latency in enumerate(exact, 1):
        told = percentile(found, number / len(exact))
        assert told == pytest.approx(max(latency, 0.001), rel=0.092)
    assert SettledCount.objects.get(status="delivered").latency_seconds == pytest.approx(sum(exact), rel=0.001)
    assert SettledCount.objects.get(status="expired").latency_seconds == 0


@pytest.mark.parametrize("table", ["engagements_settledcount", "engagements_rollup"])
def test_a_count_that_fails_half_way_has_counted_nothing(conn: Connection, connect: Connect, table: str) -> None:
    start_counting(conn, ago=505)
    settled(conn, 7, ago=500)
    conn.execute(LOCK_TIMEOUT)
    with connect().transaction() as holding:
        holding.connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            rollups.catch_up(conn, seconds=30)
    assert totals() == {}
    assert not Rollup.objects.exists()
    rollups.catch_up(conn, seconds=30)
    rollups.catch_up(conn, seconds=30)
    assert totals() == rolled_up(FINE_SECONDS) == rolled_up(COARSE_SECONDS) == {"delivered": (7, 0)}


def test_who_finds_another_counting_goes_away(conn: Connection, connect: Connect) -> None:
    start_counting(conn, ago=1000)
    settled(conn, 7, ago=500)
    conn.execute(LOCK_TIMEOUT)
    with connect().transaction() as other:
        other.connection.execute("SELECT FROM engagements_settledcount FOR UPDATE")
        assert not rollups.count_settled(conn)
    assert totals() == {}


def test_many_that_count_at_once_count_each_engagement_once(conn: Connection, connect: Connect) -> None:
    start_counting(conn, ago=1000)
    for ago in range(100, 900, 40):
        settled(conn, 50, ago=ago)
    others = [connect() for _ in range(4)]
    working = [in_thread(lambda other=other: rollups.catch_up(other, seconds=30)) for other in others]  # type: ignore[misc]
    for work in working:
        work.result(60)
    rollups.catch_up(conn, seconds=30)
    assert totals() == rolled_up(FINE_SECONDS) == rolled_up(COARSE_SECONDS) == {"delivered": (1000, 0)}


def test_a_step_after_a_long_stop_counts_a_bounded_span(conn: Connection) -> None:
    start_counting(conn, ago=3000)
    for ago in (2999, 2995, 2980, 2900):
        settled(conn, 10, ago=ago)
    assert rollups.count_settled(conn)
    assert totals() == {"delivered": (20, 0)}
    assert rollups.count_settled(conn)
    assert totals() == {"delivered": (20, 0)}  # of the next ten seconds, up to 20 s after the stop
    rollups.catch_up(conn, seconds=30)
    assert totals() == {"delivered": (40, 0)}


def test_an_idle_stretch_is_passed_over_by_the_hour(conn: Connection) -> None:
    start_counting(conn, ago=5 * 3600 - 60)
    steps = 1
    while rollups.count_settled(conn):
        steps += 1
    assert steps == 5


def test_old_rollups_are_deleted_the_fine_ones_first(conn: Connection) -> None:
    add = """
    INSERT INTO engagements_rollup (width_seconds, starts_at, status, settled, late, latency)
    SELECT width, clock_timestamp() - days * interval '1 day', 'delivered', 1, 0, '{}'
    FROM unnest(ARRAY[10, 300]) width, unnest(ARRAY[0.01, 0.5, 2, 9]::float8[]) days
    """
    run(conn, add)
    assert rollups.delete_old(conn, keep=timedelta(days=7)) == 4
    assert Rollup.objects.filter(width_seconds=FINE_SECONDS).count() == 1
    assert Rollup.objects.filter(width_seconds=COARSE_SECONDS).count() == 3
    rollups.delete_old(conn, keep=timedelta(minutes=1))
    assert Rollup.objects.filter(width_seconds=COARSE_SECONDS).count() == 2  # a day's chart stays
