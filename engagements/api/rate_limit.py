"""How often a key may ask, and how many engagements it may produce. Off unless a setting says so; then 429.

Two limits, each per key and over all web processes together (engagements/store/rate.py). Costs no statement while it is
off, and one of well below a millisecond for each limit that is on.
"""

import math

from knox.models import AbstractAuthToken
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from engagements import conf
from engagements.api.errors import TooLarge
from engagements.services import BULK_LIMIT
from engagements.store import rate
from engagements.store.connection import current
from engagements.store.rate import Rate


class RateLimited(APIException):
    """429: the key has used up what it may do for now."""

    status_code = 429

    def __init__(self, what: str, limit: Rate, wait: float) -> None:
        super().__init__(
            f"This key may {what} {limit.per_second:g} a second, {limit.burst} at once. Nothing was done; try again in "
            f"{wait:.3g} s."
        )
        self.wait = math.ceil(wait)


class RequestsPerKey(BaseThrottle):
    """What Django REST framework asks before each call; requests without a valid key do not come so far."""

    def allow_request(self, request: Request, view: object) -> bool:
        """Raises RateLimited, which says more than False would."""
        limit = request_rate()
        if limit is not None:
            _take("make requests:", "requests", request, 1, limit)
        return True


def take_engagements(request: Request, number: int) -> None:
    """Count so many engagements, whatever becomes of them. Raises RateLimited, or TooLarge if they could never pass."""
    limit = engagement_rate()
    if limit is None or not number:
        return
    if number > limit.burst:
        raise TooLarge(f"This key may produce at most {limit.burst} engagements at once; send them in parts.")
    _take("produce engagements:", "engagements", request, number, limit)


def _take(what: str, kind: str, request: Request, number: int, limit: Rate) -> None:
    assert isinstance(request.auth, AbstractAuthToken)
    wait = rate.take(current(), f"{kind} of {request.auth.digest}", number, limit)
    if wait:
        raise RateLimited(what, limit, wait)


def request_rate() -> Rate | None:
    """How often a key may call the API; None: as often as it likes. A burst of 0 stands for one second's worth."""
    return _rate("REQUESTS", least_burst=1)


def engagement_rate() -> Rate | None:
    """How many engagements a key may produce; None: any number. A burst of 0 stands for one second's worth, and for a
    whole bulk call where that is more."""
    return _rate("ENGAGEMENTS", least_burst=BULK_LIMIT)


def _rate(kind: str, *, least_burst: int) -> Rate | None:
    per_second = float(conf.get(f"RATE_LIMIT_{kind}_PER_SECOND"))
    if per_second <= 0:
        return None
    return Rate(per_second, int(conf.get(f"RATE_LIMIT_{kind}_BURST")) or max(math.ceil(per_second), least_burst))
