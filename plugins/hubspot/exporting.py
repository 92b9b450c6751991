"""Keeping HubSpot's contacts in step with profiles.

A batch is read first, by its addresses: what is there is updated by its id, what is not is created. HubSpot's own
upsert takes one email address for each contact, so it could neither move a contact to another address, nor leave out
who is not there, nor tell a merged contact's address from the contact's own.

A profile whose address changed moves its contact. Where the new address is a contact already, that one is kept, and the
old one leaves our lists and, in the mode `sync`, is archived. Removing is archiving; in other modes only our lists are
left. A contact that has the address from a merge, beside its own, is somebody else's too: its properties and lists
follow, but it is neither moved nor archived.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import (
    ACCEPTED,
    Field,
    Halt,
    Outcome,
    OutcomeKind,
    PluginError,
    ProfileExport,
    Reject,
    Retry,
    SyncMode,
    Target,
)
from plugins.hubspot import contacts
from plugins.hubspot.app import HubspotApp
from plugins.hubspot.calling import Problem
from plugins.hubspot.changes import Change, differing_lists, in_rounds, list_fields, match_fields, read_change
from plugins.hubspot.contacts import Contact
from plugins.hubspot.lists import Lists
from plugins.hubspot.properties import KEY_FIELD, read_value

BATCH_SECONDS = 25.0  # with one last slow call this stays below the time a worker may be silent
_NOT_NOW = (OutcomeKind.RETRY, OutcomeKind.HALT)
_IN_BETWEEN = "Another contact got this address in between."


class HubspotExports(HubspotApp, ExportsProfiles, ReadsBack):
    """The exporting half of the plugin."""

    batch_size: ClassVar[int] = contacts.MOST

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._lists = Lists(self)

    def fields(self, target_options: Mapping[str, Any]) -> Sequence[Field]:
        return [
            Field(KEY_FIELD, "email", required=True),
            *(
                Field(each.name, each.value_type, takes_lists=each.value_type == "string")
                for each in list_fields(self.properties())
            ),
        ]

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        if not batch:
            return []
        fields = match_fields(target, self.properties())
        outcomes: dict[int, Outcome] = {}
        changes: dict[int, Change] = {}
        for place, item in enumerate(batch):
            try:
                changes[place] = read_change(item, target, fields)
            except Reject as error:
                outcomes[place] = _outcome_of(error)
        until = time.monotonic() + BATCH_SECONDS
        for some in in_rounds(changes):
            waiting = next((each for each in outcomes.values() if each.kind in _NOT_NOW), None)
            outcomes |= (
                dict.fromkeys(some, waiting) if waiting else _Round(self, self._lists, target.mode, some, until).run()
            )
        return [outcomes[place] for place in range(len(batch))]

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        fields = match_fields(target, self.properties())
        emails = {key: str(key).strip().lower() for key in keys}
        found = contacts.find(self.line, list(emails.values()), properties=[each.name for each in fields.values()])
        return {
            key: {
                target.key_field: email,
                **{
                    name: read_value(found[email].properties.get(each.name), target.fields[name])
                    for name, each in fields.items()
                },
            }
            for key, email in emails.items()
            if email in found
        }


@dataclass(slots=True)
class _Round:
    """Changes on their way, no two of which touch the same address. It is told what was written (`contacts.Sent`)."""

    app: HubspotExports
    lists: Lists
    mode: SyncMode
    changes: Mapping[int, Change]
    until: float
    found: dict[str, Contact] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    written: dict[int, str] = field(default_factory=dict)  # the contact's id of each change that is there
    created: set[int] = field(default_factory=set)
    taken: dict[int, str] = field(default_factory=dict)  # the contact that has the address, of those found out too late

    def run(self) -> dict[int, Outcome]:
        """The outcome of every change. An error leaves what is done done; the rest meets it again."""
        try:
            self.found = contacts.find(self.app.line, [each for one in self.changes.values() for each in one.emails])
            self._write([place for place, change in self.changes.items() if change.email])
            self._write(self._look_again())
            self._archive()
            self._change_lists()
        except PluginError as error:
            rest = _outcome_of(error)
        except Problem as problem:  # of a call that is for nobody alone
            rest = _outcome_of(Halt(problem.explain()))
        else:
            rest = ACCEPTED
        lost = Outcome(OutcomeKind.RETRY, _IN_BETWEEN)
        return {place: self.outcomes.get(place, lost if place in self.taken else rest) for place in self.changes}

    # ------------------------------------------------------------ writing

    def _write(self, places: Sequence[int]) -> None:
        updates: dict[int, tuple[str, Mapping[str, str]]] = {}
        creations: dict[int, Mapping[str, str]] = {}
        for place in places:
            change = self.changes[place]
            with_email = {KEY_FIELD: change.email, **change.properties}
            there, before = self.found.get(change.email), self._own(change)
            if there is not None and not change.properties:
                self.wrote(place, there.id)
            elif there is not None:
                updates[place] = (there.id, change.properties)
            elif before is not None:
                updates[place] = (before.id, with_email)
            elif self.mode is not SyncMode.ENRICH:
                creations[place] = with_email
        contacts.update(self.app.line, updates, self, until=self.until)
        self.created.update(creations)
        contacts.create(self.app.line, creations, self, until=self.until)

    def _look_again(self) -> list[int]:
        """Take note of the addresses that turned out to be taken; the changes to be written anew because of it."""
        places = list(self.taken)
        for place in places:
            email = self.changes[place].email
            self.found[email] = Contact(self.taken.pop(place), "", {})
        self.created.difference_update(places)
        return places

    def _own(self, change: Change) -> Contact | None:
        """The contact that our last export left at the old address, as its own."""
        contact = self.found.get(change.old_email)
        return contact if contact is not None and contact.email == change.old_email else None

    def wrote(self, place: int, contact: str) -> None:
        self.written[place] = contact

    def refused(self, place: int, problem: Problem) -> None:
        if problem.existing_id:
            self.taken[place] = problem.existing_id
        elif problem.category == contacts.NOT_FOUND:
            self.lost(place, "The contact was deleted at HubSpot in between; it is made anew.")
        else:
            self.outcomes[place] = _outcome_of(problem.meaning())

    def lost(self, place: int, reason: str) -> None:
        self.outcomes[place] = Outcome(OutcomeKind.RETRY, reason)

    # ------------------------------------------------------------ letting go

    def _left(self) -> dict[int, Contact]:
        """The contacts at addresses that are ours no longer: of removals, and of those who are elsewhere now."""
        kept = set(self.written.values())
        left = {}
        for place, change in self.changes.items():
            contact = self.found.get(change.old_email)
            if contact is not None and contact.id not in kept and (not change.email or place in self.written):
                left[place] = contact
        return left

    def _is_archived(self, place: int, contact: Contact) -> bool:
        return self.mode is SyncMode.SYNC and contact.email == self.changes[place].old_email

    def _archive(self) -> None:
        ids = [contact.id for place, contact in self._left().items() if self._is_archived(place, contact)]
        contacts.archive(self.app.line, ids)

    # ------------------------------------------------------------ lists

    def _change_lists(self) -> None:
        names: dict[str, str] = {}  # of the lists that differ, by name without regard to case
        adds: dict[str, dict[str, int]] = defaultdict(dict)  # by list, the contacts to add and whose change it is
        removes: dict[str, set[str]] = defaultdict(set)
        for place, contact, more, less in self._differences():
            names |= {name.casefold(): name for name in (*more, *less)}
            for name in more:
                adds[name.casefold()][contact] = place
            for name in less:
                removes[name.casefold()].add(contact)
        for folded, name in names.items():
            add = adds[folded]
            for contact in self.lists.change(name, add=set(add), remove=removes[folded] - set(add)):
                self.lost(add[contact], f"HubSpot's list “{name}” does not know this contact yet.")

    def _differences(self) -> list[tuple[int, str, list[str], list[str]]]:
        """By place and contact: the lists to add to and those to take out of."""
        found = []
        for place, contact in self.written.items():
            change = self.changes[place]
            before = self.found.get(change.old_email)
            is_ours = before is not None and before.id == contact
            add, remove = differing_lists(change, is_new=place in self.created, is_ours=is_ours)
            found.append((place, contact, add, remove))
        for place, left in self._left().items():
            if not self._is_archived(place, left):
                found.append((place, left.id, [], list(self.changes[place].before)))
        return found


def _outcome_of(error: PluginError) -> Outcome:
    if isinstance(error, Retry):
        return Outcome(OutcomeKind.RETRY, error.reason, error.after)
    return Outcome(OutcomeKind.REJECT if isinstance(error, Reject) else OutcomeKind.HALT, error.reason)
