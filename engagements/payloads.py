"""Payloads as people get to see them, on pages, in samples and in exports."""

from typing import Any

from engagements import conf
from engagements.domain.masking import masked


def shown(payload: Any) -> Any:
    """The payload without the values of the fields that PAYLOAD_MASKED_FIELDS names."""
    return masked(payload, conf.payload_masked_fields())
