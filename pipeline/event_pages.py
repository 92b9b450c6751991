"""What the page of one event shows: its way through the pipeline, what became of each key. Reads only.

Everything that one batch wrote carries the number of its transaction: the changes and the moves that an event brought
are those of its profile with the event's own number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext

from core.accounts import project
from core.ui import causes
from core.ui.causes import Cause
from core.ui.wording import NBSP, counted, duration, number, people, value_text
from events.models import Event, EventState, Inbox, SourceKind
from groups import pages as group_pages
from groups.models import GroupMembershipChange
from profiles import hydration_traces, queries, ruleset
from profiles.models import HydrationTrace, Profile, ProfileChange, Retrieval
from profiles.naming import DEVICE, PREVIOUS
from profiles.properties import type_value
from profiles.queries import Person
from profiles.resolution import CONFLICT
from profiles.ruleset import Rule

_AROUND = timedelta(days=1)  # a log row of the same transaction is not further from the event's arrival than this
_SHOWN_STATEMENTS, _SHOWN_STATEMENT = 4, 72  # how many, and how many characters of each
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FAR = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the pipeline: `at` is None where no time was recorded; `after` is how long since the first step."""

    title: str
    look: str
    text: str
    at: datetime | None = None
    after: str = ""
    links: tuple[tuple[str, str], ...] = ()  # (text, address), behind the text


@dataclass(frozen=True, slots=True)
class KeyFate:
    """What became of one key of the payload. `look` "" is neutral."""

    key: str
    look: str
    word: str
    note: str
    why: str
    is_unknown: bool = False  # no rule has this key: one could be made


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """An event with all that its page tells of it."""

    event: Event
    person: Person | None
    source: Cause
    steps: Sequence[Step]
    keys: Sequence[KeyFate]
    took: str

    @property
    def name(self) -> str:
        """The event's type, or what it is."""
        return self.event.type or (
            gettext("A row") if self.event.source_kind == SourceKind.RUN else gettext("An event")
        )


def show(event: Event) -> ShownEvent:
    """Everything about a processed event, with a dozen statements at most."""
    profile = Profile.objects.filter(pk=event.profile_id).first() if event.profile_id else None
    change = _change_of(event)
    moves = _moves_of(event)
    rules = queries.rules_in_use()
    person = queries.name_people([profile], rules)[0] if profile else None
    cause = f"{event.source_kind}:{event.source_id}"
    source = causes.name_all([cause])[cause]
    done_at = change.at if change else moves[0].at if moves else None
    took = _since(event.received_at, done_at) if done_at else ""
    return ShownEvent(
        event=event,
        person=person,
        source=source,
        steps=_steps(event, person, source, change, moves, took=took),
        keys=_fates(event, profile, change),
        took=took,
    )


def waiting_steps(event: Inbox) -> list[Step]:
    """The steps of an event that no worker has taken yet."""
    next_, tries = gettext("A worker takes it next."), event.attempts
    if tries > 1:
        text = ngettext(
            "A worker takes it next. Tried %(count)s time so far.",
            "A worker takes it next. Tried %(count)s times so far.",
            tries,
        )
        next_ = counted(text, tries)
    return [
        Step(gettext("Received"), "ok", gettext("It is stored safely."), event.received_at),
        Step(gettext("Waiting"), "info", next_),
    ]


# ---------------------------------------------------------------- what one transaction wrote


def _change_of(event: Event) -> ProfileChange | None:
    if event.profile_id is None:
        return None
    near = ProfileChange.objects.filter(profile_id=event.profile_id, xid=event.xid)
    return near.filter(at__gte=event.received_at - _AROUND, at__lte=event.received_at + _FAR).first()


def _moves_of(event: Event) -> list[GroupMembershipChange]:
    if event.profile_id is None:
        return []
    near = GroupMembershipChange.objects.filter(profile_id=event.profile_id, xid=event.xid)
    return list(near.filter(at__gte=event.received_at - _AROUND, at__lte=event.received_at + _FAR).order_by("id"))


# ---------------------------------------------------------------- the steps


