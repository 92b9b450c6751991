"""The page of the audit log: who changed what of the configuration, and how. For admins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from core.accounts.models import AuditEntry, Role, User
from core.accounts.permissions import role_required
from core.ui.pages import PAGE_SIZE, answer

# What the tables are called on pages.
THINGS = {
    "app": "App",
    "profile_property_rule": "property",
    "profile_group": "group",
    "schedule": "schedule",
    "run": "run",
    "subscription": "event subscription",
    "profile": "profile",
    "person": "person",
    "api_key": "API key",
    "project": "settings",
}
_DID = {
    "create": "made",
    "update": "changed",
    "change": "changed",
    "update_rules": "changed the rules of",
    "rename": "renamed",
    "delete": "deleted",
    "pause": "paused",
    "resume": "resumed",
    "halt": "halted",
    "start": "started",
    "stop": "stopped",
    "revoke": "revoked",
    "set_password": "gave a new password to",
    "rotate_secrets": "encrypted anew the secrets of",
    "recalculate": "recalculated",
    "send_again": "sent again from",
    "follow_time": "took note of the dates of",
}
_LONGEST = 300  # characters of one value
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NO_VALUES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of what was changed; None where there was no value."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry in words: "Alice" "changed" "the group" "Lapsed customers", field by field."""

    entry: AuditEntry
    did: str
    thing: str
    name: str
    differences: list[Difference]


@require_GET
@role_required(Role.ADMIN)
def show_log(request: HttpRequest) -> HttpResponse:
    """Changes, the latest first, of one kind of thing or by one person if asked so."""
    kind = request.GET.get("kind", "")
    who = request.GET.get("who", "")
    before = request.GET.get("before", "")
    entries = _filter(AuditEntry.objects.order_by("-pk"), kind=kind, who=who)
    if before.isdecimal() and len(before) < 19:
        entries = entries.filter(pk__lt=int(before))
    found = list(entries[: PAGE_SIZE + 1])
    context = {
        "entries": [describe(entry) for entry in found[:PAGE_SIZE]],
        "next_before": found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None,
        "is_later_page": bool(before),
        "is_filtered": bool(kind or who),
        "kind": kind,
        "who": who,
        "kinds": sorted(THINGS.items(), key=lambda pair: pair[1].lower()),
        "people": [(f"person:{user.pk}", str(user)) for user in User.objects.order_by("name", "email")],
    }
    return answer(request, "accounts/audit_log.html", "accounts/_audit_entries.html", context)


def describe(entry: AuditEntry) -> ShownEntry:
    """One entry in words."""
    act = entry.action.rpartition(".")[2]
    thing = THINGS.get(entry.subject_kind, entry.subject_kind.replace("_", " "))
    is_one_of_many = entry.subject_kind != "project"
    return ShownEntry(
        entry=entry,
        did=_DID.get(act, act.replace("_", " ")),
        thing=f"the {thing}",
        name=entry.subject_label if is_one_of_many else "",
        differences=_differences(entry),
    )


def _filter(entries: QuerySet[AuditEntry], *, kind: str, who: str) -> QuerySet[AuditEntry]:
    if kind in THINGS:
        entries = entries.filter(subject_kind=kind)
    actor, _, id_ = who.partition(":")
    if actor in {"api_key", "system"}:
        entries = entries.filter(actor_kind=actor)
    elif actor == "person" and id_.isdecimal() and len(id_) < 19:
        entries = entries.filter(actor_kind="person", actor_id=int(id_))
    return entries


def _differences(entry: AuditEntry) -> list[Difference]:
    before: Mapping[str, Any] = entry.before or _NO_VALUES
    after: Mapping[str, Any] = entry.after or _NO_VALUES
    found = []
    for key in dict.fromkeys([*after, *before]):
        old, new = _in_words(before.get(key)), _in_words(after.get(key))
        if old is not None or new is not None:
            found.append(Difference(key.replace("_", " ").capitalize(), old, new))
    return found


def _in_words(value: Any) -> str | None:
    if value is None or value == "" or value == [] or value == {}:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = _say_time(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _say_time(text: str) -> str:
    """A moment as people write it, in the project's zone; any other text as it is."""
    if not _MOMENT.fullmatch(text):
        return text
    return timezone.localtime(datetime.fromisoformat(text)).strftime("%Y-%m-%d %H:%M %Z")
