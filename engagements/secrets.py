"""The signing secrets of channels: made here, kept encrypted in the database, never logged.

Encrypted with a key derived from SECRET_KEY, so that a copy of the database alone signs nothing. SECRET_KEY_FALLBACKS
are tried for reading: changing SECRET_KEY does not silence the webhooks while the old one is listed there.
"""

import base64
import hashlib
import logging
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from engagements.models import Channel

logger = logging.getLogger("engagements")

PREFIX = "whsec_"
"""Of Standard Webhooks; what follows is base64."""

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


def new_secret() -> str:
    """A random secret in the form of Standard Webhooks."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(secret: str) -> str:
    """The secret as it is stored: at most 200 characters of text."""
    return _box().encrypt(secret.encode()).decode()


def secrets_of(channel: Channel) -> tuple[str, ...]:
    """The channel's signing secrets, the newest first; two while one is being rotated.

    One that cannot be read (another SECRET_KEY wrote it) is left out and reported: rotating makes a new one. One that
    was written in clear by hand is taken as it is.
    """
    opened = [_opened(channel.name, stored) for stored in (channel.secret, channel.previous_secret) if stored]
    return tuple(secret for secret in opened if secret is not None)


def _opened(name: str, stored: str) -> str | None:
    if stored.startswith(PREFIX):
        return stored
    try:
        return _box().decrypt(stored.encode()).decode()
    except InvalidToken:
        logger.error(  # noqa: TRY400 - the message says all
            "a secret of channel %r cannot be read with this SECRET_KEY; list the old key in SECRET_KEY_FALLBACKS, "
            "or rotate the secret",
            name,
        )
        return None


def _box() -> MultiFernet:
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _fernet(key: str | bytes) -> Fernet:
    derived = hashlib.blake2b(key.encode() if isinstance(key, str) else key, digest_size=32, person=b"channel secrets")
    return Fernet(base64.urlsafe_b64encode(derived.digest()))
