"""Property values: typing what events carry, and the only statements that write profiles. Only the pipeline calls it.

`write` must run inside the pipeline's transaction, after the people were locked and their identities claimed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection

from core.lib.clock import from_us
from core.lib.copying import Copy, draft_copy
from core.lib.json import dumps
from profiles.identity import Identity, identity_of
from profiles.models import LAST_CHANGE
from profiles.person import Person
from profiles.ruleset import Rule, RuleSet
from profiles.types import Rejected

_REJECTED_LENGTH = 200  # characters of a rejected text that are kept


@dataclass(slots=True)  # not frozen: that makes them at half the speed
class Fact:
    """One typed value of an event. `rejected` is [text, reason] when it did not fit; the value is then None."""

    rule: Rule
    value: Any
    rejected: list[str] | None = None
    identity: Identity | None = None  # of a unique rule's value that may identify someone


def type_value(rule: Rule, value: Any) -> tuple[Any, list[str] | None]:
    """The typed value of a rule, or None with what was rejected and why."""
    try:
        return rule.parse(value), None
    except Rejected as rejected:
        return None, [_as_text(value), rejected.reason]


def savable(ruleset: RuleSet, *, saves: Collection[str] | None, answered: Collection[str]) -> dict[str, Rule]:
    """The rules that events of one kind may set, by key.

    What is `answered` by the source itself is left to that answer, except who the event is about.
    """
    return {
        rule.key: rule
        for rule in ruleset.rules
        if (saves is None or rule.key in saves) and (rule.is_unique or rule.key not in answered)
    }


def type_payload(payload: Mapping[str, Any], rules: Mapping[str, Rule], *, blocked: Collection[str]) -> list[Fact]:
    """The facts of one payload: every key that one of these rules has, in payload order."""
    facts = []
    for key, raw in payload.items():
        rule = rules.get(key)
        if rule is None:
            continue
        value, rejected = type_value(rule, raw)
        identity = None
        if rule.is_unique and value is not None and str(value).lower() not in blocked:
            identity = identity_of(rule, value)
        facts.append(Fact(rule, value, rejected, identity))
    return facts


@dataclass(frozen=True, slots=True)
class Changes:
    """What writing changed, for the groups that read it."""

    profiles: tuple[UUID, ...]  # whose values changed, or who are new
    rules: frozenset[int]
    created: int


_STAGE = """
create temporary table if not exists staged_profile (
    guid uuid, properties jsonb, property_meta jsonb, hydrated_at timestamptz, merged_into uuid, updated_at timestamptz
) on commit delete rows
"""
_UPDATE = """
update profile p set properties = s.properties, property_meta = s.property_meta, hydrated_at = s.hydrated_at,
       merged_into = s.merged_into, updated_at = coalesce(s.updated_at, p.updated_at)
  from staged_profile s where p.guid = s.guid
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """What is written of people: their profiles, dates and change log. `changes` is what that comes to."""

    new: Copy  # their guids are new, so nothing stands in the way of a COPY right into the table
    known: Copy
    dates: Sequence[tuple[int, UUID, str | None]]
    log: Copy
    changes: Changes


def draft(people: Sequence[Person], ruleset: RuleSet, *, now_us: int) -> Draft:
    """What `write` will write of these people. Pure, so a batch may do it while the one before is being written."""
    touched = [person for person in people if person.is_touched or person.is_new]
    touched.sort(key=lambda person: person.guid.int)  # a UUID compares itself in Python
    new = [person for person in touched if person.is_new]
    changes = [_Change(person, person.changed_values()) for person in touched if not person.is_new]
    by_key = ruleset.by_key
    keys = set().union(*(person.values for person in new), *(change.values for change in changes))
    changed = [*new, *(change.person for change in changes if change.values)]
    created = [_timestamp(person.created_us) for person in new]
    updated = [_timestamp(now_us) if change.values else None for change in changes]
    stored = _stored([change.person for change in changes])
    return Draft(
        new=draft_copy("profile", {**_stored(new), "created_at": created, "updated_at": created}),
        known=draft_copy("staged_profile", {**stored, "updated_at": updated}),
        dates=_dates_of(new, changes, ruleset, now_us=now_us),
        log=_log_of(new, changes),
        changes=Changes(
            profiles=tuple(person.guid for person in changed),
            rules=frozenset(by_key[key].id for key in keys if key in by_key),
            created=len(new),
        ),
    )


def write(written: Draft) -> Changes:
    """Write people's values, their dates and the change log; a handful of statements however many they are."""
    with connection.cursor() as cursor:
        written.new.send(cursor)
        if written.known.text:
            cursor.execute(_STAGE)
            written.known.send(cursor)
            cursor.execute("analyze staged_profile")
            cursor.execute(_UPDATE)
        _write_dates(cursor, written.dates)
        written.log.send(cursor)
    return written.changes


@dataclass(slots=True)  # not frozen: that makes them at half the speed
class _Change:
    """Someone known who is written, with what the change log says: key -> (old, new)."""

    person: Person
    values: dict[str, Sequence[Any]]


