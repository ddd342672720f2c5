"""The settings that the product reads, with the defaults of a project that states none. Never read at import."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

DEFAULTS: dict[str, Any] = {
    "PENDING_TIMEOUT_SECONDS": 30.0,
    "REORDER_WINDOW_MS": 100.0,
    "SESSION_IDLE_SECONDS": 300.0,
    "LEASE_SECONDS": 10.0,
    "LATE_POLICY": "deliver",
    "RETENTION_DAYS": 7.0,
    "WEBHOOK_ALLOW_PRIVATE": False,
    "WEBHOOK_ATTEMPT_SECONDS": 15.0,
    "READY_WORKERS": 1,
    "PAYLOAD_MASKED_FIELDS": [],
    "RATE_LIMIT_REQUESTS_PER_SECOND": 0.0,
    "RATE_LIMIT_REQUESTS_BURST": 0,
    "RATE_LIMIT_ENGAGEMENTS_PER_SECOND": 0.0,
    "RATE_LIMIT_ENGAGEMENTS_BURST": 0,
    "CHANNEL_KINDS": {
        "demo": "workers.channels.demo.DemoChannel",
        "log": "workers.channels.log.LogChannel",
        "null": "workers.channels.null.NullChannel",
        "webhook": "workers.channels.webhook.WebhookChannel",
    },
}

DEFAULT_CHANNEL = "log"
"""Where an engagement goes that names no channel; a migration creates it."""

TEST_USER = "test:"
"""Before a channel's name: the user of its test engagements, by which receivers can tell them."""

WORKER_DEAD_SECONDS = 5.0
"""Without a heartbeat for so long a worker is dead and its pins are void. Five missed beats of one second."""


def get(name: str) -> Any:
    return getattr(settings, name, DEFAULTS[name])


def pending_timeout_seconds() -> float:
    return float(get("PENDING_TIMEOUT_SECONDS"))


def reorder_window() -> timedelta:
    return timedelta(milliseconds=float(get("REORDER_WINDOW_MS")))


def session_idle_seconds() -> float:
    return float(get("SESSION_IDLE_SECONDS"))


def lease_seconds() -> float:
    return float(get("LEASE_SECONDS"))


def late_expires() -> bool:
    """Whether LATE_POLICY settles a late one as expired instead of delivering it next."""
    policy = get("LATE_POLICY")
    if policy not in ("deliver", "expire"):
        raise ImproperlyConfigured(f"LATE_POLICY must be deliver or expire, not {policy!r}.")
    return bool(policy == "expire")


def retention() -> timedelta:
    return timedelta(days=float(get("RETENTION_DAYS")))


def ready_workers() -> int:
    """How many workers must be alive for /readyz to answer 200."""
    return int(get("READY_WORKERS"))


def payload_masked_fields() -> list[str]:
    """Fields of payloads that people are not shown: names (at any depth) and dotted paths (from the top)."""
    given = get("PAYLOAD_MASKED_FIELDS")
    fields = given.split(",") if isinstance(given, str) else given
    return [field.strip(" .") for field in fields if field.strip(" .")]


def channel_kinds() -> dict[str, str]:
    """Kind → dotted path of the channel class in the workers."""
    return dict(get("CHANNEL_KINDS"))
