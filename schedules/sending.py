"""Handing owed rows to a destination's plugin and reading its answers: no table is read or written here.

A call that fails as a whole is split until the rows at fault are alone, so one bad row never holds up the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.base import ExportsProfiles, ReadsBack
from plugins.contracts import (
    ACCEPTED,
    Halt,
    Outcome,
    OutcomeKind,
    ProfileExport,
    Reject,
    Retry,
    Target,
)
from schedules.ledger.rows import Held, OwedRow

_SUSPICIOUS_AFTER = 2  # tries in vain after which a failing batch is searched for the row that spoils it
_SEARCH_CALLS = 60  # calls that one such search may cost: enough to find two rows among a thousand

Send = Callable[[Sequence[ProfileExport]], Sequence[Outcome]]


def _nothing() -> None:
    """What is done between calls by default."""


@dataclass(slots=True)
class _Search:
    """How many more calls looking for a spoiling row may cost, and what to do before each."""

    calls_left: int
    between: Callable[[], None]


def deliver(
    app: ExportsProfiles, target: Target, rows: Sequence[OwedRow], *, between: Callable[[], None] = _nothing
) -> list[Outcome]:
    """Send what these rows are owed; one outcome for each row, in order. Raises nothing that a plugin may raise.

    `between` is called between calls, when there is more than one: to keep a lease.

    Most rows take one item. A row that answers for several keys takes one for each, in calls one after the other:
    what stands under the other keys is moved to the new one (or removed) before.
    """
    outcomes = [ACCEPTED] * len(rows)
    items = [_items(row) for row in rows]
    for depth in range(max((len(each) for each in items), default=0)):
        chosen = [
            index
            for index, each in enumerate(items)
            if len(each) > depth and outcomes[index].kind is OutcomeKind.ACCEPTED
        ]
        is_suspicious = min((rows[index].attempts for index in chosen), default=0) >= _SUSPICIOUS_AFTER
        search = _Search(_SEARCH_CALLS if is_suspicious else 0, between)
        if depth:
            between()
        answers = _send(lambda batch: app.export(target, batch), [items[index][depth] for index in chosen], search)
        for index, answer in zip(chosen, answers, strict=True):
            outcomes[index] = answer
    return outcomes


def settle(app: ReadsBack, target: Target, rows: Sequence[OwedRow]) -> list[OwedRow]:
    """Those of the unanswered rows that the destination turns out to have taken. Raises what the plugin raises."""
    asked = {row.profile: (row.owed or row.held) for row in rows}
    keys = [held.payload[target.key_field] for held in asked.values() if held is not None]
    found = app.read_back(target, keys)
    return [row for row in rows if _arrived(row, asked[row.profile], found, target.key_field)]


def _arrived(row: OwedRow, asked: Held | None, found: Mapping[Any, Any], key_field: str) -> bool:
    if asked is None or row.may_hold:
        return False
    there = found.get(asked.payload[key_field])
    if row.owed is None:
        return there is None
    is_elsewhere = row.held is not None and row.held.key != row.owed.key
    return not is_elsewhere and not row.owed.groups and there == row.owed.payload


def _items(row: OwedRow) -> list[ProfileExport]:
    """The calls that bring the destination from whatever it may hold of this row to what is owed.

    Doubt about the very key that is owed is met by writing everything: `old` is None then.
    """
    if not row.may_hold:  # as nearly always
        return [_item(row, row.held)] if row.owed or row.held else []
    standing = ([row.held] if row.held else []) + list(row.may_hold)
    if row.owed is None:
        return [_item(row, held) for held in _one_per_key(standing)]
    others = [held for held in _one_per_key(standing) if held.key != row.owed.key]
    if any(held.key == row.owed.key for held in row.may_hold):
        return [*(_item(row, held) for held in others), _item(row, None)]
    if row.held and row.held.key == row.owed.key:
        return [*(_item(row, held) for held in others), _item(row, row.held)]
    return [_item(row, held) for held in others] or [_item(row, None)]


def _one_per_key(standing: Sequence[Held]) -> list[Held]:
    return list({held.key: held for held in reversed(standing)}.values())[::-1]


def _item(row: OwedRow, old: Held | None) -> ProfileExport:
    return ProfileExport(
        profile=row.profile,
        old=old.payload if old else None,
        new=row.owed.payload if row.owed else None,
        old_groups=old.groups if old else (),
        new_groups=row.owed.groups if row.owed else (),
        id=row.change or "",
    )


def _send(call: Send, items: Sequence[ProfileExport], search: _Search) -> list[Outcome]:
    """One outcome per item, whatever the call raises."""
    try:
        answers = list(call(items))
    except Reject as error:
        return _halve(call, items, search) or [Outcome(OutcomeKind.REJECT, error.reason)] * len(items)
    except Retry as error:
        if error.after is None and search.calls_left > 0:
            search.calls_left -= 2
            return _halve(call, items, search) or [Outcome(OutcomeKind.RETRY, error.reason)]
        return [Outcome(OutcomeKind.RETRY, error.reason, error.after)] * len(items)
    except Halt as error:
        return [Outcome(OutcomeKind.HALT, error.reason)] * len(items)
    if len(answers) != len(items):
        reason = f"The plugin answered for {len(answers)} of {len(items)} profiles."
        return [Outcome(OutcomeKind.RETRY, reason)] * len(items)
    return answers


def _halve(call: Send, items: Sequence[ProfileExport], search: _Search) -> list[Outcome]:
    """The outcomes of both halves, nothing for a single item. After a halt the second half is not tried."""
    if len(items) == 1:
        return []
    middle = len(items) // 2
    search.between()
    first = _send(call, items[:middle], search)
    halt = next((answer for answer in first if answer.kind is OutcomeKind.HALT), None)
    rest = items[middle:]
    return [*first, *([halt] * len(rest) if halt else _send(call, rest, search))]
