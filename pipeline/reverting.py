"""Taking back what some transactions wrote: values go back to what they were, where nothing newer was written since.

What Apps are asked for is left to their answers, and who someone is stays: identities are not taken back. A value that
goes back counts as set by the person who asked for it, now, so that no older event takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_noop

from events.models import Event
from groups import membership
from profiles import hydration, identity, meta, properties, ruleset
from profiles.models import ProfileChange, Retrieval
from profiles.person import Person
from profiles.ruleset import RuleSet

STAYS_ASKED = gettext_noop("its source is asked for it")
STAYS_IDENTITY = gettext_noop("it says who they are")
STAYS_NEWER = gettext_noop("something newer was written since")
STAYS_GONE = gettext_noop("there is no such property any more")


@dataclass(frozen=True, slots=True)
class Value:
    """One value that was written. `why_not` says why it stays; "" when it goes back to `before`."""

    profile_id: UUID
    key: str
    before: Any
    written: Any
    now: Any
    why_not: str


class RulesChanged(Exception):
    """The properties are being changed; the same page works a moment later."""


def preview(profile_ids: Sequence[UUID], xids: Sequence[int]) -> list[Value]:
    """What taking back would do for these profiles; nothing is written."""
    people = identity.read_people(profile_ids)
    return list(_judge(people, xids, ruleset.load()))


def take_back(profile_ids: Sequence[UUID], xids: Sequence[int], *, cause: str) -> int:
    """Take back what these transactions wrote for these profiles, in the caller's transaction; how many values.

    Raises RulesChanged.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("taking back belongs into the transaction that moves its mark")
    rules = ruleset.load()
    if not ruleset.hold(rules.version):
        raise RulesChanged
    people = identity.read_people(profile_ids, lock=True)
    now_us = hydration.database_now_us()
    count = 0
    for value in _judge(people, xids, rules):
        if not value.why_not:
            person = people[value.profile_id]
            person.put_back(value.key, value.before, meta.trim([now_us, cause, None, now_us, None, None]))
            person.cause = cause
            count += 1
    if count:
        changes = properties.write(properties.draft(list(people.values()), rules, now_us=now_us))
        membership.refresh(changes.profiles, changed_rules=changes.rules, created=False)
    return count


def _judge(people: dict[UUID, Person], xids: Sequence[int], rules: RuleSet) -> Iterator[Value]:
    """Every value that was written, as it was before the first and after the last of these transactions."""
    written: dict[tuple[UUID, str], list[Any]] = {}
    log = ProfileChange.objects.filter(profile_id__in=list(people), xid__in=xids).order_by("id")
    for profile_id, changes in log.values_list("profile_id", "changes"):
        for key, (before, after) in changes.items():
            if not key.startswith("_"):
                written.setdefault((profile_id, key), [before, after])[1] = after
    events = Event.objects.filter(profile_id__in=list(people), xid__in=xids).values_list("pk", flat=True)
    causes = {f"event:{event_id}" for event_id in events}
    for (profile_id, key), (before, after) in written.items():
        person = people[profile_id]
        now = person.values.get(key)
        yield Value(profile_id, key, before, after, now, _why_not(person, key, after, causes, rules))


def _why_not(person: Person, key: str, written: Any, causes: set[str], rules: RuleSet) -> str:
    rule = rules.by_key.get(key)
    if rule is None:
        return STAYS_GONE
    if rule.retrieval != Retrieval.EVENT:
        return STAYS_ASKED
    if rule.is_unique:
        return STAYS_IDENTITY
    is_ours = meta.get(person.meta.get(key), meta.CAUSE) in causes
    return "" if is_ours and person.values.get(key) == written else STAYS_NEWER
