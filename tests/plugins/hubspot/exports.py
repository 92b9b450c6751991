"""What the tests of exports share: people as payloads, targets, and sending them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.contracts import Outcome, ProfileExport, SyncMode, Target
from plugins.hubspot import Hubspot
from tests.plugins.hubspot.standin import Standin

FIELDS = {"email": "email", "firstname": "string"}
CONTACTS = "/crm/v3/objects/contacts"


def person(name: str, /, **more: Any) -> dict[str, Any]:
    """The payload of Alice, Bob or Charlie."""
    return {"email": f"{name.lower()}@example.com", "firstname": name, **more}


def people(count: int) -> list[dict[str, Any]]:
    """Payloads of many."""
    return [{"email": f"person{number}@example.com", "firstname": f"Person {number}"} for number in range(count)]


def make_target(
    *, mode: SyncMode = SyncMode.SYNC, groups: Sequence[str] = (), more: Mapping[str, str] | None = None
) -> Target:
    """A target for `FIELDS` and more properties."""
    return Target({}, "email", {**FIELDS, **(more or {})}, mode, tuple(groups))


def change(
    old: dict[str, Any] | None, new: dict[str, Any] | None, *, before: Sequence[str] = (), groups: Sequence[str] = ()
) -> ProfileExport:
    """One item of a batch."""
    about = str((new or old or {}).get("email"))
    return ProfileExport(about, old, new, old_groups=tuple(before), new_groups=tuple(groups))


def export(app: Hubspot, *changes: ProfileExport, target: Target | None = None) -> list[Outcome]:
    """Export in one batch; the outcomes."""
    return list(app.export(target or make_target(), changes))


def send(app: Hubspot, new: dict[str, Any], target: Target | None = None, **more: Any) -> Outcome:
    """Export one person who is new to the destination."""
    return export(app, change(None, new, **more), target=target)[0]


def calls(standin: Standin) -> list[str]:
    """The calls that have been made, without what their paths share."""
    return [call.replace("/crm/v3/", "").replace("objects/contacts/", "") for call in standin.calls]
