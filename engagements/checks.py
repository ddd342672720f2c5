"""Settings with which nothing would be delivered, or not as promised: refused by `up`, `migrate` and `check`."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Advice

from engagements import conf
from engagements.domain.draft import TIMEOUT_SECONDS

LEASE_LEAST_SECONDS = 1.0
"""The last second of a lease is not used: one that has no more lets nothing be sent."""

LEASE_SAFE_SECONDS = 4.0
"""A lease is renewed once a second: a shorter one may end under an attempt that is slow, which is then repeated."""

_RATE_LIMITS = [f"RATE_LIMIT_{kind}_{what}" for kind in ("REQUESTS", "ENGAGEMENTS") for what in ("PER_SECOND", "BURST")]
"""0 switches a limit off, or leaves its burst to be chosen."""


@register
def settings_make_sense(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """One message for each setting that is out of range; says what would be in range."""
    found: list[CheckMessage] = []

    def demand(holds: bool, name: str, what: str, kind: type[Error | Advice] = Error) -> None:
        if not holds:
            verb = "must" if kind is Error else "should"
            found.append(kind(f"{name} is {conf.get(name)!r}; it {verb} be {what}.", id=f"engagements.{name}"))

    lease = conf.lease_seconds()
    if lease > LEASE_LEAST_SECONDS:
        demand(lease >= LEASE_SAFE_SECONDS, "LEASE_SECONDS", f"{LEASE_SAFE_SECONDS:g} or more", Advice)
    else:
        demand(False, "LEASE_SECONDS", f"above {LEASE_LEAST_SECONDS:g}")
    for name in ("REORDER_WINDOW_MS", "SESSION_IDLE_SECONDS", "RETENTION_DAYS", *_RATE_LIMITS):
        demand(float(conf.get(name)) >= 0, name, "0 or more")
    demand(float(conf.get("WEBHOOK_ATTEMPT_SECONDS")) > 0, "WEBHOOK_ATTEMPT_SECONDS", "above 0")
    demand(
        0 < conf.pending_timeout_seconds() <= TIMEOUT_SECONDS,
        "PENDING_TIMEOUT_SECONDS",
        f"above 0 and at most {TIMEOUT_SECONDS}",
    )
    demand(conf.get("LATE_POLICY") in ("deliver", "expire"), "LATE_POLICY", "deliver or expire")
    return found
