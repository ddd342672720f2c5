"""Whether everything is paused."""

from datetime import datetime

from engagements.store import everything
from engagements.store.connection import current
from engagements.store.everything import GlobalPause


def state() -> GlobalPause | None:
    """None while everything runs."""
    return everything.state(current())


def paused_at() -> datetime | None:
    """Since when everything is paused, also while that is being undone; None while everything runs."""
    found = state()
    return found.paused_at if found else None
