"""Standard Webhooks signatures (https://www.standardwebhooks.com), by their own library."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError


class Signer:
    """Signs with every secret, so that a receiver that knows any one can check: so they are rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """secrets: base64, with or without `whsec_`, the newest first. Raises ValueError."""
        try:
            self._webhooks = [Webhook(secret) for secret in secrets]
        except (ValueError, EmptyWebhookSecretError) as error:
            raise ValueError(f"the signing secret must be whsec_ and base64: {error}") from None
        if not self._webhooks:
            raise ValueError("a webhook needs a signing secret")

    def headers(self, message_id: str, body: str, *, now: float) -> dict[str, str]:
        """The three headers of one attempt. now: Unix time; receivers refuse what is five minutes off."""
        moment = datetime.fromtimestamp(int(now), UTC)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": " ".join(webhook.sign(message_id, moment, body) for webhook in self._webhooks),
        }
