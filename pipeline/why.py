"""Why someone is in a group or not, in words: for the profile page, the group page and the API. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext, ngettext

from core.ui import causes
from core.ui.causes import Cause
from core.ui.wording import counted, long_day, relative
from groups.explaining import Explanation, Reason, explain
from groups.models import Group
from profiles import queries
from profiles.models import Profile
from profiles.queries import Line


@dataclass(frozen=True, slots=True)
class Why:
    """One group and why a person is in it, or not. `notes` are, by a rule's path, its value with its source."""

    group: Group
    joined_at: datetime | None
    explanation: Explanation | None
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_behind(self) -> bool:
        """Whether membership does not follow the rules yet; it does in a moment."""
        return self.explanation is not None and self.explanation.holds != (self.joined_at is not None)

    @property
    def flips(self) -> str:
        """When time alone makes them leave or join: "on 12 January", "in 5 h"."""
        at = self.explanation.flips_at if self.explanation is not None else None
        if at is None:
            return ""
        local, today = timezone.localtime(at), timezone.localdate()
        if (local.date() - today).days <= 1:
            return relative(at)
        return gettext("on %(day)s") % {"day": _day(at)}

    @property
    def labels(self) -> Sequence[str]:
        """What it asks about, each once."""
        reasons = self.explanation.reasons if self.explanation is not None else ()
        return list(dict.fromkeys(reason.label for reason in reasons))


def explain_groups(
    profile: Profile,
    groups: Sequence[tuple[Group, datetime | None]],
    lines: Sequence[Line],
    named: Mapping[str, Cause],
) -> list[Why]:
    """Each group, given since when they are in it; a handful of statements, whatever their number."""
    explained = explain(profile, [group for group, _ in groups], now=timezone.now())
    known = {line.rule.key: _in_words(line, named) for line in lines}
    return [
        Why(group, joined_at, explained.get(group.pk), _notes(explained.get(group.pk), known))
        for group, joined_at in groups
    ]


def explain_one(profile: Profile, group: Group, joined_at: datetime | None) -> Why:
    """One group for one person."""
    rules = queries.rules_in_use()
    lines = queries.describe(profile, rules, queries.variables(rules))
    named = causes.name_all(line.cause for line in lines if line.cause)
    return explain_groups(profile, [(group, joined_at)], lines, named)[0]


def _notes(explanation: Explanation | None, known: Mapping[str, str]) -> dict[str, str]:
    if explanation is None:
        return {}
    return {reason.path: _note(reason, known) for reason in explanation.reasons}


def _note(reason: Reason, known: Mapping[str, str]) -> str:
    said = _evidence(reason, known)
    return f"{said}; {reason.short}" if reason.short else said


def _evidence(reason: Reason, known: Mapping[str, str]) -> str:
    match reason.kind:
        case "property":
            return known.get(reason.key, "")
        case "group":
            return gettext("in it since %(day)s") % {"day": _day(reason.at)} if reason.at else gettext("not in it")
        case "event":
            if not reason.value or reason.at is None:
                return gettext("never in that time")
            return counted(
                ngettext("%(count)s time, last on %(day)s", "%(count)s times, last on %(day)s", reason.value),
                reason.value,
                day=_day(reason.at),
            )
    return _day(reason.value) if isinstance(reason.value, datetime) else str(reason.value)


def _in_words(line: Line, named: Mapping[str, Cause]) -> str:
    """A value and where it came from, or why there is none."""
    if line.rejected:
        return gettext("“%(rejected)s” was rejected: %(why)s") % {"rejected": line.rejected, "why": line.why}
    if not line.text:
        return line.why
    return gettext("%(line)s, from %(value)s") % {
        "line": line.text,
        "value": named[line.cause].label if line.cause in named else line.source,
    }


def _day(at: datetime) -> str:
    local = timezone.localtime(at)
    return long_day(local) if local.year == timezone.localdate().year else f"{long_day(local)} {local.year}"
