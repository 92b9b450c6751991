"""What the pages of profiles show, put together from profiles, events and groups. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from core.ui.causes import Cause
from core.ui.wording import value_text
from events import queries as event_queries
from events.models import Event, EventState, SourceKind
from groups import pages as group_pages
from groups.models import Group, GroupKind, GroupMembershipChange
from groups.pages import Joined
from pipeline.why import Why, explain_groups
from profiles import queries
from profiles.models import Profile, ProfileChange, ProfilePropertyRule
from profiles.person import MERGED
from profiles.queries import Line, Person

MOST_TAGS = 2  # groups named in a list before "+3"
MOST_GROUPS = 200  # groups looked at on a page of one person
TIMELINE = 20
MOST_SEARCHED = 1_000  # people whom a text finds, to be looked for in a group


@dataclass(frozen=True, slots=True)
class Row:
    """One person in the list."""

    person: Person
    groups: Sequence[Joined]
    more_groups: int
    last_event: event_queries.Latest | None


@dataclass(frozen=True, slots=True)
class GroupsOfPerson:
    """The groups someone is in, those they are not in with the nearest misses first, manual ones they can be put in."""

    inside: Sequence[Why]
    outside: Sequence[Why]
    manual: Sequence[Group]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened to a profile. `values` are changed properties as (label, old, new)."""

    at: datetime
    icon: str
    title: str
    cause: Cause | None = None
    subject: str = ""
    subject_url: str = ""
    note: str = ""
    values: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Day:
    """The moments of one day, newest first."""

    day: date
    moments: list[Moment]


@dataclass(frozen=True, slots=True)
class History:
    """The latest rows about one profile in three logs."""

    changes: Sequence[ProfileChange]
    moves: Sequence[GroupMembershipChange]
    events: Sequence[Event]

    @property
    def causes(self) -> list[str]:
        """What caused them, to be named."""
        rows = [row.cause for row in self.changes] + [row.cause for row in self.moves]
        return rows + list(event_queries.source_causes(self.events).values())


def rows_of(profiles: Sequence[Profile], rules: Sequence[ProfilePropertyRule]) -> list[Row]:
    """A page of the list, with two statements for all its people."""
    ids = [profile.pk for profile in profiles]
    groups, latest = group_pages.groups_of(ids), event_queries.latest_of(ids)
    return [
        Row(
            person=person,
            groups=groups.get(person.profile.pk, [])[:MOST_TAGS],
            more_groups=max(0, len(groups.get(person.profile.pk, [])) - MOST_TAGS),
            last_event=latest.get(person.profile.pk),
        )
        for person in queries.name_people(profiles, rules)
    ]


def groups_of_person(profile: Profile, lines: Sequence[Line], named: Mapping[str, Cause]) -> GroupsOfPerson:
    """Every group with its reasons for this person, with a handful of statements, whatever their number."""
    groups = group_pages.groups_for(profile.pk, limit=MOST_GROUPS)
    whys = explain_groups(profile, groups, lines, named)
    outside = [why for why in whys if why.joined_at is None and why.explanation is not None]
    outside.sort(key=lambda why: why.explanation.missing if why.explanation else 0)
    return GroupsOfPerson(
        inside=[why for why in whys if why.joined_at is not None],
        outside=outside,
        manual=[why.group for why in whys if why.joined_at is None and why.group.kind == GroupKind.MANUAL],
        names={group.pk: group.name for group, _ in groups},
    )


def read_history(profile: Profile) -> History:
    """The latest changes, moves and events of a profile."""
    return History(
        changes=queries.changes_of(profile.pk, limit=TIMELINE),
        moves=group_pages.moves_of_profile(profile.pk, limit=TIMELINE),
        events=event_queries.of_profile(profile.pk, limit=TIMELINE),
    )


def timeline(
    profile: Profile,
    history: History,
    rules: Sequence[ProfilePropertyRule],
    named: Mapping[str, Cause],
    *,
    group_names: Mapping[int, str],
) -> list[Day]:
    """A history in one order; `named` holds its causes in words, `group_names` those of the groups there are."""
    sources = event_queries.source_causes(history.events)
    moments = moments_of_changes(history.changes, rules, named)
    moments += [_of_move(move, group_names, named) for move in history.moves]
    moments += [_of_event(event, named[sources[event.pk]]) for event in history.events]
    moments.append(Moment(profile.created_at, "user", gettext("Profile created")))
    moments.sort(key=lambda moment: moment.at, reverse=True)
    return by_day(moments[:TIMELINE])


