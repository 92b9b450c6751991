"""Webhook Apps of the tests, which may call this machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from plugins.contracts import OutboundItem
from plugins.webhook import Webhook
from tests.receiver import SECRET

# The story's own event.
BODY: Mapping[str, Any] = {
    "cart_abandoned_at": "Jan 5, 2019",
    "cart_items": ["red shirt"],
    "profile": {"user_id": 3, "first_name": "Evan", "email": "evan@grouparoo.com"},
}


class LocalWebhook(Webhook):
    """As on an installation that allows private hosts."""

    private_hosts_allowed = True


def connect(url: str, **options: Any) -> Webhook:
    """An open connection to the receiver at `url`."""
    return LocalWebhook({"url": url, "secret": SECRET, "timeout": 5, **options})


def event(number: int, *, profile: str = "", body: Mapping[str, Any] = BODY, **more: Any) -> OutboundItem:
    """One event, of a profile of its own unless one is named."""
    return OutboundItem(
        id=f"event-{number}",
        type="cart_abandoned",
        occurred_at=datetime(2019, 1, 5, tzinfo=UTC),
        body=body,
        profile=profile or f"profile-{number}",
        **more,
    )