def _steps(
    event: Event,
    person: Person | None,
    source: Cause,
    change: ProfileChange | None,
    moves: Sequence[GroupMembershipChange],
    *,
    took: str,
) -> list[Step]:
    how = (
        gettext("A row that a run found.")
        if event.source_kind == SourceKind.RUN
        else gettext("Sent by %(source)s.") % {"source": source.label}
    )
    steps = [Step(gettext("Received"), "ok", how, event.received_at)]
    if event.state == EventState.REJECTED:
        return [*steps, Step(gettext("Rejected"), "bad", event.error)]
    if event.profile_id is None:
        return [*steps, Step(gettext("No person found"), "warn", event.error or gettext("It names nobody."))]
    if person is None:
        steps.append(Step(gettext("Person found"), "ok", gettext("Their profile is gone since.")))
    else:
        is_new = change is not None and _is_first(change, person)
        link = ((person.name, reverse("profiles:show", args=[person.profile.pk])),)
        title, text = (
            (gettext("Person made"), gettext("Nobody had these identities: now"))
            if is_new
            else (gettext("Person found"), gettext("It is about"))
        )
        steps.append(Step(title, "warn" if event.error else "ok", text, links=link))
        steps += _conflict(event)
    steps += _asked(hydration_traces.find(event.xid))
    steps.append(_filled_in(change, took))
    steps.append(_groups_checked(moves, took))
    return steps


def _conflict(event: Event) -> list[Step]:
    """What contradicts itself: both profiles, and the offer to make them one."""
    if not event.error.startswith(CONFLICT) or event.profile_id is None:
        return []
    told = event.error.partition(";")[0].removeprefix(CONFLICT)
    named = [UUID(found) for found in _GUID.findall(told)]
    others = [guid for guid in dict.fromkeys(named) if guid != event.profile_id]
    links = tuple(
        (
            gettext("Compare with %(guid)s and merge") % {"guid": guid},
            f"{reverse('profiles:merge', args=[event.profile_id])}?with={guid}",
        )
        for guid in others
    )
    return [Step(gettext("Identities contradict each other"), "warn", f"{told[0].upper()}{told[1:]}.", links=links)]


def _is_first(change: ProfileChange, person: Person) -> bool:
    """Whether this batch made the profile: every value of it came then."""
    is_near = abs(change.at - person.profile.created_at) < timedelta(minutes=5)
    if not is_near or any(old is not None for old, _ in change.changes.values()):
        return False
    earlier = ProfileChange.objects.filter(profile_id=change.profile_id, at__lte=change.at, pk__lt=change.pk)
    return not earlier.exists()


def _asked(trace: HydrationTrace | None) -> list[Step]:
    """What the batch of the event asked its sources, and how long each answer took."""
    if trace is None:
        return []
    told = "; ".join(
        f"{each['ms']:g}{NBSP}ms, {_rows(each['rows'])}: {Truncator(each['text']).chars(_SHOWN_STATEMENT)}"
        for each in trace.statements[:_SHOWN_STATEMENTS]
    )
    if trace.count > _SHOWN_STATEMENTS:
        more = number(trace.count - _SHOWN_STATEMENTS)
        told = gettext("%(statements)s; and %(count)s more") % {"statements": told, "count": more}
    asked = counted(ngettext("%(count)s statement", "%(count)s statements", trace.count), trace.count)
    if trace.people == 1:
        text = gettext("%(asked)s for this person. %(statements)s")
    else:
        text = gettext("%(asked)s for %(people)s at once. %(statements)s")
    text %= {"asked": asked, "people": people(trace.people), "statements": told}
    return [Step(gettext("Sources asked"), "ok", text, trace.at)]


def _filled_in(change: ProfileChange | None, took: str) -> Step:
    if change is None or not change.changes:
        return Step(gettext("Filled in"), "ok", gettext("No value changed: the sources say what they said before."))
    count = len(change.changes)
    text = counted(
        ngettext("%(count)s property changed: %(keys)s.", "%(count)s properties changed: %(keys)s.", count),
        count,
        keys=_listed(sorted(change.changes)),
    )
    return Step(gettext("Filled in"), "ok", text, change.at, took)


def _rows(count: int) -> str:
    return counted(ngettext("%(count)s row", "%(count)s rows", count), count)


def _groups_checked(moves: Sequence[GroupMembershipChange], took: str) -> Step:
    if not moves:
        return Step(gettext("Groups checked"), "ok", gettext("Stays in the groups they were in."))
    names = group_pages.names([move.group_id for move in moves])
    links = tuple(
        (
            _say_move(names.get(move.group_id) or gettext("a group that is gone"), joined=move.joined),
            reverse("groups:show", args=[move.group_id]) if move.group_id in names else "",
        )
        for move in moves
    )
    return Step(gettext("Groups checked"), "ok", "", moves[0].at, took, links)


