"""Which profile an event belongs to: find or create, conflicts, and the one owner of every unique value.

Reading and resolving happen in memory over what was read in bulk; `claim` makes the outcome true in the database, or
says that someone else was faster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from core.lib.clock import to_us
from core.lib.copying import copy_new
from core.lib.json import dumps, loads
from profiles.models import ANONYMOUS
from profiles.person import Person
from profiles.ruleset import Rule
from profiles.types import compare_key

Identity = tuple[int, str]  # (rule id, value as compared)


class Outrun(Exception):
    """Another worker changed what this batch had read; the batch starts over with what is true now."""


@dataclass(slots=True)
class Owners:
    """Who owns which unique value: as the database has it, and as this batch leaves it."""

    held: dict[Identity, UUID] = field(default_factory=dict)
    looked_up: set[Identity] = field(default_factory=set)  # of these `held` says everything
    now: dict[Identity, Person] = field(default_factory=dict)
    people: dict[UUID, Person] = field(default_factory=dict)  # everyone known or made in this batch
    released: set[Identity] = field(default_factory=set)
    absorbers: set[UUID] = field(default_factory=set)  # who owns the identities of others that became part of them
    devices: dict[UUID, int] = field(default_factory=dict)  # how many anonymous ids each of them owns
    erased: set[Identity] = field(default_factory=set)  # of people who were erased on request: nobody may own these

    def owner_of(self, identity: Identity) -> Person | None:
        """Who owns it now; of someone who became part of another, that other."""
        person = self.now.get(identity)
        while person is not None and person.absorbed_by is not None:
            person = person.absorbed_by
        return person

    def assign(self, identity: Identity, person: Person) -> None:
        """From here on `person` owns it."""
        self.now[identity] = person

    def release(self, identity: Identity, person: Person) -> None:
        """`person` no longer has this value; whoever comes next may own it. Who absorbed others keeps all they had."""
        if person.guid in self.absorbers:
            return
        self.released.add(identity)
        if self.owner_of(identity) is person:
            del self.now[identity]


def identity_of(rule: Rule, value: Any) -> Identity:
    """The identity a typed value of a unique rule stands for."""
    return rule.id, compare_key(rule.type, value)


def read_owners(identities: Iterable[Identity]) -> dict[Identity, UUID]:
    """The owner of each of these that has one. One statement."""
    wanted = set(identities)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.rule_id, i.value, i.profile_id from json_to_recordset(%s::json) as w(rule_id bigint, value text)"
            " join profile_identity i on i.rule_id = w.rule_id and i.value = w.value",
            [dumps([{"rule_id": rule_id, "value": value} for rule_id, value in wanted])],
        )
        return {(rule_id, value): profile_id for rule_id, value, profile_id in cursor.fetchall()}


def read_people(guids: Iterable[UUID], *, lock: bool = False) -> dict[UUID, Person]:
    """These profiles, read in bulk; with `lock`, locked in the one order everyone uses."""
    wanted = list(guids)
    if not wanted:
        return {}
    statement = (
        "select guid, properties::text, property_meta::text, created_at, hydrated_at, merged_into, xmin::text"
        " from profile where guid = any(%s) order by guid"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement + (" for no key update" if lock else ""), [wanted])
        rows = cursor.fetchall()
    return {
        row[0]: Person(
            guid=row[0],
            values=loads(row[1]),
            meta=loads(row[2]),
            created_us=to_us(row[3]),
            hydrated_us=None if row[4] is None else to_us(row[4]),
            merged_into=row[5],
            row_version=row[6],
        )
        for row in rows
    }


def lock_versions(guids: Sequence[UUID]) -> dict[UUID, str]:
    """Lock these profiles in the one order everyone uses; their row versions."""
    if not guids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select guid, xmin::text from profile where guid = any(%s) order by guid for no key update", [list(guids)]
        )
        return dict(cursor.fetchall())


def look_up(identities: Iterable[Identity], *, also: Iterable[UUID] = ()) -> Owners:
    """Everyone these identities belong to, with their values; and the profiles in `also`."""
    wanted = set(identities)
    with one_moment():
        owners = Owners(held=read_owners(wanted), looked_up=wanted)
        owners.people = read_people({*owners.held.values(), *also})
        owners.absorbers = _read_absorbers(owners.people)
        if any(rule_id == ANONYMOUS for rule_id, _ in wanted):
            owners.devices = count_devices(owners.people)
    extend(owners, owners.held)
    return owners


def look_up_more(owners: Owners, identities: Collection[Identity]) -> None:
    """Look these up too; their owners may be people not read yet."""
    if identities:
        with one_moment():
            extend(owners, read_owners(identities))
        owners.looked_up.update(identities)


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything read in the block is of one moment, or of the caller's transaction, which holds locks.

    Without it a profile might be read after it gave up the identity that it was found by, and its row version, which
    is all that is compared once it is locked, would not tell.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        yield


def extend(owners: Owners, held: Mapping[Identity, UUID]) -> None:
    """Take in what the database says of further identities; their owners may be people not read yet."""
    owners.held.update(held)
    if strangers := set(held.values()) - owners.people.keys():
        owners.people.update(read_people(strangers))
        owners.absorbers |= _read_absorbers(strangers)
    for identity, guid in held.items():
        if guid in owners.people:
            owners.now.setdefault(identity, owners.people[guid])


def claim(owners: Owners) -> None:
    """Make the batch's ownership true, in the caller's transaction, after the known profiles are locked.

    What was released goes first; what is new is inserted in sorted order, so that workers never wait for each other in
    a circle. Anything that is not as it was read raises Outrun.
    """
    owners.held.update(read_owners(owners.released - owners.held.keys()))  # no event named these, so nobody looked
    final = {identity: person.guid for identity in owners.now if (person := owners.owner_of(identity)) is not None}
    gone = sorted(identity for identity, guid in owners.held.items() if final.get(identity) != guid)
    new = [(*identity, guid) for identity, guid in final.items() if owners.held.get(identity) != guid]
    with connection.cursor() as cursor:
        if gone:
            cursor.execute(
                "delete from profile_identity i using unnest(%s::bigint[], %s::text[], %s::uuid[])"
                " as g(rule_id, value, profile_id)"
                " where i.rule_id = g.rule_id and i.value = g.value and i.profile_id = g.profile_id",
                [[r for r, _ in gone], [v for _, v in gone], [owners.held[identity] for identity in gone]],
            )
            if cursor.rowcount != len(gone):
                raise Outrun
        if new and not copy_new(cursor, "profile_identity", ("rule_id", "value", "profile_id"), sorted(new)):
            raise Outrun


def move(pairs: Sequence[tuple[UUID, UUID]]) -> list[tuple[UUID, Identity]]:
    """Give what each first profile owns to the second one: (who had it, what). They are locked by the caller."""
    if not pairs:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "update profile_identity i set profile_id = m.winner"
            " from unnest(%s::uuid[], %s::uuid[]) as m(loser, winner) where i.profile_id = m.loser"
            " returning m.loser, i.rule_id, i.value",
            [[loser for loser, _ in pairs], [winner for _, winner in pairs]],
        )
        return [(loser, (rule_id, value)) for loser, rule_id, value in cursor.fetchall()]


def give_back(identities: Sequence[Identity], *, owner: UUID, to: UUID) -> None:
    """Give those of these that `owner` still owns to another profile. Both are locked by the caller."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update profile_identity i set profile_id = %s"
            " from unnest(%s::bigint[], %s::text[]) as g(rule_id, value)"
            " where i.rule_id = g.rule_id and i.value = g.value and i.profile_id = %s",
            [to, [rule_id for rule_id, _ in identities], [value for _, value in identities], owner],
        )


