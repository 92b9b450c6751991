"""What the tests of exports share: people as payloads, targets, and what the workspace holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.contracts import Outcome, ProfileExport, SyncMode, Target
from plugins.customerio import Customerio
from tests.plugins.customerio.standin import Standin

FIELDS = {"email": "email", "name": "string"}


def person(name: str, /, **more: Any) -> dict[str, Any]:
    """The payload of Alice, Bob or Charlie."""
    return {"email": f"{name.lower()}@example.com", "name": name, **more}


def people(count: int, **more: Any) -> list[dict[str, Any]]:
    """Payloads of many."""
    return [{"email": f"person{number}@example.com", "name": f"Person {number}", **more} for number in range(count)]


def make_target(
    *,
    key: str = "email",
    mode: SyncMode = SyncMode.SYNC,
    groups: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> Target:
    """A target for `FIELDS` and more attributes."""
    return Target({}, key, {**FIELDS, **(more or {})}, mode, tuple(groups))


def change(
    old: dict[str, Any] | None, new: dict[str, Any] | None, *, before: Sequence[str] = (), groups: Sequence[str] = ()
) -> ProfileExport:
    """One item of a batch."""
    about = str((new or old or {}).get("email"))
    return ProfileExport(about, old, new, old_groups=tuple(before), new_groups=tuple(groups))


def export(app: Customerio, *changes: ProfileExport, target: Target | None = None) -> list[Outcome]:
    """Export in one batch; the outcomes."""
    return list(app.export(target or make_target(), changes))


def send(app: Customerio, new: dict[str, Any], target: Target | None = None, **more: Any) -> Outcome:
    """Export one person who is new to the destination."""
    return export(app, change(None, new, **more), target=target)[0]


def held(standin: Standin) -> dict[str, dict[str, Any]]:
    """The attributes of everyone in the workspace, by email, or by id where there is none."""
    return {person.email or person.id: person.attributes for person in standin.workspace.people}