def _stored(people: Sequence[Person]) -> dict[str, Sequence[Any]]:
    """What profiles hold of these people, by column."""
    return {
        "guid": [person.guid for person in people],
        "properties": [dumps(person.values) for person in people],
        "property_meta": [dumps(person.meta) for person in people],
        "hydrated_at": [None if person.hydrated_us is None else _timestamp(person.hydrated_us) for person in people],
        "merged_into": [person.merged_into for person in people],
    }


@lru_cache(maxsize=4096)
def _timestamp(microseconds: int) -> str:
    return from_us(microseconds).isoformat()


def _dates_of(
    new: Sequence[Person], changes: Sequence[_Change], ruleset: RuleSet, *, now_us: int
) -> list[tuple[int, UUID, str | None]]:
    """What ProfileDate has to say of these people from now on."""
    rows: list[tuple[int, UUID, str | None]] = []
    for rule in ruleset.timed:
        rows += [(rule.id, person.guid, person.values[rule.key]) for person in new if rule.key in person.values]
        rows += [
            (rule.id, change.person.guid, change.person.values.get(rule.key))
            for change in changes
            if change.values and rule.key in change.person.before
        ]
    if ruleset.follows_updates:
        rows += [(LAST_CHANGE, person.guid, _timestamp(person.created_us)) for person in new]
        rows += [(LAST_CHANGE, change.person.guid, _timestamp(now_us)) for change in changes if change.values]
    return rows


def _write_dates(cursor: Any, rows: Sequence[tuple[int, UUID, str | None]]) -> None:
    if not rows:
        return
    cursor.execute(
        "with s as (select * from unnest(%s::bigint[], %s::uuid[], %s::timestamptz[]) as s(rule_id, profile_id, at)),"
        " gone as (delete from profile_date d using s where s.at is null"
        "  and d.rule_id = s.rule_id and d.profile_id = s.profile_id)"
        " insert into profile_date (rule_id, profile_id, at)"
        " select rule_id, profile_id, at from s where at is not null"
        " on conflict (rule_id, profile_id) do update set at = excluded.at",
        [list(column) for column in zip(*rows, strict=True)],
    )


def _log_of(new: Sequence[Person], changes: Sequence[_Change]) -> Copy:
    told = [(person, person.changed_values()) for person in new if person.values or person.noted or person.lost]
    told += [(change.person, change.values) for change in changes if change.values or change.person.lost]
    return draft_copy(
        "profile_change",
        {
            "profile_id": [person.guid for person, _ in told],
            "changes": [dumps(values) for _, values in told],
            "lost": [dumps(person.lost) if person.lost else None for person, _ in told],
            "cause": [person.cause or "hydration" for person, _ in told],
        },
    )


def backfill_dates(rule_ids: Sequence[int], *, after: UUID | None, limit: int) -> UUID | None:
    """Bring ProfileDate up to the values of these rules for the next `limit` profiles; the last one, None at the end.

    Runs in the caller's transaction. The profiles are locked, so that no batch writes an older date behind us.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select guid from profile where guid > coalesce(%s, '00000000-0000-0000-0000-000000000000'::uuid)"
            " order by guid limit %s for no key update",
            [after, limit],
        )
        guids = [row[0] for row in cursor.fetchall()]
        if not guids:
            return None
        given = {"rules": list(rule_ids), "first": guids[0], "last": guids[-1]}
        cursor.execute(
            "delete from profile_date where rule_id = any(%(rules)s) and profile_id between %(first)s and %(last)s",
            given,
        )
        cursor.execute(
            "insert into profile_date (rule_id, profile_id, at)"
            " select r.id, p.guid, (p.properties ->> r.key)::timestamptz"
            " from profile_property_rule r, profile p"
            " where r.id = any(%(rules)s) and p.guid between %(first)s and %(last)s"
            " and p.properties ->> r.key is not null"
            f" union all select {LAST_CHANGE}, p.guid, p.updated_at from profile p"
            f" where {LAST_CHANGE} = any(%(rules)s) and p.guid between %(first)s and %(last)s",
            given,
        )
    last: UUID = guids[-1]
    return last


def _as_text(value: Any) -> str:
    """A rejected value as text that PostgreSQL can hold, not too long."""
    text = value if isinstance(value, str) else repr(value)
    return text[:_REJECTED_LENGTH].replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def forget_changes(profile_ids: Sequence[UUID], *, limit: int) -> int:
    """Delete some of the change log of people who are being erased; how many rows. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from profile_change c using (select id, at from profile_change where profile_id = any(%s) limit %s)"
            " gone where c.id = gone.id and c.at = gone.at",
            [list(profile_ids), limit],
        )
        return int(cursor.rowcount)


def forget_people(profile_ids: Sequence[UUID]) -> int:
    """Delete these profiles and their dates; how many profiles. They are locked, and own no identity any more."""
    with connection.cursor() as cursor:
        cursor.execute("delete from profile_date where profile_id = any(%s)", [list(profile_ids)])
        cursor.execute("delete from profile where guid = any(%s)", [list(profile_ids)])
        return int(cursor.rowcount)
