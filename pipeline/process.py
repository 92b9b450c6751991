"""The pipeline: what happens to a batch of events, from the door to the groups. The file to read first.

Look up and fetch in no transaction, then one short fenced transaction that makes it all true or none of it:

    accept     the events that count: once each, storable
    newcomers  those that each make a person whom nobody knows: nearly all of a first load
    items      what the payloads of all others say of keys that have a rule
    plan       who each of these is about, found or made, and what they take from it
    fetched    what the Apps answer for these people, asked in dependency order
    draft      the texts of all that is written
    write      fence, rules, locks, identities, values, events, groups, and the caller's own rows

Never wrap `process` in a transaction: it asks Apps first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol
from uuid import UUID

from django.db import OperationalError, connection, transaction

from core.accounts import project
from core.lib.clock import to_us
from events import store
from events.envelope import InboundEvent
from events.models import EventState
from groups import membership
from pipeline import newcomers
from pipeline.items import BatchResult, Item, accept, read_items
from pipeline.newcomers import Newcomers, describe_failures
from profiles import (
    guards,
    hydration,
    hydration_retries,
    hydration_traces,
    identity,
    merges,
    properties,
    ruleset,
    suppression,
)
from profiles import rules as rules_store
from profiles.answers import learn, owners_of_answers
from profiles.hydration import Fetched
from profiles.identity import Identity, Outrun, Owners
from profiles.person import Person
from profiles.resolution import Resolution, Resolver
from profiles.ruleset import RuleSet

log = logging.getLogger(__name__)

ATTEMPTS = 8
_TRANSIENT = {"40001", "40P01"}  # serialization failure, deadlock: the same again may work

# The batch is small and the tables are large: joins by hash or merge read whole tables for a handful of rows.
_PLANNER = "set local enable_hashjoin = off; set local enable_mergejoin = off; set local jit = off"


class Claim(Protocol):
    """The caller's right to this batch. `hold` is called first inside the write, and raises when it was lost."""

    def hold(self, result: BatchResult) -> None:
        """Move the caller's mark, naming its token."""


class Contended(Exception):
    """Other workers kept changing the same people; the same batch will work later."""


