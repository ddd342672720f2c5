"""What the file of each list holds: by model, the columns and how a row fills them. No secret is in any."""

from collections.abc import Iterable, Sequence
from typing import Any

from engagements.admin.engagement_list import show_in_service
from engagements.admin.export import Export
from engagements.models import Attempt, AuditEntry, Channel, Engagement, Operation, Pipeline, Worker
from engagements.payloads import shown
from engagements.selectors.pipelines import pipelines
from engagements.selectors.queues import QueueState, queues

_ENGAGEMENT = (
    "id", "user_id", "status", "channel", "produced_at", "received_at", "expires_at", "settled_at", "order_time",
    "causal_parent", "unordered", "late", "sequence", "attempts", "replays", "timeout_seconds", "last_error",
)  # fmt: skip

_ENGAGEMENT_READ = tuple("channel_id" if name == "channel" else name for name in _ENGAGEMENT)
"""Without a look at the channels' table for each row."""

_PIPELINE = (
    "user_id", "depth", "oldest_pending_age_seconds", "waiting", "worker", "session_until", "paused",
    "timeout_seconds", "head",
)  # fmt: skip

_QUEUE = ("name", "worker", "alive", "users", "pending", "oldest_pending_age_seconds", "broker_depth")
_CHANNEL = ("name", "kind", "url", "active", "created_at")
_OPERATION = (
    "token", "action", "scope", "actor", "reason", "started_at", "finished_at", "stopped_by", "shown", "done",
    "refused", "problem",
)  # fmt: skip
_ATTEMPT = ("number", "outcome", "started_at", "duration_seconds", "worker", "sequence", "token", "answer")
_AUDIT = ("at", "actor", "action", "target", "count", "reason")


def _engagements(rows: list[Engagement]) -> Iterable[Sequence[Any]]:
    show_in_service(rows)
    return ([*_values(row, _ENGAGEMENT_READ), shown(row.payload)] for row in rows)


def _pipelines(rows: list[Pipeline]) -> Iterable[Sequence[Any]]:
    states = pipelines([row.user_id for row in rows])
    return (_values(states[row.user_id], _PIPELINE) for row in rows if row.user_id in states)


def _queues(rows: list[QueueState]) -> Iterable[Sequence[Any]]:
    return (_values(row, _QUEUE) for row in rows)


def _channels(rows: list[Channel]) -> Iterable[Sequence[Any]]:
    return (_values(row, _CHANNEL) for row in rows)


def _audit(rows: list[AuditEntry]) -> Iterable[Sequence[Any]]:
    return (_values(row, _AUDIT) for row in rows)


def _operations(rows: list[Operation]) -> Iterable[Sequence[Any]]:
    return (_values(row, _OPERATION) for row in rows)


def _attempts(rows: list[Attempt]) -> Iterable[Sequence[Any]]:
    return (_values(row, _ATTEMPT) for row in rows)


def _values(row: object, names: Sequence[str]) -> list[Any]:
    return [getattr(row, name) for name in names]


EXPORTS: dict[type, Export] = {
    Engagement: Export((*_ENGAGEMENT, "payload"), _engagements),
    Pipeline: Export(_PIPELINE, _pipelines, order=("user_id",)),
    Worker: Export(_QUEUE, _queues, all_rows=queues),
    Channel: Export(_CHANNEL, _channels, order=("name",)),
    Operation: Export(_OPERATION, _operations, order=("-made_at", "-token")),
    AuditEntry: Export(_AUDIT, _audit, order=("-at", "-id")),
}

ATTEMPTS = Export(_ATTEMPT, _attempts)
"""Of one engagement, in the order in which they ended."""
