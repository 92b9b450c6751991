"""The headers of a request: the App's own, and those of the Standard Webhooks signature over the body as it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from plugins.webhook.receiver import Receiver


def make_headers(receiver: Receiver, message_id: str, body: str, **more: str) -> Mapping[str, str]:
    """The headers of one request. `message_id` is the same whenever the same is sent again; `more` are of ours, with
    `_` for `-`."""
    now = datetime.now(UTC)
    return {
        "accept": "*/*",
        "user-agent": "Grouparoo",
        **receiver.headers,
        "content-type": "application/json",
        "idempotency-key": message_id,
        "webhook-id": message_id,
        "webhook-signature": " ".join(signer.sign(message_id, now, body) for signer in receiver.signers),
        "webhook-timestamp": str(int(now.timestamp())),
        **{f"grouparoo-{name}": value for name, value in more.items() if value},
    }
