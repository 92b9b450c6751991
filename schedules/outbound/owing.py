"""What each subscription is owed: a row of the ledger for every event that concerns it, with its body.

Called by `schedules/outbound/delivering.py` in transactions that hold the subscription's lease, and by `replays.py` in
those that hold a replay's. With `deliveries.py`, which takes over from there, the only writer of `OutboundDelivery`.

An event is owed once, by the primary key. Its body is stored with it and never changes, so whatever is sent again is
the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from core.lib import uuid7
from profiles import hydration_retries
from schedules.outbound.bodies import BODY, MATCHES, PERSON, SubscriptionPlan
from schedules.payloads import KEYED_PLANS

READ_AT_ONCE = 2000  # events of one read; a single transaction may hold more, and is never split
RELEASED_AT_ONCE = 1000
_LOOK_AGAIN_SECONDS = 5  # behind the next try to get a profile's data

LATE = "Some of the profile's data could not be refreshed in time. "

_COLUMNS = (
    "event_id, subscription_id, profile_id, event_type, occurred_at, body, state, warning, created_at, waits_since,"
    " next_at, attempts, tries, error, reply, log"
)

# `horizon`, `ahead` and `cut` as in `schedules/cursor.py`: complete transactions only, in one snapshot. An event whose
# profile has a hydration retry open is owed without a body; its groups and conditions are asked when the body is made.
_OWE = f"""
    with horizon as materialized (
        select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as hi
    ), ahead as materialized (
        select xid from event where xid >= %(mark)s and xid < (select hi from horizon) order by xid limit %(limit)s + 1
    ), bound as materialized (
        select case
            when count(*) <= %(limit)s then (select hi from horizon)
            when max(xid) > min(xid) then max(xid)
            else max(xid) + 1
        end as cut from ahead
    ), t as materialized (
        select t.id, t.profile_id, t.type, t.occurred_at, t.payload
          from event t
         where {{which}} and t.state = 'processed' and t.profile_id is not null and {MATCHES}
    ), owed as (
        insert into outbound_delivery ({_COLUMNS})
        select t.id, %(subscription)s, p.guid, t.type, t.occurred_at,
               case when h.since is null then {BODY} end,
               case when h.since is null then 'owed' else 'waiting' end,
               '', clock_timestamp(), h.since,
               case when h.since is null then now() else h.next_at + %(again)s * interval '1 second' end,
               0, 0, '', '', '[]'
          from t
         cross join {PERSON}
          left join hydration_retry h on h.profile_id = p.guid
         where h.since is not null or {{fits}}
        on conflict do nothing
        returning 1
    )
    select (select cut from bound), (select hi from horizon), (select count(*) from owed)
"""
_BY_NUMBER = "t.xid >= %(mark)s and t.xid < (select cut from bound)"
_BY_TIME = "t.id >= %(since)s"
_BY_ID = "t.id > %(after)s and t.id <= %(last)s"

# Three things happen to rows that wait for their profile's data: it is still asked for; there is nobody to send them
# for; or they get their body.
_RELEASE = f"""
    with due as materialized (
        select d.event_id, d.waits_since from outbound_delivery d
         where d.subscription_id = %(subscription)s and d.next_at is not null and d.state = 'waiting'
           and d.next_at <= now()
         order by d.event_id limit %(limit)s
    ), t as materialized (
        select e.id, e.profile_id, e.type, e.payload, e.error, due.waits_since
          from due join event e on e.id = due.event_id
    ), known as materialized (
        select t.id, p.guid, h.next_at,
               h.since is not null and t.waits_since > now() - %(patience)s * interval '1 hour' as waits,
               case when h.since is not null or t.waits_since <= now() - %(patience)s * interval '1 hour'
                    then %(late)s || t.error else '' end as warning,
               case when {{fits}} then {BODY} end as body
          from t cross join {PERSON} left join hydration_retry h on h.profile_id = p.guid
    ), later as (
        update outbound_delivery d set next_at = k.next_at + %(again)s * interval '1 second'
          from known k where k.waits and d.event_id = k.id and d.subscription_id = %(subscription)s
    ), nobody as (
        delete from outbound_delivery d using due
         where d.event_id = due.event_id and d.subscription_id = %(subscription)s
           and not exists (select from known k where k.id = due.event_id and (k.waits or k.body is not null))
    ), ready as (
        update outbound_delivery d
           set body = k.body, state = 'owed', profile_id = k.guid, warning = k.warning, next_at = now()
          from known k
         where not k.waits and k.body is not null and d.event_id = k.id and d.subscription_id = %(subscription)s
    )
    select count(*) from due
"""


@dataclass(frozen=True, slots=True)
class Read:
    """One read of the events: every transaction below `mark` is taken."""

    mark: int
    more: bool
    owed: int


def owe_new(plan: SubscriptionPlan, *, mark: int, limit: int = READ_AT_ONCE) -> Read:
    """Owe the events that concern the subscription among the next ones from `mark` on."""
    return _owe(plan, _BY_NUMBER, mark=mark, limit=limit)


def owe_since(plan: SubscriptionPlan, at: datetime) -> Read:
    """Owe what came since a time and is not in the ledger yet: after a move to another database server."""
    return _owe(plan, _BY_TIME, mark=2**62, limit=0, since=uuid7.lowest(at))


def owe_past(plan: SubscriptionPlan, *, after: UUID, last: UUID) -> int:
    """Owe what is not in the ledger yet of the events behind one id, up to another; how many."""
    return _owe(plan, _BY_ID, mark=2**62, limit=0, after=after, last=last).owed


def _owe(plan: SubscriptionPlan, which: str, *, mark: int, limit: int, **more: Any) -> Read:
    given = {**plan.parameters(), "mark": mark, "limit": limit, "again": _LOOK_AGAIN_SECONDS, **more}
    with connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
        cursor.execute(_OWE.replace("{which}", which).replace("{fits}", plan.fits), given)
        cut, horizon, owed = cursor.fetchone()
    if which != _BY_NUMBER:
        return Read(mark=int(horizon), more=False, owed=int(owed))
    return Read(mark=max(mark, int(cut)), more=int(cut) < int(horizon), owed=int(owed))


def release_waiting(plan: SubscriptionPlan) -> bool:
    """Give a body to what waited for its profile's data; whether there may be more to look at."""
    given = {
        **plan.parameters(),
        "limit": RELEASED_AT_ONCE,
        "again": _LOOK_AGAIN_SECONDS,
        "patience": hydration_retries.GIVE_UP_AFTER_HOURS,
        "late": LATE,
    }
    with connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
        cursor.execute(_RELEASE.replace("{fits}", plan.fits), given)
        return int(cursor.fetchone()[0]) == RELEASED_AT_ONCE
