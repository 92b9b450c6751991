"""The webhook plugin: sends events and profiles to an address of yours, signed as Standard Webhooks says."""

from __future__ import annotations

from plugins.webhook.exporting import WebhookExports
from plugins.webhook.forwarding import WebhookForwards

__all__ = ["Webhook"]


class Webhook(WebhookExports, WebhookForwards):
    """A receiver of signed requests."""
