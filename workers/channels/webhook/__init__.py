"""The webhook channel: one signed POST per attempt, after the Standard Webhooks specification."""

from workers.channels.webhook.channel import WebhookChannel

__all__ = ["WebhookChannel"]
