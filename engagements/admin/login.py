"""Guessing passwords is slow: tries that fail are counted by name and address, over all web processes together."""

import logging
import math
import unicodedata
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from engagements.store import rate
from engagements.store.connection import current
from engagements.store.rate import Rate

logger = logging.getLogger("engagements")

ONE_NAME_FROM_ONE_ADDRESS = Rate(1 / 30, 5)
"""Somebody who has forgotten theirs: five tries, then two a minute."""

ONE_ADDRESS = Rate(1 / 10, 20)
"""Against one password tried on many names."""

ONE_NAME = Rate(1 / 10, 50)
"""Against many addresses: some 8,700 tries a day. So wide that no single address can lock a person out."""


class ThrottledLogin(AdminAuthenticationForm):
    """The admin's login. What is refused here costs no password hash, and a login that succeeds is not counted."""

    def clean(self) -> dict[str, Any]:
        name = unicodedata.normalize("NFKC", self.cleaned_data.get("username") or "").casefold()
        address = str(self.request.META.get("REMOTE_ADDR", "")) if self.request else ""
        buckets = {
            f"login of {name} from {address}": ONE_NAME_FROM_ONE_ADDRESS,
            f"logins from {address}": ONE_ADDRESS,
            f"logins of {name}": ONE_NAME,
        }
        for bucket, limit in buckets.items():
            wait = rate.take(current(), bucket, 1, limit)
            if wait:
                # Not the name: people type their password there.
                logger.warning("a login from %s is refused: too many failed lately", address)
                raise ValidationError(
                    f"Too many tries have failed. Try again in {math.ceil(wait)} s.", code="too_many_tries"
                )
        cleaned: dict[str, Any] = super().clean()
        for bucket, limit in buckets.items():
            rate.give_back(current(), bucket, 1, limit)
        return cleaned
