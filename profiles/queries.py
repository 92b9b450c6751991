"""Reads of profiles and property rules for pages and the API. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext, ngettext

from core.accounts import project
from core.lib.clock import from_us
from core.ui import search as search_box
from core.ui.search import Hit
from core.ui.wording import counted, value_text
from profiles.merges import all_ids
from profiles.meta import AS_OF, CAUSE, REASON, REJECTED, UPDATED, get
from profiles.models import (
    Profile,
    ProfileChange,
    ProfileIdentity,
    ProfilePropertyRule,
    Retrieval,
    RuleState,
    RuleVariable,
)
from profiles.types import TYPES, Rejected, compare_key

FEW = 20_000  # so many people are counted as quickly as estimated
MOST_FOUND = 50  # people a search shows; whoever has more writes more letters
_LAST_LETTER = "\U0010ffff"  # no text goes on with it
_FULL_NAMES = ("name", "full_name")
_GIVEN, _FAMILY = ("first_name", "given_name"), ("last_name", "family_name", "surname")


@dataclass(frozen=True, slots=True)
class Line:
    """One property of one profile as its page shows it. `text` is empty when there is no value; `why` says why."""

    rule: ProfilePropertyRule
    text: str
    why: str = ""
    rejected: str = ""
    cause: str = ""  # what set it, where that is not the rule's own source
    as_of: datetime | None = None
    updated: datetime | None = None

    @property
    def source(self) -> str:
        """The App it comes from, or who may send it."""
        return self.rule.app.name if self.rule.app else gettext("Events")


@dataclass(frozen=True, slots=True)
class Person:
    """A profile as lists name it. `detail` tells people of the same name apart."""

    profile: Profile
    name: str
    detail: str
    rejected: int

    @property
    def rejected_words(self) -> str:
        """ "2 values rejected"."""
        return counted(ngettext("%(count)s value rejected", "%(count)s values rejected", self.rejected), self.rejected)

    @property
    def initials(self) -> str:
        """One or two letters for the round picture."""
        words = [word for word in self.name.replace("@", " ").split() if word[:1].isalnum()]
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


def rules_in_use() -> list[ProfilePropertyRule]:
    """Every rule that is not deleted, with its App: identities first, by rank, then in the order they were made."""
    rules = ProfilePropertyRule.objects.exclude(state=RuleState.DELETED).select_related("app").order_by("id")
    return sorted(rules, key=lambda rule: (not rule.is_unique, rule.identity_rank or 0, rule.pk))


def about_everyone() -> int:
    """How many profiles there are, as the planner knows it; counted where it does not know, or where they are few."""
    with connection.cursor() as cursor:
        cursor.execute("select reltuples::bigint from pg_class where oid = 'profile'::regclass")
        about = int(cursor.fetchone()[0])
        if about > FEW:
            return about
        cursor.execute("select count(*) from profile where merged_into is null")
        return int(cursor.fetchone()[0])


def newest(*, before: UUID | None, limit: int, oldest_first: bool = False) -> list[Profile]:
    """People in the order they came, the latest first; `before` is the last guid of the page above."""
    people = Profile.objects.filter(merged_into__isnull=True)
    if before is not None:
        people = people.filter(guid__gt=before) if oldest_first else people.filter(guid__lt=before)
    return list(people.order_by("guid" if oldest_first else "-guid")[:limit])


def by_ids(ids: Sequence[UUID]) -> list[Profile]:
    """These profiles, in the given order; those that are gone are left out."""
    found = Profile.objects.in_bulk(list(ids))
    return [found[each] for each in ids if each in found]


def search(text: str, rules: Iterable[ProfilePropertyRule], *, limit: int = MOST_FOUND + 1) -> list[Profile]:
    """People one of whose unique properties is `text` or begins with it, or whose guid it is; exact matches first."""
    return by_ids(search_ids(text, rules, limit=limit))


def search_ids(text: str, rules: Iterable[ProfilePropertyRule], *, limit: int = MOST_FOUND + 1) -> list[UUID]:
    """Their guids, with one statement; a guid is given back as it is, whether or not there is such a profile."""
    wanted = text.strip().replace("\0", "")
    if not wanted:
        return []
    unique = [rule for rule in rules if rule.is_unique]
    spans = [(rule.pk, value, f"{value}\x01") for rule in unique for value in _spellings(rule, wanted)]  # that alone
    starts = sorted({wanted, wanted.lower()})
    spans += [(rule.pk, start, f"{start}{_LAST_LETTER}") for rule in unique for start in starts]
    guid = _as_guid(wanted)
    found = [guid] if guid else []
    found += _owners_within(spans, limit=limit)
    return list(dict.fromkeys(found))[:limit]


def _owners_within(spans: Sequence[tuple[int, str, str]], *, limit: int) -> list[UUID]:
    """Whoever owns a value from the one to below the other, span by span. However many do, each reads a few rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.profile_id from unnest(%s::bigint[], %s::text[], %s::text[])"
            "  with ordinality s(rule_id, start, until, place)"
            " cross join lateral (select value, profile_id from profile_identity"
            "  where rule_id = s.rule_id and value >= s.start and value < s.until order by value limit %s) i"
            " order by s.place, i.value limit %s",
            [[span[0] for span in spans], [span[1] for span in spans], [span[2] for span in spans], limit, 2 * limit],
        )
        return [row[0] for row in cursor.fetchall()]


