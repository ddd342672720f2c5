"""Prometheus metrics, read from the database at scrape time: every process gives the same numbers."""

import threading
import time
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from engagements.domain.latency import BUCKETS, PER_DOUBLING, upper_bound
from engagements.selectors import everything
from engagements.selectors.queues import queues
from engagements.store import beat, read_metrics, rollups
from engagements.store.connection import current

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CACHE_SECONDS = 1.0
"""A scrape within so long gets the same text: nobody can load the database by asking often."""

COUNTING_SECONDS = 0.5
"""Spent per scrape on counting what has settled, which engines do as well; what is left over is counted by the next."""

_lock = threading.Lock()
_cached: tuple[float, bytes] | None = None


def text() -> bytes:
    """The metrics in Prometheus's text format."""
    global _cached
    with _lock:
        if _cached is None or time.monotonic() >= _cached[0] + CACHE_SECONDS:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_FromDatabase())
            _cached = (time.monotonic(), generate_latest(registry))
        return _cached[1]


def forget() -> None:
    """Read the database again at the next call."""
    global _cached
    _cached = None


class _FromDatabase(Collector):
    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        conn = current()
        rollups.catch_up(conn, seconds=COUNTING_SECONDS)
        produced = CounterMetricFamily("engagements_accepted", "Engagements accepted; replays count again.")
        produced.add_metric([], read_metrics.produced(conn))
        yield produced
        settled = CounterMetricFamily("engagements_settled", "Engagements settled, by final status.", labels=["status"])
        late = CounterMetricFamily("engagements_late", "Settled engagements that had arrived late.")
        rows = read_metrics.settled(conn)
        for row in rows:
            settled.add_metric([row.status], row.total)
        late.add_metric([], sum(row.late for row in rows))
        yield settled
        yield late
        yield from (_latency(row) for row in rows if row.status == "delivered")
        yield from _queues()
        due, seconds = read_metrics.due_unleased(conn)
        yield GaugeMetricFamily(
            "engagements_due_unleased", "Pipelines with work to do now that nobody does.", value=due
        )
        yield GaugeMetricFamily(
            "engagements_due_unleased_seconds", "For how long the first of those has stood: alert on it.", value=seconds
        )
        yield GaugeMetricFamily(
            "engagements_pipelines_paused", "Pipelines that are paused.", value=read_metrics.paused(conn)
        )
        yield GaugeMetricFamily(
            "engagements_everything_paused", "1 while everything is paused.", value=int(everything.state() is not None)
        )
        silent = beat.silent_seconds(conn)
        if silent is not None:
            yield GaugeMetricFamily(
                "engagements_beat_silent_seconds", "Since a worker last did what beat sends every second.", value=silent
            )


def _latency(delivered: read_metrics.Settled) -> Metric:
    """Every fourth bucket is told: its bound is twice the one before."""
    sums = list(accumulate(delivered.latency))
    counted = sums[-1] if sums else 0
    buckets = [
        (repr(upper_bound(bucket)), sums[bucket] if bucket < len(sums) else counted)
        for bucket in range(0, BUCKETS - 1, PER_DOUBLING)
    ]
    return HistogramMetricFamily(
        "engagements_delivery_latency_seconds",
        "From receipt to delivery.",
        buckets=[*buckets, ("+Inf", counted)],
        sum_value=delivered.latency_seconds,
    )


def _queues() -> Iterator[Metric]:
    pending = GaugeMetricFamily("engagements_pending", "Engagements pending, by queue.", labels=["queue"])
    oldest = GaugeMetricFamily(
        "engagements_oldest_pending_seconds", "Since the oldest pending one was received.", labels=["queue"]
    )
    users = GaugeMetricFamily("engagements_queue_users", "Users with pending work or a session.", labels=["queue"])
    depth = GaugeMetricFamily("engagements_queue_messages", "Wake-ups waiting at the broker.", labels=["queue"])
    alive = GaugeMetricFamily("engagements_worker_alive", "1 while the worker lives.", labels=["worker"])
    living = 0
    for queue in queues():
        pending.add_metric([queue.name], queue.pending)
        oldest.add_metric([queue.name], queue.oldest_pending_age_seconds or 0.0)
        if queue.broker_depth is not None:
            depth.add_metric([queue.name], queue.broker_depth)
        if queue.worker is not None:
            users.add_metric([queue.name], queue.users)
            alive.add_metric([queue.worker], int(queue.alive))
            living += queue.alive
    yield from (pending, oldest, users, depth, alive)
    yield GaugeMetricFamily("engagements_workers_alive", "Workers alive.", value=living)
