"""Engagements, pipelines and channels as JSON, in exactly the fields of the contract."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from engagements.models import Channel, Engagement
from engagements.payloads import shown
from engagements.selectors.pipelines import PipelineState


def time_json(value: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the microsecond."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def engagement_json(engagement: Engagement, *, masked: bool = False) -> dict[str, Any]:
    """masked: for one who only looks: without the values of the fields that PAYLOAD_MASKED_FIELDS names."""
    return {
        "id": str(engagement.id),
        "user_id": engagement.user_id,
        "payload": shown(engagement.payload) if masked else engagement.payload,
        "produced_at": time_json(engagement.produced_at),
        "received_at": time_json(engagement.received_at),
        "expires_at": time_json(engagement.expires_at),
        "settled_at": time_json(engagement.settled_at),
        "status": engagement.status,
        "causal_parent": _id(engagement.causal_parent),
        "unordered": engagement.unordered,
        "channel": engagement.channel_id,
        "late": engagement.late,
        "sequence": engagement.sequence,
        "attempts": engagement.attempts,
        "last_error": engagement.last_error,
    }


def pipeline_json(pipeline: PipelineState) -> dict[str, Any]:
    lease = pipeline.lease
    return {
        "user_id": pipeline.user_id,
        "depth": pipeline.depth,
        "oldest_pending_age_seconds": pipeline.oldest_pending_age_seconds,
        "worker": pipeline.worker,
        "session_until": time_json(pipeline.session_until),
        "lease": lease and {"worker": lease.worker, "token": lease.token, "until": time_json(lease.until)},
        "paused": pipeline.paused,
        "timeout_seconds": pipeline.timeout_seconds,
        "waiting": pipeline.waiting,
    }


def channel_json(channel: Channel) -> dict[str, Any]:
    """Without its secrets."""
    return {
        "name": channel.name,
        "kind": channel.kind,
        "url": channel.url,
        "active": channel.active,
        "created_at": time_json(channel.created_at),
    }