def find_people(text: str, limit: int) -> list[Hit]:
    """For the search box: people by what identifies them."""
    rules = rules_in_use()
    people = name_people(search(text, rules, limit=limit), rules)
    return [Hit(person.name, reverse("profiles:show", args=[person.profile.pk]), person.detail) for person in people]


def find_rules(text: str, limit: int) -> list[Hit]:
    """For the search box: properties by words of their labels and keys."""
    kept = ProfilePropertyRule.objects.exclude(state=RuleState.DELETED)
    found = search_box.named(kept, text, "label", "key")[:limit]
    return [Hit(str(rule), reverse("properties:show", args=[rule.pk]), rule.key) for rule in found]


def find_by_identity(rule: ProfilePropertyRule, text: str) -> list[Profile]:
    """Whoever owns this value of a unique property: nobody or one."""
    owners = ProfileIdentity.objects.filter(rule_id=rule.pk, value__in=_spellings(rule, text.strip()))
    return by_ids(list(owners.values_list("profile_id", flat=True)))


def name_people(profiles: Sequence[Profile], rules: Sequence[ProfilePropertyRule]) -> list[Person]:
    """The best name of each and a second line that tells them apart."""
    return [_name(profile, rules) for profile in profiles]


def describe(
    profile: Profile, rules: Sequence[ProfilePropertyRule], reads: Mapping[int, Sequence[ProfilePropertyRule]]
) -> list[Line]:
    """Every property of a profile: its value and where it came from, or why there is none."""
    return [_line(profile, rule, reads.get(rule.pk, ())) for rule in rules]


def variables(rules: Sequence[ProfilePropertyRule]) -> dict[int, list[ProfilePropertyRule]]:
    """For each rule the rules whose values its query needs."""
    by_id = {rule.pk: rule for rule in rules}
    reads: dict[int, list[ProfilePropertyRule]] = {}
    for rule_id, read_id in RuleVariable.objects.values_list("rule_id", "reads_id"):
        if read_id in by_id:
            reads.setdefault(rule_id, []).append(by_id[read_id])
    for rule in rules:
        if rule.column_key_id in by_id and not reads.get(rule.pk):
            reads[rule.pk] = [by_id[rule.column_key_id]]
    return reads


def changes_of(profile_id: UUID, *, before: tuple[datetime, int] | None = None, limit: int) -> list[ProfileChange]:
    """The change log of a profile and of those merged into it, newest first.

    `before` is (at, id) of the last row of the page above.
    """
    log = ProfileChange.objects.filter(profile_id__in=all_ids(profile_id))
    if before is not None:
        at, id_ = before
        log = log.filter(Q(at__lt=at) | Q(at=at, id__lt=id_))
    return list(log.order_by("-at", "-id")[:limit])


def _as_guid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _spellings(rule: ProfilePropertyRule, text: str) -> set[str]:
    """How `text` may stand in the identities of this rule."""
    try:
        value = TYPES[rule.type].parse(text, region=project.current().phone_region)
    except Rejected:
        return set()
    return set() if value is None else {compare_key(rule.type, value)}


