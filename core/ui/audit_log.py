"""The page of the audit log: who changed what of the configuration, and how. For admins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET

from core.accounts.models import ApiKey, AuditEntry, Role, User
from core.accounts.permissions import role_required
from core.ui.pages import PAGE_SIZE, answer

# What the tables are called on pages.
THINGS = {
    "app": gettext_lazy("App"),
    "profile_property_rule": gettext_lazy("property"),
    "profile_group": gettext_lazy("group"),
    "schedule": gettext_lazy("schedule"),
    "run": gettext_lazy("run"),
    "subscription": gettext_lazy("event subscription"),
    "profile": gettext_lazy("profile"),
    "person": gettext_lazy("person"),
    "invitation": gettext_lazy("invitation"),
    "api_key": gettext_lazy("API key"),
    "hook": gettext_lazy("webhook"),
    "project": gettext_lazy("settings"),
}
_DID = {
    "create": gettext_lazy("made"),
    "update": gettext_lazy("changed"),
    "change": gettext_lazy("changed"),
    "update_rules": gettext_lazy("changed the rules of"),
    "rename": gettext_lazy("renamed"),
    "delete": gettext_lazy("deleted"),
    "pause": gettext_lazy("paused"),
    "resume": gettext_lazy("resumed"),
    "halt": gettext_lazy("halted"),
    "start": gettext_lazy("started"),
    "stop": gettext_lazy("stopped"),
    "revoke": gettext_lazy("revoked"),
    "set_password": gettext_lazy("gave a new password to"),
    "rotate_secrets": gettext_lazy("encrypted anew the secrets of"),
    "recalculate": gettext_lazy("recalculated"),
    "send_again": gettext_lazy("sent again from"),
    "follow_time": gettext_lazy("took note of the dates of"),
    "follow_updates": gettext_lazy("took note of the last changes of"),
    "accept": gettext_lazy("accepted"),
    "renew": gettext_lazy("made a new link for"),
    "make_reset_link": gettext_lazy("made a link for a new password of"),
    "two_factor_on": gettext_lazy("turned two-factor sign-in on for"),
    "two_factor_off": gettext_lazy("turned two-factor sign-in off for"),
    "end_sessions": gettext_lazy("ended sessions of"),
    "use_recovery_code": gettext_lazy("used a recovery code of"),
    "renew_recovery_codes": gettext_lazy("made new recovery codes for"),
    "merge": gettext_lazy("merged"),
    "unmerge": gettext_lazy("made two again of"),
    "replay": gettext_lazy("took again"),
    "test": gettext_lazy("sent a test by"),
    "revert": gettext_lazy("took back"),
    "discard_plan": gettext_lazy("discarded the plan of"),
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
    """Changes, the latest first; of one kind of thing, by someone, within some days of the viewer's if asked so."""
    kind, who, before = (request.GET.get(name, "") for name in ("kind", "who", "before"))
    since, until = (_read_day(request.GET.get(name, "")) for name in ("since", "until"))
    entries = _filter(AuditEntry.objects.order_by("-pk"), kind=kind, who=who)
    entries = _within(entries, since=since, until=until)
    if before.isdecimal() and len(before) < 19:
        entries = entries.filter(pk__lt=int(before))
    found = list(entries[: PAGE_SIZE + 1])
    context = {
        "entries": [describe(entry) for entry in found[:PAGE_SIZE]],
        "next_before": found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None,
        "is_later_page": bool(before),
        "is_filtered": bool(kind or who or since or until),
        "kind": kind,
        "who": who,
        "kinds": sorted(THINGS.items(), key=lambda pair: pair[1].lower()),
        "since": since,
        "until": until,
        "people": [(f"person:{user.pk}", str(user)) for user in User.objects.order_by("name", "email")],
        "keys": [
            (f"api_key:{key.pk}", gettext("API key %(key)s") % {"key": key})
            for key in ApiKey.objects.order_by("name", "pk")
        ],
    }
    return answer(request, "accounts/audit_log.html", "accounts/_audit_entries.html", context)


def describe(entry: AuditEntry) -> ShownEntry:
    """One entry in words."""
    act = entry.action.rpartition(".")[2]
    thing = str(THINGS.get(entry.subject_kind, entry.subject_kind.replace("_", " ")))
    is_one_of_many = entry.subject_kind != "project"
    return ShownEntry(
        entry=entry,
        did=str(_DID.get(act, act.replace("_", " "))),
        thing=gettext("the %(thing)s") % {"thing": thing},
        name=entry.subject_label if is_one_of_many else "",
        differences=_differences(entry),
    )


def _filter(entries: QuerySet[AuditEntry], *, kind: str, who: str) -> QuerySet[AuditEntry]:
    if kind in THINGS:
        entries = entries.filter(subject_kind=kind)
    actor, _, id_ = who.partition(":")
    if actor in {"person", "api_key", "system"}:
        entries = entries.filter(actor_kind=actor)
        if id_.isdecimal() and len(id_) < 19:
            entries = entries.filter(actor_id=int(id_))
    return entries


def _within(entries: QuerySet[AuditEntry], *, since: date | None, until: date | None) -> QuerySet[AuditEntry]:
    """From the beginning of one day to the end of another."""
    if since is not None:
        entries = entries.filter(at__gte=_midnight(since))
    if until is not None and until < date.max:
        entries = entries.filter(at__lt=_midnight(until + timedelta(days=1)))
    return entries


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _read_day(text: str) -> date | None:
    """A day of a query string; None for anything else, and for days so far away that they have no midnight."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1900 <= day.year <= 9000 else None


def _differences(entry: AuditEntry) -> list[Difference]:
    return list(_compare(entry.before or _NO_VALUES, entry.after or _NO_VALUES))


def _compare(before: Mapping[str, Any], after: Mapping[str, Any], *, within: str = "") -> Iterator[Difference]:
    """Field by field; of an object only the fields that differ, of a list only what came and what went."""
    for key in dict.fromkeys([*after, *before]):
        old, new = before.get(key), after.get(key)
        label = f"{within}, {key}" if within else key.replace("_", " ").capitalize()
        if isinstance(old or new, dict) and isinstance(old or {}, dict) and isinstance(new or {}, dict):
            yield from _compare(old or _NO_VALUES, new or _NO_VALUES, within=label)
            continue
        if isinstance(old, list) and isinstance(new, list) and old != new:
            went, came = [each for each in old if each not in new], [each for each in new if each not in old]
            old, new = (went, came) if went or came else (old, new)  # else only their order is another
        shown = _in_words(old), _in_words(new)
        if (within and old == new) or shown == (None, None):
            continue
        yield Difference(label, *shown)


def _in_words(value: Any) -> str | None:
    if value is None or value == "" or value == [] or value == {}:
        return None
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    elif isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = _say_time(str(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _say_time(text: str) -> str:
    """A moment as people write it, in the viewer's zone; any other text as it is."""
    if not _MOMENT.fullmatch(text):
        return text
    return timezone.localtime(datetime.fromisoformat(text)).strftime("%Y-%m-%d %H:%M %Z")