def _say_move(group: str, *, joined: bool) -> str:
    return (gettext("Joined %(group)s") if joined else gettext("Left %(group)s")) % {"group": group}


def _listed(words: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(words[:most])
    return (
        gettext("%(shown)s and %(count)s more") % {"shown": shown, "count": number(len(words) - most)}
        if len(words) > most
        else shown
    )


def _since(start: datetime, end: datetime) -> str:
    seconds = max(0.0, (end - start).total_seconds())
    if seconds < 1:
        return f"{round(seconds * 1000)}{NBSP}ms"
    return f"{number(round(seconds, 1))}{NBSP}s" if seconds < 60 else duration(seconds)


# ---------------------------------------------------------------- the keys


def _fates(event: Event, profile: Profile | None, change: ProfileChange | None) -> list[KeyFate]:
    payload: Mapping[str, Any] = event.payload if isinstance(event.payload, dict) else {}
    by_key = ruleset.load().by_key
    blocked = {str(value).lower() for value in project.current().blocked_values}
    return [
        _fate(key, raw, by_key[key], event, profile, change, blocked) if key in by_key else _fate_without_rule(key, raw)
        for key, raw in payload.items()
    ]


def _fate_without_rule(key: str, raw: Any) -> KeyFate:
    if key == DEVICE:
        return KeyFate(
            key,
            "",
            gettext("Leads to the person"),
            str(raw)[:80],
            gettext("An anonymous id, of a device or a session."),
        )
    if key == PREVIOUS:
        return KeyFate(
            key, "", gettext("Says who else they were"), str(raw)[:80], gettext("A former id of the same person.")
        )
    return KeyFate(
        key, "", gettext("Passed through"), gettext("not saved"), gettext("No property has this key."), is_unknown=True
    )


def _fate(
    key: str,
    raw: Any,
    rule: Rule,
    event: Event,
    profile: Profile | None,
    change: ProfileChange | None,
    blocked: set[str],
) -> KeyFate:
    label = rule.label or rule.key
    value, rejected = type_value(rule, raw)
    text = "" if value is None else value_text(value, rule.type, is_identity=rule.is_unique)
    if rejected:
        return KeyFate(key, "bad", gettext("Rejected"), f"“{rejected[0]}”", f"{label}: {rejected[1]}.")
    if rule.is_unique and value is not None and str(value).lower() in blocked:
        return KeyFate(
            key,
            "warn",
            gettext("Ignored"),
            text,
            gettext("This value is on the list of those that never identify anyone."),
        )
    if profile is None:
        return KeyFate(key, "", gettext("Kept on the event"), text, gettext("Nobody was found to save it for."))
    what = gettext("%(label)s is a property, %(a)s.") % {"label": label, "a": _a(rule.type)}
    if change is not None and key in change.changes:
        old, new = change.changes[key]
        if new == value:
            if old is None:
                before = gettext("was empty")
            else:
                before = gettext("was %(value)s") % {"value": value_text(old, rule.type, is_identity=rule.is_unique)}
            word = gettext("Identifies the person") if rule.is_unique else gettext("Saved")
            return KeyFate(key, "ok", word, f"{text or gettext('emptied')}, {before}", what)
        return KeyFate(key, "", gettext("Replaced"), text, _why_replaced(rule, label))
    if change is not None and change.lost and key in change.lost and _lost_here(change.lost[key], event.pk):
        return KeyFate(key, "warn", gettext("Not taken"), text, gettext("A newer value was there already."))
    if rule.is_unique and profile.properties.get(key) == value and value is not None:
        return KeyFate(key, "ok", gettext("Found the person"), text, gettext("%(label)s is unique.") % {"label": label})
    if profile.properties.get(key) == value:
        return KeyFate(key, "ok", gettext("As it was"), text, what)
    return KeyFate(key, "", gettext("Changed since"), text, _why_replaced(rule, label))


def _why_replaced(rule: Rule, label: str) -> str:
    if rule.retrieval != Retrieval.EVENT:
        return gettext("%(label)s is asked from its source, whose answer stands.") % {"label": label}
    return gettext("Another event or person set another value.")


def _lost_here(lost: Sequence[Any], event_id: UUID) -> bool:
    return len(lost) < 3 or str(lost[2]) == f"event:{event_id}"


def _a(type_name: str) -> str:
    words = type_name.replace("_", " ")
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