def drop_strays(owner: UUID, values: Mapping[int, str]) -> None:
    """Take from a profile the values of unique properties that it does not hold; `values` are those it does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from profile_identity where profile_id = %s and rule_id <> %s and not exists ("
            "select from unnest(%s::bigint[], %s::text[]) as h(rule_id, value)"
            " where h.rule_id = profile_identity.rule_id and h.value = profile_identity.value)",
            [owner, ANONYMOUS, list(values), list(values.values())],
        )


def count_devices(guids: Iterable[UUID]) -> dict[UUID, int]:
    """How many anonymous ids each of these profiles owns; who has none is absent."""
    wanted = list(guids)
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "select profile_id, count(*) from profile_identity where rule_id = %s and profile_id = any(%s)"
            " group by profile_id",
            [ANONYMOUS, wanted],
        )
        return dict(cursor.fetchall())


def _read_absorbers(guids: Iterable[UUID]) -> set[UUID]:
    """Those of these profiles that others became part of."""
    wanted = list(guids)
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("select distinct merged_into from profile where merged_into = any(%s)", [wanted])
        return {row[0] for row in cursor.fetchall()}


def identities_by_profile(guids: Sequence[UUID]) -> dict[UUID, dict[int, str]]:
    """The unique values each of these profiles owns, by rule id."""
    found: dict[UUID, dict[int, str]] = {guid: {} for guid in guids}
    if not guids:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            "select profile_id, rule_id, value from profile_identity where profile_id = any(%s)", [list(guids)]
        )
        for guid, rule_id, value in cursor.fetchall():
            found[guid][rule_id] = value
    return found


def forget(guids: Sequence[UUID]) -> int:
    """Delete every identity of people who are being erased; how many. They are locked by the caller."""
    with connection.cursor() as cursor:
        cursor.execute("delete from profile_identity where profile_id = any(%s)", [list(guids)])
        return int(cursor.rowcount)
