"""One profile while a batch works on it: what the database held, and what becomes of it.

The pipeline reads people in bulk, changes them here in memory by one rule (the later own time wins), and
`profiles/properties.py` writes them back in bulk.
"""

from __future__ import annotations

from collections.abc import KeysView, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any
from uuid import UUID

from profiles import meta
from profiles.meta import Entry
from profiles.ruleset import Rule

MERGED = "_merged_into"  # in the change log beside the keys of properties: [before, after]
NEVER = 0  # an as-of time older than any other: the rule was never answered


@dataclass(slots=True)
class Person:
    """A profile in a batch. Times are microseconds since 1970; `row_version` is the row's xmin when it was read."""

    guid: UUID
    values: dict[str, Any]
    meta: dict[str, Entry]
    created_us: int
    hydrated_us: int | None
    row_version: str | None = None  # None: new in this batch
    merged_into: UUID | None = None
    absorbed_by: Person | None = None  # became part of this one in this batch
    before: dict[str, Any] = field(default_factory=dict)  # of someone known: changed key -> what the database holds
    lost: dict[str, list[Any]] = field(default_factory=dict)  # key -> [value, as-of, cause] that came too late
    noted: dict[str, list[Any]] = field(default_factory=dict)  # what else the change log says of this batch
    cause: str = ""
    is_touched: bool = False  # values or meta differ from the database

    @property
    def is_new(self) -> bool:
        """Whether this batch makes it."""
        return self.row_version is None

    def as_of(self, rule: Rule) -> int | None:
        """The own time of what is held for a rule, or None when nothing ever came for it."""
        entry = self.meta.get(rule.key)
        known = meta.get(entry, meta.AS_OF)
        if known is not None:
            return int(known)
        if rule.retrieval != "event" or entry is not None or rule.key in self.values:
            return self.hydrated_us
        return None

    def take(
        self, rule: Rule, value: Any, *, as_of: int, cause: str | None, now_us: int, rejected: list[str] | None = None
    ) -> bool:
        """Take a value for a rule if it is at least as new as what is held; whether it was taken.

        `cause` None means the rule's own retrieval, whose as-of is the profile's hydrated_at (set by the caller after
        all answers are taken). `rejected` is [text, reason] of a value that did not fit; `value` is then None.
        """
        key = rule.key
        held_as_of = self.as_of(rule)
        entry = self.meta.get(key)
        if held_as_of is not None and self._is_older(entry, held_as_of, as_of, cause):
            if value != self.values.get(key):
                self.lost[key] = [value, as_of, cause or "hydration"]
            return False
        updated = meta.get(entry, meta.UPDATED)
        created = meta.get(entry, meta.CREATED)
        held = self.values.get(key)
        if value != held or type(value) is not type(held):
            self._change(key, value)
            updated = None if self.is_new else now_us
            if held is None and entry is None and not self.is_new:
                created = now_us
        fresh = meta.trim([None if cause is None else as_of, cause, created, updated, *(rejected or (None, None))])
        if fresh != (entry or []):
            self.is_touched = True
            if fresh:
                self.meta[key] = fresh
            else:
                del self.meta[key]
        return True

    def take_first(self, keys: Sequence[str], values: Sequence[Any]) -> None:
        """Take typed values (None: none) for keys of which nothing is known yet, as someone new does."""
        fresh = dict(zip(keys, values, strict=True))
        if None in values:
            fresh = {key: value for key, value in fresh.items() if value is not None}
        self.values.update(fresh)

    def confirm(self, key: str, value: Any, *, as_of: int) -> bool:
        """Hear from its source what the event that made this person said; False when there is more to judge than that.

        The value is the source's own from then on, of which nothing needs to be known.
        """
        entry, held = self.meta.get(key), self.values.get(key)
        if value is None or value != held or type(value) is not type(held):
            return False
        if entry is None or len(entry) > meta.CAUSE + 1 or entry[meta.AS_OF] is None or entry[meta.AS_OF] > as_of:
            return False
        del self.meta[key]
        return True

    def put_back(self, key: str, value: Any, entry: Entry | None) -> None:
        """Make a value, and what is known of it, what they were once."""
        self._change(key, value)
        if entry:
            self.meta[key] = entry
        else:
            self.meta.pop(key, None)

    def finish_hydration(self, asked: dict[str, Rule], *, answered: KeysView[str], hydrated_us: int) -> None:
        """Move hydrated_at; rules that gave no answer this time keep the as-of they had."""
        if self.hydrated_us is not None and hydrated_us <= self.hydrated_us:
            return
        for key in () if asked.keys() <= answered else asked.keys() - answered:
            entry = self.meta.get(key)
            if meta.get(entry, meta.AS_OF) is None:
                kept = list(entry or [])
                kept[:1] = [self.hydrated_us if self.hydrated_us is not None else NEVER]
                self.meta[key] = kept
        self.hydrated_us = hydrated_us
        self.is_touched = True

    def changed_values(self) -> dict[str, Sequence[Any]]:
        """What the change log says of this batch: key -> (old, new), without values that came back to the old one."""
        if self.is_new:
            values: dict[str, Any] = dict(zip(self.values, zip(repeat(None), self.values.values()), strict=True))
            return values | self.noted if self.noted else values
        return self.noted | {
            key: (old, self.values.get(key)) for key, old in self.before.items() if old != self.values.get(key)
        }

    def _change(self, key: str, value: Any) -> None:
        self.before.setdefault(key, self.values.get(key))
        self.is_touched = True
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def _is_older(self, entry: Entry | None, held_as_of: int, as_of: int, cause: str | None) -> bool:
        if as_of != held_as_of:
            return as_of < held_as_of
        if cause is None:
            return False
        held_cause = meta.get(entry, meta.CAUSE)
        return held_cause is None or cause < str(held_cause)
