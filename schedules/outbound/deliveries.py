"""The ledger of outbound events: what was sent and answered, and what people ask of it. With `owing.py`, which makes
the rows, the only writer of `OutboundDelivery`.

Called by `schedules/outbound/delivering.py` in transactions that hold the subscription's lease, so there is one worker
for each subscription at a time. `subscriptions.py` and people's wish to send again (`replays.py`) go through here too;
these touch no row that is under way.

Events of one profile leave in the order of their ids: nothing is claimed while an earlier one of the same profile
waits, rests or is in doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from psycopg2.extras import execute_values

from core.lib import uuid7
from core.lib.json import loads
from core.work.leases import LEASE_SECONDS
from plugins.contracts import Outcome, OutcomeKind
from schedules.outbound.bodies import IDENTITIES, PERSON, SubscriptionPlan
from schedules.outbound.models import ENDED, DeliveryState, OutboundDelivery
from schedules.payloads import KEYED_PLANS

FIRST_RETRY_SECONDS = 10
LONGEST_RETRY_SECONDS = 3600
_TEXT_LENGTH = 2000
_LOGGED = 10  # attempts that are kept of each delivery, so that it stays below some kilobytes
_LOGGED_LENGTH = 1000  # of each text of an attempt
_FORGOTTEN_AT_ONCE = 20_000

SENDABLE = (*ENDED, DeliveryState.RETRYING)  # what a person may ask for again
UNANSWERED = "A worker ended before the answer came; it was sent again."
MAYBE_TWICE = "A worker ended before the answer came, so it was sent again: it may have arrived twice."


# ---------------------------------------------------------------- sending


@dataclass(frozen=True, slots=True)
class DueRow:
    """A row claimed for sending. `identities` are the profile's unique values as they are now."""

    event: UUID
    profile: UUID
    type: str
    occurred_at: datetime
    body: dict[str, Any]
    identities: dict[str, Any]
    tries: int


# `after` keeps a batch from walking over what was claimed before it. Of one profile either nothing is taken or the
# earliest: an earlier row that is not in the batch holds the later ones back.
_CLAIM = f"""
    with due as materialized (
        select d.event_id from outbound_delivery d
         where d.subscription_id = %(subscription)s and d.next_at is not null and d.event_id > %(after)s
           and d.state in ('owed', 'retrying') and d.next_at <= now()
           and not exists (
               select from outbound_delivery e
                where e.subscription_id = %(subscription)s and e.profile_id = d.profile_id and e.next_at is not null
                  and e.event_id < d.event_id
                  and (e.event_id <= %(after)s or e.state not in ('owed', 'retrying') or e.next_at > now()))
         order by d.event_id limit %(limit)s
    ), t as (
        update outbound_delivery d set state = 'sent', attempt_id = %(attempt)s, sent_at = clock_timestamp()
          from due where d.event_id = due.event_id and d.subscription_id = %(subscription)s
        returning d.event_id, d.profile_id, d.event_type, d.occurred_at, d.body::text as body, d.tries
    )
    select t.event_id, t.profile_id, t.event_type, t.occurred_at, t.body,
           coalesce((select {IDENTITIES} from {PERSON}), '{{}}')::text, t.tries
      from t order by t.event_id
"""

_LOG = "case when jsonb_array_length(d.log) >= %(logged)s then d.log - 0 else d.log end"

# What was not called (it came behind one of the same profile that has to be tried again) keeps its place and costs
# nothing.
_RECORD = f"""
    update outbound_delivery d
       set state = v.state, error = v.error, reply = v.reply, attempt_id = null,
           attempts = d.attempts + v.called::int, tries = d.tries + v.costs::int,
           tried_since = case when v.called then coalesce(d.tried_since, d.sent_at) else d.tried_since end,
           answered_at = case when v.called then clock_timestamp() else d.answered_at end,
           next_at = case when v.state in ('accepted', 'rejected') then null
                          when v.state <> 'retrying' then d.next_at
                          else clock_timestamp() + interval '1 second' * coalesce(v.after::float8,
                               least(%(longest)s, %(first)s * 2 ^ least(d.tries, 20)) * (0.75 + random() / 2)) end,
           log = case when not v.called then d.log else {_LOG} || jsonb_build_object(
               'at', d.sent_at, 'seconds', v.seconds::float8, 'outcome', v.state, 'text', left(v.error, %(length)s),
               'request', left(v.request, %(length)s), 'reply', left(v.reply, %(length)s)) end
      from (values %%s) v (event, state, error, reply, called, costs, after, request, seconds)
     where d.subscription_id = %(subscription)s and d.attempt_id = %(attempt)s and d.event_id = v.event::uuid
"""

