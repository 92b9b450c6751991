"""Two profiles that turn out to be one person: what the one takes from the other, and how that is undone.

The loser stays as a tombstone: its row keeps its values, its events and logs keep its id, and reads of the winner take
both. Its identities go to the winner, who keeps all of them. The only writer of `ProfileMerge`; only the pipeline
calls it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from profiles import identity, meta
from profiles.identity import Identity, Owners
from profiles.models import Profile, ProfileMerge
from profiles.person import MERGED, Person
from profiles.ruleset import RuleSet


@dataclass(slots=True)
class Merge:
    """One profile becoming part of another within a batch. `values`: key -> [value, meta] before and after."""

    winner: Person
    loser: Person
    cause: str
    values: dict[str, list[list[Any]]]
    identities: list[Identity] = field(default_factory=list)
    repointed: list[UUID] = field(default_factory=list)


def is_anonymous(person: Person, rules: RuleSet) -> bool:
    """Whether nothing is known that identifies them but ids of devices and sessions."""
    return not any(rule.key in person.values for rule in rules.unique)


def absorb(winner: Person, loser: Person, owners: Owners, rules: RuleSet, *, cause: str, now_us: int) -> Merge:
    """Let one person become part of another, in memory.

    By key the value with the later own time wins; of a unique property the winner's own. What is asked of Apps is not
    taken, since they are asked for the winner.
    """
    merge = Merge(winner, loser, cause, {})
    for rule in rules.rules:
        as_of = loser.as_of(rule)
        value = loser.values.get(rule.key)
        if rule.is_asked or as_of is None or value is None or (rule.is_unique and rule.key in winner.values):
            continue
        before = [winner.values.get(rule.key), copy.copy(winner.meta.get(rule.key))]
        source = str(meta.get(loser.meta.get(rule.key), meta.CAUSE) or cause)
        if winner.take(rule, value, as_of=as_of, cause=source, now_us=now_us):
            merge.values[rule.key] = [before, [value, copy.copy(winner.meta.get(rule.key))]]
    loser.absorbed_by, loser.merged_into = winner, winner.guid
    loser.noted[MERGED] = [None, str(winner.guid)]
    winner.is_touched = loser.is_touched = True
    loser.cause = cause
    winner.cause = winner.cause or cause
    owners.absorbers.add(winner.guid)
    owners.devices[winner.guid] = owners.devices.get(winner.guid, 0) + owners.devices.get(loser.guid, 0)
    return merge


def move(merges: Sequence[Merge], owners: Owners) -> None:
    """Give the losers' identities, and those merged into them before, to the winners. In the batch's transaction."""
    claimed: dict[UUID, list[Identity]] = {merge.loser.guid: [] for merge in merges}
    for known, person in owners.now.items():
        if person.guid in claimed:
            claimed[person.guid].append(known)
    for wave in in_waves(merges):
        by_loser = {merge.loser.guid: merge for merge in wave}
        for loser, moved in identity.move([(merge.loser.guid, merge.winner.guid) for merge in wave]):
            by_loser[loser].identities.append(moved)
            if moved in owners.held:
                owners.held[moved] = by_loser[loser].winner.guid
        for guid, loser in _repoint(wave):
            by_loser[loser].repointed.append(guid)
    parts: dict[UUID, list[UUID]] = {}  # by winner: who became part of them in this batch, and is not written yet
    for merge in merges:
        loser, winner = merge.loser.guid, merge.winner.guid
        own = parts.get(loser, [])
        merge.repointed += own
        parts.setdefault(winner, []).extend([loser, *own])
        merge.identities = sorted({*merge.identities, *claimed[loser]})
        if winner in claimed:
            claimed[winner] += claimed[loser]
        merge.loser.merged_into = _whole(merge.loser).guid


def record(
    merges: Sequence[Merge], *, joined: Mapping[UUID, Sequence[int]], left: Mapping[UUID, Sequence[int]]
) -> None:
    """Remember what moved. `joined`: the manual groups that a winner joined, `left` those of a loser, both by loser."""
    ProfileMerge.objects.bulk_create(
        [
            ProfileMerge(
                winner_id=merge.winner.guid,
                loser_id=merge.loser.guid,
                at=Now(),
                cause=merge.cause,
                identities=merge.identities,
                repointed=[str(guid) for guid in merge.repointed],
                values=merge.values,
                joined=list(joined.get(merge.loser.guid, ())),
                left=list(left.get(merge.loser.guid, ())),
            )
            for merge in merges
        ]
    )


def take_back(merge: ProfileMerge, winner: Person, loser: Person, rules: RuleSet, *, cause: str) -> None:
    """Make them two again: the winner loses what it took, unless something newer was written since.

    In a transaction in which both are locked; the caller writes both.
    """
    by_key = rules.by_key
    for key, (before, after) in merge.values.items():
        rule = by_key.get(key)
        if rule is None or winner.values.get(key) != after[0]:
            continue
        if rule.is_unique or winner.meta.get(key) == after[1]:
            winner.put_back(key, before[0], before[1])
    loser.merged_into = None
    loser.noted[MERGED] = [str(winner.guid), None]
    loser.is_touched = True
    winner.cause = loser.cause = cause
    identities = [(int(rule_id), str(value)) for rule_id, value in merge.identities]
    identity.give_back(identities, owner=winner.guid, to=loser.guid)
    Profile.objects.filter(pk__in=merge.repointed, merged_into=winner.guid).update(merged_into=loser.guid)
    if not Profile.objects.filter(merged_into=winner.guid).exclude(pk=loser.guid).exists():
        held = {
            rule.id: identity.identity_of(rule, winner.values[rule.key])[1]
            for rule in rules.unique
            if rule.key in winner.values
        }
        identity.drop_strays(winner.guid, held)
    ProfileMerge.objects.filter(pk=merge.pk).update(undone_at=Now(), undone_cause=cause)


def forget(profile_ids: Sequence[UUID]) -> int:
    """Delete the log of merges of people who are being erased; how many rows. In the caller's transaction."""
    named = Q(winner_id__in=profile_ids) | Q(loser_id__in=profile_ids)
    return ProfileMerge.objects.filter(named).delete()[0]


def all_ids(guid: UUID) -> QuerySet[Profile, Any]:
    """The ids under which events and logs know a profile, for a filter: its own and those of who became part of it."""
    return Profile.objects.filter(Q(pk=guid) | Q(merged_into=guid)).values("pk")


def in_waves(merges: Sequence[Merge]) -> list[list[Merge]]:
    """In order; a profile that won in a wave loses in a later one only."""
    waves: list[list[Merge]] = []
    winners: set[UUID] = set()
    for merge in merges:
        if not waves or merge.loser.guid in winners:
            waves.append([])
            winners = set()
        waves[-1].append(merge)
        winners.add(merge.winner.guid)
    return waves


def _whole(person: Person) -> Person:
    """Who someone became part of in this batch, and that one in turn."""
    while person.absorbed_by is not None:
        person = person.absorbed_by
    return person


def _repoint(merges: Sequence[Merge]) -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "update profile p set merged_into = m.winner from unnest(%s::uuid[], %s::uuid[]) as m(loser, winner)"
            " where p.merged_into = m.loser returning p.guid, m.loser",
            [[merge.loser.guid for merge in merges], [merge.winner.guid for merge in merges]],
        )
        return list(cursor.fetchall())
