"""The shapes of the API as JSON Schema (2020-12, which OpenAPI 3.1 uses as it is)."""

from typing import Any

Schema = dict[str, Any]

_TIME: Schema = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_UUID_OR_NULL: Schema = {"type": ["string", "null"], "format": "uuid"}
_USER_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "description": "Whose pipeline it belongs to."}
_STATUS: Schema = {"type": "string", "enum": ["pending", "delivered", "expired", "failed", "purged"]}
_PAYLOAD: Schema = {
    "type": "object",
    "additionalProperties": True,
    "description": "Any JSON object up to 64 KiB as compact JSON, nested at most 32 deep.",
}
_TIMEOUT: Schema = {
    "type": ["number", "null"],
    "exclusiveMinimum": 0,
    "maximum": 3600,
    "description": "Seconds; null for the default.",
}
_AGE: Schema = {"type": ["number", "null"], "minimum": 0, "description": "Null when nothing is pending."}
_REASON: Schema = {"type": ["string", "null"], "maxLength": 500, "description": "Why, for the audit."}
_CHANNEL_NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}


def _object(properties: Schema, *, required: list[str] | None = None, description: str = "") -> Schema:
    """An object of these fields and no others; all of them required unless stated otherwise."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    needed = list(properties) if required is None else required
    if needed:
        schema["required"] = needed
    if description:
        schema["description"] = description
    return schema


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _page(name: str) -> Schema:
    link: Schema = {"type": ["string", "null"], "format": "uri"}
    return _object(
        {"next": link, "previous": link, "results": {"type": "array", "items": _ref(name)}},
        description="Follow `next` until it is null; a page that was long to search may hold fewer than asked for.",
    )


_CHANNEL: Schema = {
    "name": _CHANNEL_NAME,
    "kind": {"type": "string", "examples": ["webhook", "log", "null"]},
    "url": {"type": "string", "maxLength": 2000},
    "active": {"type": "boolean", "description": "An inactive one takes no new engagements."},
    "created_at": _TIME,
}

SCHEMAS: dict[str, Schema] = {
    "EngagementDraft": _object(
        {
            "user_id": _USER_ID,
            "payload": _PAYLOAD,
            "id": {**_UUID_OR_NULL, "description": "Makes posting it twice harmless. Made here when left out."},
            "produced_at": {
                **_TIME_OR_NULL,
                "description": "RFC 3339 with its zone, at most 5 s ahead. When left out: the time of receipt.",
            },
            "causal_parent": {**_UUID_OR_NULL, "description": "Not attempted before this one is settled."},
            "unordered": {"type": ["boolean", "null"], "description": "Touches no pipeline, is delivered at once."},
            "channel": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 100,
                "description": "The name of an active channel; `log` by default.",
            },
            "timeout_seconds": _TIMEOUT,
        },
        required=["user_id", "payload"],
    ),
    "Engagement": _object(
        {
            "id": _UUID,
            "user_id": _USER_ID,
            "payload": _PAYLOAD,
            "produced_at": _TIME,
            "received_at": _TIME,
            "expires_at": _TIME,
            "settled_at": _TIME_OR_NULL,
            "status": _STATUS,
            "causal_parent": _UUID_OR_NULL,
            "unordered": {"type": "boolean"},
            "channel": {"type": "string"},
            "late": {"type": "boolean", "description": "It arrived after a later one had been attempted."},
            "sequence": {"type": ["integer", "null"], "description": "Its number in the user's order of delivery."},
            "attempts": {"type": "integer", "minimum": 0},
            "last_error": {"type": "string"},
        }
    ),
    "EngagementPage": _page("Engagement"),
    "Bulk": _object(
        {
            "engagements": {
                "type": "array",
                "maxItems": 1000,
                "items": _ref("EngagementDraft"),
                "description": "Stored in this order; what is refused does not keep the others from being stored.",
            }
        }
    ),
    "BulkResults": _object(
        {
            "results": {
                "type": "array",
                "items": _object(
                    {
                        "index": {"type": "integer", "minimum": 0},
                        "id": _UUID_OR_NULL,
                        "status": {"type": "string", "enum": ["created", "duplicate", "refused"]},
                        "error": {"oneOf": [_ref("Problem"), {"type": "null"}]},
                    }
                ),
            }
        },
        description="One per item, in order.",
    ),
    "Reason": _object({"reason": _REASON}, required=[]),
    "Skip": _object({"id": {**_UUID, "description": "The head, as you saw it."}, "reason": _REASON}, required=["id"]),
    "Purged": _object({"purged": {"type": "integer", "minimum": 0}}),
    "Pipeline": _object(
        {
            "user_id": _USER_ID,
            "depth": {"type": "integer", "minimum": 0, "description": "Pending engagements."},
            "oldest_pending_age_seconds": _AGE,
            "worker": {"type": ["string", "null"], "description": "Who it is pinned to; null: the ring chooses."},
            "session_until": _TIME_OR_NULL,
            "lease": {
                "oneOf": [
                    _object({"worker": {"type": "string"}, "token": {"type": "integer"}, "until": _TIME}),
                    {"type": "null"},
                ]
            },
            "paused": {"type": "boolean"},
            "timeout_seconds": _TIMEOUT,
            "waiting": {
                "type": ["string", "null"],
                "description": "Why the head has not been delivered, in a sentence for people.",
            },
        }
    ),
    "PipelinePage": _page("Pipeline"),
    "PipelineChange": _object({"timeout_seconds": _TIMEOUT}),
    "OrderProof": _object(
        {
            "user_id": _USER_ID,
            "holds": {"type": "boolean"},
            "checks": {
                "type": "array",
                "items": _object(
                    {
                        "promise": {"type": "string"},
                        "holds": {"type": "boolean"},
                        "violations": {"type": "array", "items": {"type": "string"}},
                    }
                ),
            },
            "engagements": {
                "type": "array",
                "items": _ref("Engagement"),
                "description": "By sequence; then those without one. The last 10,000 that arrived, or fewer when they "
                "are large; the header Engagements-Omitted counts older ones.",
            },
        }
    ),
    "Queue": _object(
        {
            "name": {"type": "string"},
            "worker": {"type": ["string", "null"], "description": "Null for the unordered queue, which all consume."},
            "alive": {"type": "boolean"},
            "users": {"type": "integer", "minimum": 0},
            "pending": {"type": "integer", "minimum": 0},
            "oldest_pending_age_seconds": _AGE,
            "broker_depth": {"type": ["integer", "null"], "description": "Null when the broker cannot be asked."},
        }
    ),
    "QueuePage": _page("Queue"),
    "Everything": _object(
        {
            "paused": {"type": "boolean", "description": "Also while some users are yet to be resumed."},
            "paused_at": _TIME_OR_NULL,
            "resuming": {"type": "boolean"},
        }
    ),
    "ChannelDraft": _object(
        {
            "name": _CHANNEL_NAME,
            "kind": _CHANNEL["kind"],
            "url": {"type": ["string", "null"], "maxLength": 2000, "description": "Required for a webhook."},
        },
        required=["name", "kind"],
    ),
    "Channel": _object(_CHANNEL),
    "ChannelPage": _page("Channel"),
    "ChannelWithSecret": _object(
        {**_CHANNEL, "secret": {"type": "string", "description": "For verifying signatures. Shown this once."}}
    ),
    "ChannelChange": {
        **_object({"url": {"type": "string", "maxLength": 2000}, "active": {"type": "boolean"}}, required=[]),
        "minProperties": 1,
    },
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": _object({"field": {"type": "string"}, "detail": {"type": "string"}}),
                "description": "What is wrong with which field; an empty name means the whole.",
            },
        },
        description="RFC 9457.",
    ),
}
