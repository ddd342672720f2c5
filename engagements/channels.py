"""The use cases around channels: creating, changing, and rotating their signing secrets. Every change is audited.

A secret leaves this module once, as the answer to the call that made it.
"""

import hashlib
import re
from typing import Any

from django.db import IntegrityError, transaction

from engagements import audit, conf
from engagements.domain.errors import Conflict, FieldError, Invalid, NotFound
from engagements.domain.webhook_address import RefusedAddressError, check_url
from engagements.models import Channel
from engagements.secrets import new_secret, sealed

URL_LENGTH = 2000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NO_URL = ("log", "null")
"""Kinds that go nowhere: an address would mislead its reader. Kinds of the project's own may take one."""


def create(name: object, kind: object, url: object = "", *, actor: str) -> tuple[Channel, str]:
    """The new channel, and its secret, which is not shown again. Raises Invalid, or Conflict for a taken name."""
    errors: list[FieldError] = []
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        detail = "must have 1 to 100 letters, digits, dots, hyphens or underscores, a letter or digit first"
        errors.append(FieldError("name", detail))
    kinds = sorted(conf.channel_kinds())
    if not isinstance(kind, str) or kind not in kinds:
        errors.append(FieldError("kind", f"must be one of {', '.join(kinds)}"))
    else:
        _check_address(kind, url, errors)
    if errors:
        raise Invalid(errors)
    secret = new_secret()
    try:
        with transaction.atomic():
            channel = Channel(name=str(name), kind=str(kind), url=str(url), secret=sealed(secret))
            channel.save(force_insert=True)
            audit.record(actor, "create channel", channel.name)
    except IntegrityError:
        raise Conflict(f"there is a channel {name!r} already; choose another name") from None
    return channel, secret


def change(name: str, changes: dict[str, Any], *, actor: str) -> Channel:
    """Set `url` and `active`, whichever is given. Raises NotFound or Invalid."""
    with transaction.atomic():
        channel = _locked(name)
        errors: list[FieldError] = []
        if "url" in changes:
            _check_address(channel.kind, changes["url"], errors)
            channel.url = changes["url"]
        if "active" in changes:
            if not isinstance(changes["active"], bool):
                errors.append(FieldError("active", "must be true or false"))
            channel.active = changes["active"]
        if errors:
            raise Invalid(errors)
        channel.save(update_fields=["url", "active"])
        audit.record(actor, "change channel", channel.name, reason=", ".join(sorted(changes)))
    return channel


def rotate_secret(name: str, *, actor: str, reason: str = "", instead_of: str | None = None) -> tuple[Channel, str]:
    """Sign with a new secret, and with the one before as well until the next rotation. Raises NotFound.

    instead_of: what secret_mark said when the rotation was asked for. Raises Conflict when that secret has been
    replaced since: doing it again would end the one that receivers have.
    """
    secret = new_secret()
    with transaction.atomic():
        channel = _locked(name)
        if instead_of is not None and instead_of != secret_mark(channel):
            raise Conflict("the secret has been rotated since this was asked for, and is not shown again")
        channel.previous_secret, channel.secret = channel.secret, sealed(secret)
        channel.save(update_fields=["secret", "previous_secret"])
        audit.record(actor, "rotate secret", channel.name, reason=reason)
    return channel, secret


def secret_mark(channel: Channel) -> str:
    """Tells the channel's present secret from others, and nothing about it."""
    return hashlib.sha256(channel.secret.encode()).hexdigest()[:16]


def _locked(name: str) -> Channel:
    try:
        return Channel.objects.select_for_update().get(name=name)
    except Channel.DoesNotExist:
        raise NotFound(f"there is no channel {name!r}; GET /api/v1/channels/ lists them") from None


def _check_address(kind: str, url: object, errors: list[FieldError]) -> None:
    if not isinstance(url, str) or len(url) > URL_LENGTH:
        errors.append(FieldError("url", f"must be a string of at most {URL_LENGTH} characters"))
    elif kind == "webhook":
        if not url:
            errors.append(FieldError("url", "is required for a webhook"))
            return
        try:
            url.encode()
            check_url(url, allow_private=bool(conf.get("WEBHOOK_ALLOW_PRIVATE")))
        except (RefusedAddressError, UnicodeEncodeError) as error:
            errors.append(FieldError("url", str(error)))
    elif url and kind in _NO_URL:
        errors.append(FieldError("url", f"a channel of kind {kind} goes nowhere; leave it out"))
    elif "\0" in url or any("\ud800" <= character <= "\udfff" for character in url):
        errors.append(FieldError("url", "must be valid Unicode without NUL"))
