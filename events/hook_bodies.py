"""What the body of a tool's webhook says: paths into it, the events it stands for, whether it is signed. Pure.

A path names its way by dots, with numbers for places in lists: `data.customer.email`, `items.0.id`. A key that holds
dots or brackets itself, as forms send them, is tried as it stands first.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError, WebhookVerificationError

CHECKS: Mapping[str, str | Promise] = {
    "none": gettext_lazy("Not signed: the secret in the address is enough"),
    "standard": gettext_lazy("Standard Webhooks (webhook-signature)"),
    "sha256": gettext_lazy("HMAC SHA-256, in hexadecimal"),
    "sha1": gettext_lazy("HMAC SHA-1, in hexadecimal"),
}
OWN_PATHS = ("type", "message_id", "occurred_at", "items")  # of a mapping, beside the fields
_DEEPEST = 12
_MOST_PATHS = 200
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Paths:
    """Where in a body things stand. `items` leads to a list of which each is an event; "" is the body itself."""

    fields: Mapping[str, str] = field(default_factory=dict)
    type: str = ""
    message_id: str = ""
    occurred_at: str = ""
    items: str = ""

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Paths:
        """As it is stored with a hook."""
        texts = {name: str(stored.get(name) or "") for name in OWN_PATHS}
        return cls(fields=dict(stored.get("fields") or {}), **texts)


def find(body: Any, path: str) -> Any:
    """What stands at a path, or None."""
    if isinstance(body, dict) and path in body:
        return body[path]
    found = body
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step, _MISSING)
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
        if found is _MISSING:
            return None
    return found


def list_paths(body: Any) -> list[tuple[str, str]]:
    """Every path that leads to a single value, with that value as text; as many as a person looks through."""
    found: list[tuple[str, str]] = []
    _walk(body, "", found, 0)
    return found[:_MOST_PATHS]


def read_events(body: Any, mapping: Paths, *, keys: Collection[str], message_id: str) -> list[Any]:
    """The envelopes of the events that a body stands for, as `events/arriving.py` reads them.

    A mapped value stands under its property's key; whatever else the body holds stays where it is, and what has the
    key of a property that is not mapped goes under `body.KEY`, so that it is not saved by accident. `message_id` names
    the delivery where the body has no id of its own. An item that is no object is given back as it is.
    """
    items = find(body, mapping.items) if mapping.items else body
    listed: Sequence[Any] = items if isinstance(items, list) else [items]
    several = len(listed) > 1
    return [
        _envelope(item, mapping, keys, f"{message_id}:{number}" if several and message_id else message_id)
        for number, item in enumerate(listed)
    ]


def _envelope(item: Any, mapping: Paths, keys: Collection[str], message_id: str) -> Any:
    if not isinstance(item, dict):
        return item
    payload = dict(item)
    if mapping.fields:
        payload = {f"body.{key}" if key in keys or key.startswith("_") else key: value for key, value in item.items()}
        for key, path in mapping.fields.items():
            value = find(item, path)
            if value is not None:
                payload[key] = value
    own_id = find(item, mapping.message_id) if mapping.message_id else None
    occurred = find(item, mapping.occurred_at) if mapping.occurred_at else None
    return {
        "payload": payload,
        "message_id": str(own_id)[:200] if isinstance(own_id, str | int) else message_id or None,
        "type": _type(item, mapping.type),
        "occurred_at": occurred if isinstance(occurred, str | int | float) else None,
    }


def _type(item: Any, path: str) -> str:
    """What stands at the path; where nothing does, the path is the type itself."""
    found = find(item, path) if path else None
    return str(found)[:200] if isinstance(found, str | int) else "" if "." in path else path


def is_signed(body: bytes, headers: Mapping[str, str], *, check: str, header: str, secret: str) -> bool:
    """Whether a body is from whoever knows the secret. Comparisons take the same time whatever is wrong."""
    if check == "none":
        return True
    if check == "standard":
        try:
            Webhook(secret).verify(body, {key.lower(): value for key, value in headers.items()})
        except (WebhookVerificationError, ValueError, TypeError):  # the last two: a signature that is no base64
            return False
        return True
    given = headers.get(header, "").strip().rpartition("=")[2]
    wanted = hmac.new(secret.encode(), body, check).hexdigest()
    return hmac.compare_digest(wanted.encode(), given.lower().encode())  # text with other than ASCII cannot be compared


def is_signing_secret(secret: str) -> bool:
    """Whether signatures of Standard Webhooks can be checked with it."""
    try:
        Webhook(secret)
    except (EmptyWebhookSecretError, ValueError):
        return False
    return True


def _walk(value: Any, path: str, found: list[tuple[str, str]], depth: int) -> None:
    if len(found) >= _MOST_PATHS or depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key, each in value.items():
            _walk(each, f"{path}.{key}" if path else str(key), found, depth + 1)
    elif isinstance(value, list):
        for number, each in enumerate(value[:5]):
            _walk(each, f"{path}.{number}" if path else str(number), found, depth + 1)
    elif path:
        found.append((path, "null" if value is None else str(value)[:200]))
