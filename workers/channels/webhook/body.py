"""The body of a webhook: what the receiver reads."""

import json
from datetime import UTC, datetime

from workers.channels.base import Delivery


def body_of(delivery: Delivery) -> str:
    """The JSON text of one attempt.

    The payload goes in as the text that PostgreSQL stores, which is JSON already: reading and writing it
    again would cost more than the rest of the body. An unordered engagement has no sequence and no token.
    """
    produced_at = rfc3339(delivery.produced_at)
    parent = "null" if delivery.causal_parent is None else f'"{delivery.causal_parent}"'
    ordered = not delivery.unordered
    return (
        f'{{"type": "engagement", "timestamp": "{produced_at}", "data": {{'
        f'"id": "{delivery.id}", '
        f'"user_id": {json.dumps(delivery.user_id)}, '
        f'"sequence": {_integer(delivery.sequence if ordered else None)}, '
        f'"fencing_token": {_integer(delivery.fencing_token if ordered else None)}, '
        f'"produced_at": "{produced_at}", '
        f'"causal_parent": {parent}, '
        f'"unordered": {"true" if delivery.unordered else "false"}, '
        f'"late": {"true" if delivery.late else "false"}, '
        f'"attempt": {delivery.attempt}, '
        f'"payload": {delivery.payload}}}}}'
    )


def rfc3339(moment: datetime) -> str:
    """An aware time in UTC, always with microseconds, so that the texts sort as the times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _integer(number: int | None) -> str:
    return "null" if number is None else str(number)
