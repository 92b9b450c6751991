"""Handing outbound events to an App's plugin and reading its answers: no table is read or written here.

A call that fails as a whole is split until the events at fault are alone. Whatever is split, nothing of a profile is
sent behind an event of it that has to be tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from plugins.base import ForwardsEvents
from plugins.contracts import Halt, OutboundItem, Outcome, OutcomeKind, Reject, Retry
from schedules.outbound.bodies import SubscriptionPlan
from schedules.outbound.deliveries import Answer, DueRow

BACKFILL_AFTER = timedelta(days=30)  # an event sent so late tells a tool what was, and starts no mail of its own
_SUSPICIOUS_AFTER = 2  # tries in vain after which a failing batch is searched for the event that spoils it
_SEARCH_CALLS = 20  # calls that one such search may cost


@dataclass(slots=True)
class _Call:
    """The connection, how many more calls a search may cost, and what to do between two calls."""

    app: ForwardsEvents
    calls_left: int
    between: Callable[[], None]


def deliver(
    app: ForwardsEvents, plan: SubscriptionPlan, rows: Sequence[DueRow], *, between: Callable[[], None]
) -> list[Answer]:
    """Send these rows; one answer for each, in order. Raises nothing that a plugin may raise.

    `between` is called between calls, when there is more than one: to keep a lease.
    """
    is_suspicious = min(row.tries for row in rows) >= _SUSPICIOUS_AFTER
    call = _Call(app, _SEARCH_CALLS if is_suspicious else 0, between)
    return mark_followers(rows, _send(call, [make_item(plan, row) for row in rows]))


def mark_followers(rows: Sequence[DueRow], outcomes: Sequence[Outcome]) -> list[Answer]:
    """The answers of a batch. Behind an event to be tried again nothing of that profile was sent."""
    answers, held = [], set()
    for row, outcome in zip(rows, outcomes, strict=True):
        waits = outcome.kind in (OutcomeKind.RETRY, OutcomeKind.HALT)
        answers.append(Answer(row, outcome, called=not (waits and row.profile in held)))
        if waits:
            held.add(row.profile)
    return answers


def make_item(plan: SubscriptionPlan, row: DueRow) -> OutboundItem:
    """A row in the words of the contract."""
    return OutboundItem(
        id=f"{row.event}-{plan.subscription_id}",
        type=row.type,
        occurred_at=row.occurred_at,
        body=row.body,
        profile=str(row.profile),
        identities=row.identities,
        options=plan.options,
        is_backfill=timezone.now() - row.occurred_at > BACKFILL_AFTER,
    )


def _send(call: _Call, items: Sequence[OutboundItem]) -> list[Outcome]:
    """One outcome per item, whatever the call raises."""
    try:
        answers = list(call.app.forward(items))
    except Reject as error:
        return _halve(call, items) or [Outcome(OutcomeKind.REJECT, error.reason)]
    except Retry as error:
        if error.after is None and call.calls_left > 0:
            call.calls_left -= 2
            return _halve(call, items) or [Outcome(OutcomeKind.RETRY, error.reason)]
        return [Outcome(OutcomeKind.RETRY, error.reason, error.after)] * len(items)
    except Halt as error:
        return [Outcome(OutcomeKind.HALT, error.reason)] * len(items)
    if len(answers) != len(items):
        reason = f"The plugin answered for {len(answers)} of {len(items)} events."
        return [Outcome(OutcomeKind.RETRY, reason)] * len(items)
    return answers


def _halve(call: _Call, items: Sequence[OutboundItem]) -> list[Outcome]:
    """The outcomes of both halves, nothing for a single item. After a halt the second half is not tried."""
    if len(items) == 1:
        return []
    middle = len(items) // 2
    call.between()
    first = _send(call, items[:middle])
    rest = items[middle:]
    if halt := next((answer for answer in first if answer.kind is OutcomeKind.HALT), None):
        return [*first, *([halt] * len(rest))]
    held = {
        item.profile: answer
        for item, answer in zip(items[:middle], first, strict=True)
        if answer.kind is OutcomeKind.RETRY
    }
    free = [item for item in rest if item.profile not in held]
    sent = iter(_send(call, free) if free else [])
    return [*first, *(held[item.profile] if item.profile in held else next(sent) for item in rest)]