def _name(profile: Profile, rules: Sequence[ProfilePropertyRule]) -> Person:
    values = profile.properties
    given = next((str(values[key]) for key in _GIVEN if values.get(key)), "")
    family = next((str(values[key]) for key in _FAMILY if values.get(key)), "")
    full = next((str(values[key]) for key in _FULL_NAMES if values.get(key)), "")
    known = [
        value_text(values[rule.key], rule.type, is_identity=True)
        if rule.type == "email"
        else f"{rule.label or rule.key} {value_text(values[rule.key], rule.type, is_identity=True)}"
        for rule in sorted(rules, key=lambda rule: rule.type != "email")
        if rule.is_unique and rule.key in values
    ]
    names = [
        full or f"{given} {family}".strip(),
        *known,
        gettext("Someone (%(guid)s)") % {"guid": str(profile.guid)[-6:]},
    ]
    chosen = [name for name in names if name]
    rejected = sum(1 for entry in profile.property_meta.values() if get(entry, REJECTED) is not None)
    return Person(profile, chosen[0], chosen[1] if len(chosen) > 1 and known else "", rejected)


def _line(profile: Profile, rule: ProfilePropertyRule, reads: Sequence[ProfilePropertyRule]) -> Line:
    entry: list[Any] | None = profile.property_meta.get(rule.key)
    as_of, updated = get(entry, AS_OF), get(entry, UPDATED)
    value = profile.properties.get(rule.key)
    is_asked = rule.retrieval != Retrieval.EVENT
    text = "" if value is None else value_text(value, rule.type, is_identity=rule.is_unique)
    rejected = get(entry, REJECTED)
    if rejected is not None:
        why = str(get(entry, REASON) or gettext("does not fit its type"))
    else:
        why = "" if value is not None else _why_missing(profile, rule, reads, was_emptied=as_of is not None)
    changed = from_us(updated) if updated is not None else profile.created_at if value is not None else None
    seen = from_us(as_of) if as_of is not None else profile.hydrated_at if is_asked else changed
    return Line(
        rule=rule,
        text=text,
        why=why,
        rejected="" if rejected is None else str(rejected),
        cause=str(get(entry, CAUSE) or ""),
        as_of=seen,
        updated=changed,
    )


def _why_missing(
    profile: Profile, rule: ProfilePropertyRule, reads: Sequence[ProfilePropertyRule], *, was_emptied: bool
) -> str:
    app = rule.app.name if rule.app else ""
    if rule.state == RuleState.DRAFT:
        return gettext("The property is a draft, so nobody is asked for it")
    if rule.retrieval == Retrieval.EVENT and was_emptied:
        return gettext("Empty in the last event that carried it")
    if rule.retrieval == Retrieval.EVENT:
        return (
            gettext("Not named in any upload of %(app)s") % {"app": app}
            if app
            else gettext("No event has carried it yet")
        )
    if rule.paused_reason:
        return gettext("%(app)s is not asked while the property is paused") % {"app": app}
    if profile.hydrated_at is None:
        return gettext("%(app)s was not asked yet") % {"app": app}
    unknown = [each.label or each.key for each in reads if each.key not in profile.properties]
    if unknown:
        return gettext("%(app)s was not asked: there is no %(missing)s") % {
            "app": app,
            "missing": and_no(each.lower() for each in unknown),
        }
    return gettext("Not found in %(app)s") % {"app": app}


def and_no(names: Iterable[str]) -> str:
    """Several that are missing, after "no": "email and no phone number"."""
    return gettext(" and no ").join(names)


def with_sources(rules: Sequence[ProfilePropertyRule]) -> list[tuple[ProfilePropertyRule, str]]:
    """Each rule with one line on how its value is fetched."""
    by_id = {rule.pk: rule for rule in rules}
    return [(rule, _how(rule, by_id)) for rule in rules]


def _how(rule: ProfilePropertyRule, by_id: Mapping[int, ProfilePropertyRule]) -> str:
    if rule.retrieval == Retrieval.QUERY:
        return " ".join(rule.query.split())
    if rule.retrieval == Retrieval.COLUMN:
        column = rule.column
        what = f"{column.get('table', '')}.{column.get('column', '')}"
        aggregation = str(column.get("aggregation", "exact"))
        shown = (
            what
            if aggregation == "exact"
            else gettext("%(part)s of %(column)s") % {"part": aggregation.replace("_", " "), "column": what}
        )
        key = by_id.get(rule.column_key_id or 0)
        return gettext("%(shown)s where %(column)s is the %(property)s") % {
            "shown": shown,
            "column": column.get("key_column", ""),
            "property": key or gettext("key"),
        }
    return (
        gettext("column labelled %(column_label)s") % {"column_label": rule.column_label}
        if rule.column_label
        else gettext("arrives in events")
    )
