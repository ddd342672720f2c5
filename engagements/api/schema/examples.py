"""One example for each shape, used wherever it appears."""

from typing import Any

ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

DRAFT: dict[str, Any] = {
    "user_id": "alice",
    "payload": {"kind": "toast", "text": "Your parcel is on its way"},
    "id": ID,
    "produced_at": "2026-01-31T12:00:00.250Z",
}

ENGAGEMENT: dict[str, Any] = {
    "id": ID,
    "user_id": "alice",
    "payload": {"kind": "toast", "text": "Your parcel is on its way"},
    "produced_at": "2026-01-31T12:00:00.250000Z",
    "received_at": "2026-01-31T12:00:00.301422Z",
    "expires_at": "2026-01-31T12:00:30.301422Z",
    "settled_at": None,
    "status": "pending",
    "causal_parent": None,
    "unordered": False,
    "channel": "log",
    "late": False,
    "sequence": None,
    "attempts": 0,
    "last_error": "",
}

DELIVERED: dict[str, Any] = {
    **ENGAGEMENT,
    "settled_at": "2026-01-31T12:00:00.412007Z",
    "status": "delivered",
    "sequence": 41,
    "attempts": 1,
}

BULK: dict[str, Any] = {"engagements": [DRAFT, {"user_id": "", "payload": {}}]}

BULK_CREATED: dict[str, Any] = {"results": [{"index": 0, "id": ID, "status": "created", "error": None}]}

BULK_RESULTS: dict[str, Any] = {
    "results": [
        {"index": 0, "id": ID, "status": "created", "error": None},
        {
            "index": 1,
            "id": None,
            "status": "refused",
            "error": {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "detail": "user_id: must have 1 to 200 characters",
                "errors": [{"field": "user_id", "detail": "must have 1 to 200 characters"}],
            },
        },
    ]
}

PIPELINE: dict[str, Any] = {
    "user_id": "alice",
    "depth": 2,
    "oldest_pending_age_seconds": 18.204,
    "worker": "w1@up",
    "session_until": "2026-01-31T12:05:00.301422Z",
    "lease": None,
    "paused": False,
    "timeout_seconds": None,
    "waiting": "attempt 3 on webhook crm in 1.2 s; expires in 12 s",
}

ORDER_PROOF: dict[str, Any] = {
    "user_id": "alice",
    "holds": True,
    "checks": [
        {
            "promise": "1. Per-user order: one at a time, in order time, never a step back",
            "holds": True,
            "violations": [],
        }
    ],
    "engagements": [DELIVERED],
}

QUEUE: dict[str, Any] = {
    "name": "deliver.w1@up",
    "worker": "w1@up",
    "alive": True,
    "users": 212,
    "pending": 7,
    "oldest_pending_age_seconds": 0.034,
    "broker_depth": 0,
}

EVERYTHING: dict[str, Any] = {"paused": True, "paused_at": "2026-03-01T12:00:00Z", "resuming": False}

CHANNEL: dict[str, Any] = {
    "name": "crm",
    "kind": "webhook",
    "url": "https://crm.example/hooks/engagements",
    "active": True,
    "created_at": "2026-01-31T11:00:00.000000Z",
}

CHANNEL_WITH_SECRET: dict[str, Any] = {**CHANNEL, "secret": "whsec_…"}

REASON: dict[str, Any] = {"reason": "receiver is being moved"}


def page(result: dict[str, Any]) -> dict[str, Any]:
    return {"next": None, "previous": None, "results": [result]}
