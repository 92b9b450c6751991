"""The events of a batch as the pipeline works on them: once each, storable, typed by the rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from core.accounts import project
from core.lib import uuid7
from core.lib.clock import from_us, to_us
from core.lib.json import NotStorable, dumps
from events import store
from events.envelope import InboundEvent, event_key_text
from profiles import suppression
from profiles.naming import DEVICE, absorbed_in, device_in
from profiles.properties import savable, type_payload
from profiles.resolution import Arrival
from profiles.ruleset import Rule, RuleSet

AHEAD = timedelta(minutes=5)  # an own time further ahead of its arrival than this counts as the arrival


@dataclass(slots=True)
class BatchResult:
    """What became of a batch. `errors` are (index in the batch, what is wrong, one sentence).

    `erased` of the events named somebody who was erased on request: nothing of them is kept, not even among `errors`.
    `unanswered` are the properties that could not be asked for, for some people at least, with the reason.
    """

    events: int = 0
    duplicates: int = 0
    created: int = 0
    changed: int = 0
    moves: int = 0
    unlinked: int = 0
    conflicts: int = 0
    rejected: int = 0
    erased: int = 0
    statements: int = 0
    errors: list[tuple[int, str, str]] = field(default_factory=list)
    unanswered: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Accepted:
    """The events of a batch that count, column by column, in the order of the batch.

    `indexes` are their places in the caller's batch. A key is yet to be taken, None when the door took it. `guids` are
    the ids that their people get where an event is the first to name someone.
    """

    indexes: list[int] = field(default_factory=list)
    events: list[InboundEvent] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)
    guids: list[UUID] = field(default_factory=list)


@dataclass(slots=True)  # not frozen: that makes them at half the speed
class Item:
    """An event of the batch with what it says. `index` is its place in the caller's batch."""

    index: int
    event: InboundEvent
    id: UUID
    key: str | None  # yet to be taken; None when the door took it
    payload_text: str
    arrival: Arrival


def accept(batch: Sequence[InboundEvent], *, now_us: int, result: BatchResult) -> Accepted:
    """The events that count: repetitions and what PostgreSQL cannot hold are left out and told in `result`."""
    ids = uuid7.make_many(from_us(now_us), 2 * len(batch))
    keys = [
        None if event.id else event_key_text(event.source_kind, event.source_id, event.message_id) for event in batch
    ]
    seen = store.taken_keys(key for key in keys if key is not None)
    accepted = Accepted()
    for index, (event, key) in enumerate(zip(batch, keys, strict=True)):
        if key is not None:
            if key in seen:
                result.duplicates += 1
                continue
            seen.add(key)
        try:
            text = event.payload_text or dumps(event.payload)
        except NotStorable as reason:
            result.rejected += 1
            result.errors.append((index, "not storable", f"The event {reason}."))
            continue
        accepted.indexes.append(index)
        accepted.events.append(event)
        accepted.keys.append(key)
        accepted.texts.append(text)
        accepted.ids.append(event.id or ids[2 * index])
        accepted.guids.append(ids[2 * index + 1])
    return accepted


def read_items(accepted: Accepted, places: Iterable[int], ruleset: RuleSet, *, result: BatchResult) -> list[Item]:
    """What the events at these places say, in order; those that name someone who was erased are left out."""
    blocked = project.current().blocked_values
    rules_of: dict[tuple[frozenset[str] | None, tuple[str, ...]], dict[str, Rule]] = {}  # by kind of event
    user_id = ruleset.by_key.get(project.current().user_id_key)
    items = []
    for place in places:
        event, event_id = accepted.events[place], accepted.ids[place]
        kind = (event.saves, tuple(event.carried or ()))
        if kind not in rules_of:
            rules_of[kind] = savable(ruleset, saves=event.saves, answered=kind[1])
        arrival = Arrival(
            cause=f"event:{event_id}",
            as_of_us=own_time_us(event),
            facts=type_payload(event.payload, rules_of[kind], blocked=blocked),
            new_guid=accepted.guids[place],
            may_create=event.may_create,
            device=device_in(event.payload, DEVICE, blocked),
            absorbs=absorbed_in(event.payload, user_id, blocked),
        )
        items.append(
            Item(accepted.indexes[place], event, event_id, accepted.keys[place], accepted.texts[place], arrival)
        )
    items = _leave_out_erased(items, ruleset, result)
    for item in items:
        for fact in item.arrival.facts:
            if fact.rejected:
                result.errors.append((item.index, f"{fact.rule.key}: {fact.rejected[1]}", fact.rejected[0]))
    return items


def own_time_us(event: InboundEvent) -> int:
    """When it happened, as far as that can be believed."""
    if event.occurred_at > event.received_at + AHEAD:
        return to_us(event.received_at)
    return to_us(event.occurred_at)


def _leave_out_erased(items: list[Item], ruleset: RuleSet, result: BatchResult) -> list[Item]:
    """Every door ends here: what names someone who was erased goes no further, whoever sends it."""
    if ruleset.suppression_key is None:
        return items
    gone = suppression.find({named for item in items for named in item.arrival.identities}, ruleset)
    if not gone:
        return items
    kept = [item for item in items if gone.isdisjoint(item.arrival.identities)]
    result.erased += len(items) - len(kept)
    return kept
