"""What the tests of exports share: people as payloads, targets, and what the stand-in holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.contracts import Outcome, ProfileExport, SyncMode, Target
from plugins.mailchimp import Mailchimp
from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.server import Standin
from tests.plugins.mailchimp.conftest import LIST

FIELDS = {"email_address": "email", "FNAME": "string"}
MEMBER = f"/lists/{LIST}/members"


def person(name: str, **more: Any) -> dict[str, Any]:
    """The payload of Alice, Bob or Charlie."""
    return {"email_address": f"{name.lower()}@example.com", "FNAME": name, **more}


def people(count: int) -> list[dict[str, Any]]:
    """Payloads of many."""
    return [{"email_address": f"person{number}@example.com", "FNAME": f"Person {number}"} for number in range(count)]


def make_target(
    *, mode: SyncMode = SyncMode.SYNC, groups: Sequence[str] = (), more: Mapping[str, str] | None = None
) -> Target:
    """A target for `FIELDS` and more merge fields."""
    return Target({}, "email_address", {**FIELDS, **(more or {})}, mode, tuple(groups))


def change(
    old: dict[str, Any] | None, new: dict[str, Any] | None, *, before: Sequence[str] = (), groups: Sequence[str] = ()
) -> ProfileExport:
    """One item of a batch."""
    about = str((new or old or {}).get("email_address"))
    return ProfileExport(about, old, new, old_groups=tuple(before), new_groups=tuple(groups))


def export(app: Mailchimp, *changes: ProfileExport, target: Target | None = None) -> list[Outcome]:
    """Export in one batch; the outcomes."""
    return list(app.export(target or make_target(), changes))


def send(app: Mailchimp, new: dict[str, Any], target: Target | None = None, **more: Any) -> Outcome:
    """Export one person who is new to the destination."""
    return export(app, change(None, new, **more), target=target)[0]


def status(standin: Standin, email: str) -> str:
    """The status of a member; empty when there is none."""
    member = standin.store.member(LIST, email)
    return member["status"] if member else ""


def tags(standin: Standin, email: str) -> list[str]:
    """The names of a member's tags."""
    return [tag["name"] for tag in standin.store.tags(LIST, hash_email(email))]


def put_member(standin: Standin, email: str, *, status: str = "subscribed", changed: str = "", **more: Any) -> None:
    """Let the audience hold a member, as if by someone else's hand; changed just now or when it says."""
    member = {"email": email, "hash": hash_email(email), "status": status, "merge_fields": {}, **more}
    standin.store.save_member(LIST, member["hash"], member, changed=changed)


def calls(standin: Standin, kind: str = "") -> list[str]:
    """The calls that have been made, of one method or all."""
    return [call for call in standin.calls if call.startswith(kind)]
