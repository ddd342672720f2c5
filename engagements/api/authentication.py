"""Who asks, and what their role allows.

A key is looked up in one query and its owner's permissions are remembered for a second: at a hundred posts a second
that saves four queries of each. A key that was revoked, or whose role changed, is known as such a second later.
"""

import threading
import time
from hmac import compare_digest

from django.contrib.auth.models import AbstractUser
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken, get_token_model
from knox.settings import CONSTANTS
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

CACHE_SECONDS = 1.0
CACHE_SIZE = 1000
"""Keys in use within a second; beyond that each is looked up as if there were no cache."""

_lock = threading.Lock()
_known: dict[str, tuple[float, AbstractUser, AuthToken]] = {}


class KeyAuthentication(TokenAuthentication):  # type: ignore[misc]
    """`Authorization: Bearer <key>`, with the keys of django-rest-knox."""

    def authenticate_credentials(self, token: bytes) -> tuple[AbstractUser, AuthToken]:
        """Raises AuthenticationFailed for whatever is no valid key, odd bytes included."""
        try:
            key = token.decode("ascii")
        except UnicodeDecodeError:
            raise AuthenticationFailed("This key is not valid.") from None
        digest = hash_token(key)
        known = _known.get(digest)
        if known is None or known[0] < time.monotonic():
            known = self._look_up(key, digest)
        _, user, auth = known
        if auth.expiry is not None and auth.expiry <= timezone.now():
            raise AuthenticationFailed("This key has expired.")
        return user, auth

    def _look_up(self, key: str, digest: str) -> tuple[float, AbstractUser, AuthToken]:
        found = get_token_model().objects.filter(token_key=key[: CONSTANTS.TOKEN_KEY_LENGTH])
        for auth in found.select_related("user") if key.isprintable() else ():
            if compare_digest(digest, auth.digest) and auth.user.is_active:
                auth.user.get_all_permissions()
                known = (time.monotonic() + CACHE_SECONDS, auth.user, auth)
                with _lock:
                    if len(_known) >= CACHE_SIZE:
                        _known.clear()
                    _known[digest] = known
                return known
        with _lock:
            _known.pop(digest, None)
        raise AuthenticationFailed("This key is not valid.")


def forget() -> None:
    """Look every key up again; for those that changed keys or roles in this process."""
    with _lock:
        _known.clear()


class Needs(BasePermission):
    """Asks for the permission that the view names for the method; one without is for any key, to be answered 405."""

    def has_permission(self, request: Request, view: object) -> bool:
        if not request.user.is_authenticated:
            return False
        needed = getattr(view, "needs", {}).get("GET" if request.method == "HEAD" else request.method)
        return needed is None or request.user.has_perm(f"engagements.{needed}")