def moments_of_changes(
    changes: Sequence[ProfileChange], rules: Sequence[ProfilePropertyRule], named: Mapping[str, Cause]
) -> list[Moment]:
    """Rows of the change log: what became what, and what came too late to count."""
    by_key = {rule.key: rule for rule in rules}
    return [moment for change in changes for moment in _of_change(change, by_key, named)]


def by_day(moments: Sequence[Moment]) -> list[Day]:
    """Moments in their order, under the day they fell on in the viewer's time zone."""
    days: list[Day] = []
    for moment in moments:
        day = timezone.localtime(moment.at).date()
        if not days or days[-1].day != day:
            days.append(Day(day, []))
        days[-1].moments.append(moment)
    return days


def _of_change(
    change: ProfileChange, by_key: Mapping[str, ProfilePropertyRule], named: Mapping[str, Cause]
) -> list[Moment]:
    moments = []
    if MERGED in change.changes:
        before, after = change.changes[MERGED]
        title = gettext("Became part of another profile") if after else gettext("Is a profile of its own again")
        address = reverse("profiles:show", args=[after or before])
        moments.append(Moment(change.at, "blend", title, named.get(change.cause), gettext("that one"), address))
    if change.changes.keys() - {MERGED}:
        values = tuple(
            (_label(by_key, key), _text(by_key, key, pair[0]), _text(by_key, key, pair[1]))
            for key, pair in sorted(change.changes.items())
            if key != MERGED
        )
        is_first = len(values) > 1 and all(old == "" for _, old, _ in values)
        several = gettext("First values") if is_first else gettext("Changed")
        title = gettext("%(values)s changed") % {"values": values[0][0]} if len(values) == 1 else several
        moments.append(Moment(change.at, "pencil", title, named.get(change.cause), values=values))
    if change.lost:
        late = tuple((_label(by_key, key), _text(by_key, key, entry[0]), "") for key, entry in change.lost.items())
        moments.append(
            Moment(
                change.at, "minus", gettext("Older than what is known, not taken"), named.get(change.cause), values=late
            )
        )
    return moments


def _of_move(move: GroupMembershipChange, names: Mapping[int, str], named: Mapping[str, Cause]) -> Moment:
    return Moment(
        at=move.at,
        icon="blend",
        title=gettext("Joined") if move.joined else gettext("Left"),
        cause=named.get(move.cause),
        subject=names.get(move.group_id, gettext("a group that is gone")),
        subject_url=reverse("groups:show", args=[move.group_id]) if move.group_id in names else "",
    )


def _of_event(event: Event, source: Cause) -> Moment:
    kind = gettext("Record") if event.source_kind == SourceKind.RUN else gettext("Event")
    problem = event.error if event.state != EventState.PROCESSED or event.error else ""
    return Moment(
        at=event.occurred_at,
        icon="zap",
        title=kind if event.type else "",
        cause=source,
        subject=event.type or kind,
        subject_url=reverse("events:show", args=[event.pk]),
        note=problem,
    )


def _label(by_key: Mapping[str, ProfilePropertyRule], key: str) -> str:
    return str(by_key[key]) if key in by_key else key


def _text(by_key: Mapping[str, ProfilePropertyRule], key: str, value: Any) -> str:
    if value is None:
        return ""
    rule = by_key.get(key)
    return value_text(value, rule.type, is_identity=rule.is_unique) if rule else str(value)


def search_group(group_id: int, text: str, rules: Sequence[ProfilePropertyRule]) -> list[Profile]:
    """The members of a group among those whom a text finds; of very many it finds, among the first of them."""
    found = queries.search_ids(text, rules, limit=MOST_SEARCHED)
    members = group_pages.which_are_members(group_id, found)
    return queries.by_ids([guid for guid in found if guid in members][: queries.MOST_FOUND + 1])


def group_filter(group_id: int, *, before: UUID | None, limit: int, oldest_first: bool = False) -> list[Profile]:
    """The people of one group, the latest first."""
    members = group_pages.member_ids(group_id, before=before, limit=limit, oldest_first=oldest_first)
    return queries.by_ids([profile_id for profile_id, _ in members])
