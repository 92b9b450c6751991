"""The headers of a request: the App's own, and those of the Standard Webhooks signature over the body as it is sent."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import UTC, datetime

from core.lib.secrets import MASK
from plugins.webhook.receiver import Receiver

_SHOWN_OF_SIGNATURE = 11  # enough to compare, not enough to use


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


def show_request(line: str, headers: Mapping[str, str], *, secret: Container[str]) -> str:
    """A request for the log, without its body: the values of secret headers masked, signatures cut short."""
    shown = {**headers, **{name: MASK for name in headers if name in secret}}
    shown["webhook-signature"] = " ".join(
        f"{each[:_SHOWN_OF_SIGNATURE]}…" for each in shown["webhook-signature"].split()
    )
    return "\n".join([line, *(f"{name}: {value}" for name, value in shown.items())])