_DOUBT = f"""
    update outbound_delivery d
       set state = 'owed', attempt_id = null, attempts = attempts + 1, tried_since = coalesce(tried_since, sent_at),
           warning = case when %(repeatable)s then warning else %(maybe_twice)s end,
           log = {_LOG} || jsonb_build_object('at', sent_at, 'outcome', 'sent', 'text', %(unanswered)s::text)
     where subscription_id = %(subscription)s and next_at is not null and state = 'sent'
       and sent_at <= clock_timestamp() - %(seconds)s * interval '1 second'
"""

_GIVE_UP = """
    update outbound_delivery
       set state = 'given_up', next_at = null, error = %(said)s || error
     where subscription_id = %(subscription)s and event_id = any(%(events)s) and state = 'retrying'
       and tried_since < now() - %(hours)s * interval '1 hour'
"""

_STATES = {
    OutcomeKind.ACCEPTED: DeliveryState.ACCEPTED,
    OutcomeKind.REJECT: DeliveryState.REJECTED,
    OutcomeKind.RETRY: DeliveryState.RETRYING,
    OutcomeKind.HALT: DeliveryState.HALTED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one row. `called` is False when the destination was not asked for it."""

    row: DueRow
    outcome: Outcome
    called: bool = True

    @property
    def state(self) -> DeliveryState:
        """Where the row stands now."""
        return _STATES[self.outcome.kind] if self.called else DeliveryState.OWED


def claim(plan: SubscriptionPlan, *, attempt_id: UUID, after: UUID | None, limit: int) -> list[DueRow]:
    """Mark the next due rows as sent by this attempt; committed before the call is made. In the order to send them."""
    given = {**plan.parameters(), "attempt": attempt_id, "after": after or UUID(int=0), "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
        cursor.execute(_CLAIM, given)
        return [
            DueRow(event, profile, type_, at, loads(body), loads(identities), tries)
            for event, profile, type_, at, body, identities, tries in cursor.fetchall()
        ]


def record(subscription_id: int, *, attempt_id: UUID, answers: Sequence[Answer], all_wait: bool = False) -> None:
    """Store what became of the rows of one attempt. `all_wait`: the subscription rests, so that its rows need not."""
    values = [
        (
            str(answer.row.event),
            answer.state.value,
            answer.outcome.reason[:_TEXT_LENGTH] if answer.called else "",
            answer.outcome.reply[:_TEXT_LENGTH] if answer.called else "",
            answer.called,
            answer.called and answer.outcome.kind is OutcomeKind.RETRY and answer.outcome.after is None,
            0.0 if all_wait else answer.outcome.after,
            answer.outcome.request[:_LOGGED_LENGTH],
            answer.outcome.seconds,
        )
        for answer in answers
    ]
    given: dict[str, Any] = {
        "subscription": subscription_id,
        "attempt": attempt_id,
        "first": FIRST_RETRY_SECONDS,
        "longest": LONGEST_RETRY_SECONDS,
        "logged": _LOGGED,
        "length": _LOGGED_LENGTH,
    }
    with connection.cursor() as cursor:
        statement = cursor.mogrify(_RECORD, given).decode()
        execute_values(cursor.cursor, statement, values, page_size=len(values))
        if again := [answer.row.event for answer in answers if answer.state is DeliveryState.RETRYING]:
            hours = settings.OUTBOUND_GIVE_UP_HOURS
            said = f"Given up after {hours} hour{'s' if hours != 1 else ''}. "
            cursor.execute(_GIVE_UP, {"subscription": subscription_id, "events": again, "hours": hours, "said": said})


def is_unanswered(subscription_id: int) -> bool:
    """Whether something was sent that may still be answered."""
    lately = Now() - timedelta(seconds=LEASE_SECONDS)
    return _unfinished(subscription_id, DeliveryState.SENT).filter(sent_at__gt=lately).exists()


def doubt(subscription_id: int, *, repeatable: bool) -> int:
    """Owe again what a worker that ended had sent; how many rows. The same id goes out, so that tools can tell."""
    with connection.cursor() as cursor:
        cursor.execute(
            _DOUBT,
            {
                "repeatable": repeatable,
                "maybe_twice": MAYBE_TWICE,
                "unanswered": UNANSWERED,
                "subscription": subscription_id,
                "seconds": LEASE_SECONDS,
                "logged": _LOGGED,
            },
        )
        return int(cursor.rowcount)


# ---------------------------------------------------------------- what people and the house ask for


def unhalt(subscription_id: int) -> None:
    """What was halted, or rests after a failure, is due now; its time for giving up begins anew."""
    _unfinished(subscription_id, DeliveryState.HALTED, DeliveryState.RETRYING).update(
        state=DeliveryState.OWED, next_at=Now(), tried_since=None
    )


def skip_unfinished(subscription_id: int) -> int:
    """Never send what is not under way yet; how many."""
    states = (DeliveryState.WAITING, DeliveryState.OWED, DeliveryState.RETRYING, DeliveryState.HALTED)
    return _unfinished(subscription_id, *states).update(state=DeliveryState.SKIPPED, next_at=None)


def owe_again(ids: Collection[tuple[UUID, int]]) -> int:
    """Send these (event, subscription) again, or at once where they are to be tried again; how many."""
    which = Q(pk__in=[])
    for event, subscription in ids:
        which |= Q(event_id=event, subscription_id=subscription)
    rows = OutboundDelivery.objects.filter(which, state__in=SENDABLE, body__isnull=False)
    return rows.update(state=DeliveryState.OWED, next_at=Now(), tries=0, tried_since=None)


def owe_page_again(found: QuerySet[OutboundDelivery], *, after: UUID, limit: int) -> tuple[UUID | None, int]:
    """Send the next of these again, behind an event: the last one (None: there is none), and how many.

    One that a worker sends at this moment is passed over.
    """
    page = found.filter(event_id__gt=after, state__in=SENDABLE, body__isnull=False).order_by("event_id")
    locked = page.select_for_update(no_key=True, skip_locked=True).values_list("event_id", "subscription_id")
    ids = list(locked[:limit])
    if not ids:
        return None, 0
    [subscription_id] = {subscription for _, subscription in ids}
    rows = OutboundDelivery.objects.filter(subscription_id=subscription_id, event_id__in=[event for event, _ in ids])
    return ids[-1][0], rows.update(state=DeliveryState.OWED, next_at=Now(), tries=0, tried_since=None)


def withdraw(profile_ids: Collection[UUID]) -> int:
    """Never send what is owed of people who are being erased, and empty what was sent; how many are dropped.

    What is under way is left to its answer, and goes with the rest.
    """
    theirs = OutboundDelivery.objects.filter(profile_id__in=profile_ids)
    dropped = theirs.filter(next_at__isnull=False).exclude(state=DeliveryState.SENT).delete()[0]
    theirs.filter(next_at=None).update(body=None, error="", reply="", warning="", log=[])
    return dropped


def forget_people(profile_ids: Collection[UUID], *, limit: int) -> int:
    """Delete some of the deliveries of people who are being erased; how many. In the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from outbound_delivery d using (select event_id, subscription_id from outbound_delivery"
            " where profile_id = any(%s) limit %s) gone"
            " where d.event_id = gone.event_id and d.subscription_id = gone.subscription_id",
            [list(profile_ids), limit],
        )
        return int(cursor.rowcount)


def delete_of(subscription_id: int) -> None:
    """A subscription goes, and its log with it."""
    OutboundDelivery.objects.filter(subscription_id=subscription_id).delete()


def forget(*, older_than: timedelta) -> int:
    """Delete what ended and whose event came before then; how many rows. In steps, each of its own."""
    forgotten = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "delete from outbound_delivery where ctid = any(array("
                " select ctid from outbound_delivery where event_id < %s and next_at is null"
                " order by event_id limit %s))",
                [_lowest_before(older_than), _FORGOTTEN_AT_ONCE],
            )
            forgotten += int(cursor.rowcount)
            if cursor.rowcount < _FORGOTTEN_AT_ONCE:
                return forgotten


def _lowest_before(older_than: timedelta) -> UUID:
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        return uuid7.lowest(cursor.fetchone()[0] - older_than)


def _unfinished(subscription_id: int, *states: DeliveryState) -> QuerySet[OutboundDelivery]:
    return OutboundDelivery.objects.filter(subscription_id=subscription_id, next_at__isnull=False, state__in=states)
