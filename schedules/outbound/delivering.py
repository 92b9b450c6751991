"""The work on one subscription: read the events that were processed, owe what concerns it, send what is due.

One worker at a time works on a subscription, by a lease on its `Work`, which lasts as long as the subscription; any
number of workers on any number of them. Reading goes on while nothing may be sent, so what was missed is known.

Sending: rows are marked as sent in a transaction of their own, then the plugin is called in none, then its answers are
stored. Every transaction holds the lease. A worker may be killed at any moment; what it had sent and not recorded goes
out again under the same id when it can no longer be answered.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import Count, Q

from apps_connectors.connections import connect
from apps_connectors.models import App
from apps_connectors.slots import slots
from core.accounts import project
from core.lib.errors import InvalidInput
from core.work import leases
from core.work.leases import Lease, LostLease
from plugins import registry
from plugins.base import ForwardsEvents
from plugins.contracts import Halt, Outcome, OutcomeKind, PluginError, Retry
from schedules import cursor
from schedules.outbound import cursors, deliveries, owing, sending, subscriptions
from schedules.outbound.bodies import SubscriptionPlan, load_plan
from schedules.outbound.deliveries import Answer, DueRow
from schedules.outbound.models import Subscription, SubscriptionState
from schedules.outbound.subscriptions import KIND

log = logging.getLogger(__name__)

IDLE_SECONDS = 300.0  # until the work is looked at although `find_due` did not ask for it
_READ_EVERY = 0.5  # seconds between two reads while there is something to send
_WAITS = (5, 15, 60, 300)  # seconds of rest, when the destination takes nothing at all
_NO_SLOT_SECONDS = 1.0
_SLOT_SECONDS = 2 * leases.LEASE_SECONDS
_FIRST_SIZE, _QUICK, _SLOW = 10, 2.0, 8.0  # a batch grows while calls are quick (seconds) and shrinks when one is slow
_LARGEST_SIZE = 5000
_AGAIN_BEFORE = timedelta(hours=1)  # how far a restored copy reads back, to meet what was under way


def work_slice() -> bool:
    """Work on the next subscription for one slice; whether it is worth coming back at once."""
    return leases.run_slice(KIND, _Worker())


_DUE = """
    select c.subscription_id from outbound_cursor c
      join subscription s on s.id = c.subscription_id
      join app a on a.id = s.app_id
     where exists (select from event e where e.xid >= c.mark and e.xid < %(horizon)s)
        or exists (select from outbound_delivery d
                    where d.subscription_id = s.id and d.next_at is not null and d.next_at <= clock_timestamp()
                      and (d.state = 'waiting'
                           or s.state = 'on' and a.paused_at is null and not %(stopped)s and d.state <> 'halted'
                              and coalesce(c.rests_until <= clock_timestamp(), true)))
     order by c.subscription_id