@dataclass(frozen=True, slots=True)
class Join:
    """A person says that two profiles are one: the loser becomes part of the winner."""

    winner: UUID
    loser: UUID
    cause: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a batch writes, as it goes into the tables; `happened` are the types and people of its events."""

    people: properties.Draft
    events: store.Draft
    happened: Sequence[tuple[str, UUID]]


@dataclass(slots=True)
class Prepared:
    """A batch as far as it goes without writing."""

    items: list[Item]
    newcomers: Newcomers | None
    refresh: Sequence[UUID]
    join: Join | None
    ruleset: RuleSet
    now_us: int
    owners: Owners
    resolution: Resolution
    people: list[Person]
    fetched: Fetched
    blanks: dict[int, int]  # values that the Apps' answers take away, by rule
    result: BatchResult
    draft: Draft | None = None  # while it holds; with merges it is made in the transaction that moves what they move


def _nothing(_: BatchResult) -> None:
    """The caller has no rows of its own."""


def process(
    batch: Sequence[InboundEvent],
    *,
    claim: Claim,
    also: Callable[[BatchResult], None] = _nothing,
    refresh: Sequence[UUID] = (),
    join: Join | None = None,
    prepared: Prepared | None = None,
) -> BatchResult:
    """Process a batch of events to the end: people, values, groups and the events themselves.

    `refresh` names profiles to hydrate although no event is about them; `join` makes two of these one.
    `also` runs last in the same transaction.
    `prepared` is what `prepare` gave for this very batch a moment ago, perhaps in another thread; where it no longer
    holds, the batch starts over.
    Raises what `claim.hold` raises when the claim was lost, and Contended when other workers kept getting in between.
    """
    fetched: Fetched | None = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            current, prepared = prepared or prepare(batch, refresh=refresh, join=join, earlier=fetched), None
            fetched = current.fetched
            return write(current, claim=claim, also=also)
        except (Outrun, store.KeyTaken):
            log.info("a batch of %s was outrun, attempt %s", len(batch), attempt)
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", None) not in _TRANSIENT:
                raise
            log.info("a batch of %s met a deadlock, attempt %s", len(batch), attempt)
    raise Contended(f"other workers changed the same people {ATTEMPTS} times over")


def prepare(
    batch: Sequence[InboundEvent],
    *,
    refresh: Sequence[UUID] = (),
    join: Join | None = None,
    earlier: Fetched | None = None,
) -> Prepared:
    """Everything that needs no lock: type, look up, resolve, ask the Apps. `earlier` saves asking twice."""
    rules = ruleset.load()
    now_us = hydration.database_now_us()
    result = BatchResult()
    accepted = accept(batch, now_us=now_us, result=result)
    places: Sequence[int] = range(len(accepted.events))
    refresh = suppression.leave_out(refresh, rules)
    new = newcomers.find(accepted, rules, now_us=now_us)
    if new is None:
        items = read_items(accepted, places, rules, result=result)
        owners = identity.look_up(_identities(items), also=refresh)
    else:
        owners = identity.look_up(new.identities, also=refresh)
        places = new.choose(owners, rules)
        items = read_items(accepted, places, rules, result=result)
    resolution, people = _resolve(items, new, owners, rules, refresh, join, now_us=now_us)
    carried, read_us = _carried(items, new, resolution, now_us=now_us)
    fetched = hydration.fetch(people, rules, carried=carried, as_of_us=read_us, earlier=earlier)
    result.statements = len(fetched.statements)
    result.unanswered = {key: reason for errors in fetched.errors.values() for key, reason in errors.items()}
    _look_up_answers(fetched, rules, owners)
    blanks = guards.judge(people, fetched, rules, now_us=now_us)
    learn(people, fetched, rules, owners, now_us=now_us)
    prepared = Prepared(items, new, refresh, join, rules, now_us, owners, resolution, people, fetched, blanks, result)
    if not resolution.merges:
        prepared.draft = _draft(prepared)
    return prepared


def write(prepared: Prepared, *, claim: Claim, also: Callable[[BatchResult], None]) -> BatchResult:
    """The one transaction. Locks are taken in the order that everyone keeps: profiles, identities, groups, the rest."""
    result, rules = prepared.result, prepared.ruleset
    _count(prepared)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_PLANNER)
        claim.hold(result)
        if not ruleset.hold(rules.version):
            raise Outrun
        _lock(prepared)
        merged = prepared.resolution.merges
        if merged:
            merges.move(merged, prepared.owners)
        identity.claim(prepared.owners)
        draft = prepared.draft or _draft(prepared)
        changes = properties.write(draft.people)
        result.created, result.changed = changes.created, len(changes.profiles) - changes.created
        store.finish(draft.events)
        if merged:
            waves = [[(each.loser.guid, each.winner.guid) for each in wave] for wave in merges.in_waves(merged)]
            merges.record(merged, **membership.follow_merges(waves))
        result.moves = membership.refresh(
            changes.profiles,
            changed_rules=changes.rules,
            created=bool(changes.created or merged),
            happened=draft.happened,
        )
        _note_hydration(prepared)
        guards.note(prepared.blanks, now_us=prepared.now_us)
        hydration_traces.note(prepared.fetched.statements, people=len(prepared.people))
        also(result)
    rules_store.note_answers(gone=prepared.fetched.gone, several=prepared.fetched.several, failed=result.unanswered)
    return result


def _resolve(
    items: Sequence[Item],
    new: Newcomers | None,
    owners: Owners,
    rules: RuleSet,
    refresh: Sequence[UUID],
    join: Join | None,
    *,
    now_us: int,
) -> tuple[Resolution, list[Person]]:
    """Who everything is about, and whom to ask the Apps about: whoever is part of someone else is not asked for."""
    resolver = Resolver(owners, rules, now_us, project.current().identity_limit)
    resolution = resolver.resolve([item.arrival for item in items])
    found = [
        (item.index, person) for item, person in zip(items, resolution.people_of, strict=True) if person is not None
    ]
    if new is not None:
        found = sorted([*found, *new.join(owners)], key=itemgetter(0))
    people = {person.guid: person for _, person in found}
    people |= {each.winner.guid: each.winner for each in resolution.merges}
    for guid in refresh:
        if guid in owners.people:
            people[guid] = owners.people[guid]
    if join is not None:
        winner, loser = people.get(join.winner), people.get(join.loser)
        if winner is not None and loser is not None and winner.merged_into is None and loser.merged_into is None:
            resolver.merge(winner, loser, cause=join.cause)
    return resolution, [person for person in people.values() if person.merged_into is None]


def _lock(prepared: Prepared) -> None:
    """Lock everyone who was known. If someone changed meanwhile, plan again from what is locked now.

    What the Apps answered is kept where the profile was asked with the values it still has; otherwise the whole batch
    starts over.
    """
    owners = prepared.owners
    known = {guid: person.row_version for guid, person in owners.people.items() if not person.is_new}
    if identity.lock_versions(list(known)) == known:
        return
    fresh = identity.look_up(_identities(prepared.items), also=prepared.refresh)
    if not fresh.people.keys() <= known.keys():
        raise Outrun
    prepared.owners, prepared.draft = fresh, None
    prepared.resolution, prepared.people = _resolve(
        prepared.items,
        prepared.newcomers,
        fresh,
        prepared.ruleset,
        prepared.refresh,
        prepared.join,
        now_us=prepared.now_us,
    )
    if not prepared.fetched.covers(prepared.people):
        raise Outrun
    _look_up_answers(prepared.fetched, prepared.ruleset, fresh)
    if not {guid for guid, person in fresh.people.items() if not person.is_new} <= known.keys():
        raise Outrun
    learn(prepared.people, prepared.fetched, prepared.ruleset, fresh, now_us=prepared.now_us)
    _count(prepared)


def _look_up_answers(fetched: Fetched, rules: RuleSet, owners: Owners) -> None:
    """Who owns the unique values that Apps answered, and which of these are refused."""
    wanted = owners_of_answers(fetched, rules, owners)
    owners.erased |= suppression.find(wanted, rules)
    identity.look_up_more(owners, wanted)


def _identities(items: Sequence[Item]) -> set[Identity]:
    return {named for item in items for named in item.arrival.identities}


def _carried(
    items: Sequence[Item], new: Newcomers | None, resolution: Resolution, *, now_us: int
) -> tuple[dict[UUID, Mapping[str, Any]], int]:
    """The answers that came along with rows, by profile, and the oldest time at which any of them was read."""
    carried, read_us = new.carried() if new is not None else ({}, None)
    read_us = now_us if read_us is None else min(read_us, now_us)
    for item, person in zip(items, resolution.people_of, strict=True):
        if person is not None and person.merged_into is None and item.event.carried:
            earlier = carried.get(person.guid)
            carried[person.guid] = {**earlier, **item.event.carried} if earlier else item.event.carried
            if item.event.read_at is not None:
                read_us = min(read_us, to_us(item.event.read_at))
    return carried, read_us


def _note_hydration(prepared: Prepared) -> None:
    """People whose App was down are asked again later; the others need not be, nor who became part of one of them."""
    fetched = prepared.fetched
    failed = {person.guid for person in prepared.people if fetched.down and person.guid in fetched.errors}
    answered = [person.guid for person in prepared.people if not person.is_new and person.guid not in failed]
    answered += [merge.loser.guid for merge in prepared.resolution.merges]
    hydration_retries.note(failed=failed, answered=answered, reason="; ".join(fetched.down.values()))


def _count(prepared: Prepared) -> None:
    result, new = prepared.result, prepared.newcomers
    result.events = len(prepared.items) + (len(new.places) if new is not None else 0)
    result.unlinked = sum(person is None for person in prepared.resolution.people_of)
    result.conflicts = prepared.resolution.conflicts


def _draft(prepared: Prepared) -> Draft:
    """Making these texts is a quarter of the work; `prepare` does it while another batch is being written."""
    processed = _processed(prepared)
    everyone = [*prepared.people, *(each.loser for each in prepared.resolution.merges)]
    return Draft(
        people=properties.draft(everyone, prepared.ruleset, now_us=prepared.now_us),
        events=store.draft(processed),
        happened=[(each.event.type, each.profile_id) for each in processed if each.profile_id is not None],
    )


def _processed(prepared: Prepared) -> list[store.ProcessedEvent]:
    errors = prepared.fetched.errors
    processed = prepared.newcomers.processed(errors) if prepared.newcomers is not None else []
    for item, person, note in zip(
        prepared.items, prepared.resolution.people_of, prepared.resolution.notes, strict=True
    ):
        failed = errors.get(person.guid) if person is not None else None
        notes = [note, describe_failures(failed) if failed else ""]
        processed.append(
            store.ProcessedEvent(
                id=item.id,
                event=item.event,
                payload_text=item.payload_text,
                state=(EventState.UNLINKED if person is None else EventState.PROCESSED).value,
                profile_id=None if person is None else person.guid,
                error="; ".join(filter(None, notes))[:2000],
                key=item.key,
            )
        )
    return processed