"""


def find_due() -> int:
    """Let the subscriptions that have something to read or to send be worked on; how many there are."""
    with connection.cursor() as database:
        database.execute(_DUE, {"horizon": cursor.read_horizon(), "stopped": project.current().sending_stopped})
        due = [str(row[0]) for row in database.fetchall()]
    if due:
        leases.make_due(KIND, due)
    return len(due)


@dataclass(slots=True)
class _Worker:
    """The step of one slice, with what is kept from one batch to the next."""

    after: UUID | None = None  # the last event claimed
    size: int = _FIRST_SIZE
    read_at: float = -_READ_EVERY
    is_settled: bool = False
    is_behind: bool = field(default=True)  # whether the last read left something

    def __call__(self, lease: Lease) -> bool:
        try:
            return self._step(lease)
        except LostLease:
            raise
        except Exception as error:
            if connection.connection is None or connection.connection.closed:
                raise  # our own database is away; the lease brings the work back
            log.exception("subscription %s could not go on", lease.subject)
            lease.fail_slice(f"{type(error).__name__}: {error}")
        return False

    def _step(self, lease: Lease) -> bool:
        subscription = Subscription.objects.select_related("app", "follows").filter(pk=int(lease.subject)).first()
        if subscription is None:
            lease.finish()
            return False
        try:
            plan = load_plan(subscription)
        except InvalidInput as error:
            return self._halt(lease, subscription.pk, f"Its conditions cannot be asked any more. {error.message}")
        place = cursors.find(plan.subscription_id)
        if self.is_behind or time.monotonic() - self.read_at >= _READ_EVERY:
            self._read(lease, plan, place)
        if _may_send(subscription) and not place.is_resting:
            return self._send(lease, plan, subscription.app.type, waits=place.waits)
        if not self.is_behind:
            lease.release(delay=IDLE_SECONDS)
        return self.is_behind

    # ------------------------------------------------------------ reading

    def _read(self, lease: Lease, plan: SubscriptionPlan, place: cursors.Place) -> None:
        with transaction.atomic():
            lease.hold(mark=None)
            if place.mark is None:
                read = owing.owe_since(plan, place.read_at - _AGAIN_BEFORE)
            else:
                read = owing.owe_new(plan, mark=place.mark)
            cursors.move(plan.subscription_id, mark=read.mark)
            if read.owed:
                lease.hold(mark=None, done=lease.done + read.owed)
        with transaction.atomic():
            lease.hold(mark=None)
            more = owing.release_waiting(plan)
        self.is_behind, self.read_at = read.more or more, time.monotonic()

    # ------------------------------------------------------------ sending

    def _send(self, lease: Lease, plan: SubscriptionPlan, app_type: str, *, waits: int) -> bool:
        """Send one batch; whether there is more to do at once."""
        try:
            kind = registry.get(app_type)
        except registry.UnknownApp as error:
            return self._halt(lease, plan.subscription_id, str(error))
        if not issubclass(kind, ForwardsEvents):
            return self._halt(lease, plan.subscription_id, "This App does not take events.")
        if not self._settle(lease, plan, repeatable=kind.repeatable):
            return False
        with slots(plan.app_id, most=_share_of_calls(plan), seconds=_SLOT_SECONDS) as calls:
            if not calls:
                lease.release(delay=_NO_SLOT_SECONDS)
                return False
            attempt = uuid4()
            rows = self._claim(lease, plan, attempt, limit=min(self.size, kind.event_batch_size))
            if rows:
                began = time.monotonic()
                answers = _call(lease, plan, rows, calls=calls)
                self._adapt(time.monotonic() - began)
        if rows:
            return self._record(lease, plan, attempt, answers, waits=waits)
        if not self.is_behind:
            lease.release(delay=IDLE_SECONDS)
        return self.is_behind

    def _settle(self, lease: Lease, plan: SubscriptionPlan, *, repeatable: bool) -> bool:
        """Owe again what a worker that died had sent; False to wait, while it may still be answered."""
        if self.is_settled:
            return True
        if deliveries.is_unanswered(plan.subscription_id):
            lease.release(delay=5.0)
            return False
        with transaction.atomic():
            lease.hold(mark=None)
            if count := deliveries.doubt(plan.subscription_id, repeatable=repeatable):
                log.warning("subscription %s sends %s events again, unanswered before", plan.subscription_id, count)
        self.is_settled = True
        return True

    def _claim(self, lease: Lease, plan: SubscriptionPlan, attempt: UUID, *, limit: int) -> list[DueRow]:
        with transaction.atomic():
            lease.hold(mark=None)
            rows = deliveries.claim(plan, attempt_id=attempt, after=self.after, limit=limit)
            if not rows and self.after is not None:
                rows = deliveries.claim(plan, attempt_id=attempt, after=None, limit=limit)
        self.after = rows[-1].event if rows else None
        return rows

    def _adapt(self, seconds: float) -> None:
        if seconds > _SLOW:
            self.size = max(1, self.size // 2)
        elif seconds < _QUICK:
            self.size = min(self.size * 2, _LARGEST_SIZE)

    def _record(
        self, lease: Lease, plan: SubscriptionPlan, attempt: UUID, answers: Sequence[Answer], *, waits: int
    ) -> bool:
        halt = next((each.outcome.reason for each in answers if each.outcome.kind is OutcomeKind.HALT), None)
        rest, counts = _how_long_to_rest(answers, waits)
        with transaction.atomic():
            lease.hold(mark=None)
            deliveries.record(plan.subscription_id, attempt_id=attempt, answers=answers, all_wait=rest is not None)
            if halt is not None:
                subscriptions.halt(plan.subscription_id, halt)
            if rest is not None:
                cursors.rest(plan.subscription_id, seconds=rest, counts=counts)
            elif waits:
                cursors.wake_up(plan.subscription_id)
        if halt is not None or rest is not None:
            lease.release(delay=IDLE_SECONDS if rest is None else rest)
            return False
        return True

    def _halt(self, lease: Lease, subscription_id: int, reason: str) -> bool:
        with transaction.atomic():
            lease.hold(mark=None)
            subscriptions.halt(subscription_id, reason)
        lease.release(delay=IDLE_SECONDS)
        return False


def _may_send(subscription: Subscription) -> bool:
    if subscription.state != SubscriptionState.ON or subscription.app.paused_at is not None:
        return False
    return not project.current().sending_stopped


def _share_of_calls(plan: SubscriptionPlan) -> int:
    """How many of the App's parallel calls one batch may take: an equal share, one left for people who try things."""
    sharing = Count("subscriptions", filter=Q(subscriptions__state=SubscriptionState.ON))
    app = App.objects.annotate(sharing=sharing).get(pk=plan.app_id)
    return max(1, (app.parallel_calls - 1) // max(1, app.sharing))


def _call(lease: Lease, plan: SubscriptionPlan, rows: Sequence[DueRow], *, calls: int) -> list[Answer]:
    try:
        with connect(plan.app_id) as app:
            app.calls_at_once = calls
            return sending.deliver(cast("ForwardsEvents", app), plan, rows, between=lease.renew)
    except Halt as error:
        outcome = Outcome(OutcomeKind.HALT, error.reason)
    except PluginError as error:
        outcome = Outcome(OutcomeKind.RETRY, error.reason, error.after if isinstance(error, Retry) else None)
    return sending.mark_followers(rows, [outcome] * len(rows))


def _how_long_to_rest(answers: Sequence[Answer], waits: int) -> tuple[float | None, bool]:
    """Seconds in which nothing is sent (None: go on), and whether the next rest is to be longer.

    A destination that says for how long is left alone so long, whichever event it said it of. One that took none of
    several events is down, which is hardly the events' fault.
    """
    asked = [each.outcome for each in answers if each.called]
    afters = [each.after for each in asked if each.kind is OutcomeKind.RETRY and each.after is not None]
    if afters:
        return max(afters), False
    if len(asked) > 1 and all(each.kind is OutcomeKind.RETRY for each in asked):
        return _WAITS[min(waits, len(_WAITS) - 1)] * random.uniform(0.75, 1.25), True  # noqa: S311  not a secret
    return None, False
