"""Trying a subscription: the JSON it would send for the last event it concerns, and sending that as a test.

A test event carries `"test": true` at the end of its body and has an id of its own. It is no delivery: its answer goes
to the person who asked and is in no log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from apps_connectors.connections import connect
from apps_connectors.slots import slot
from core.accounts import audit
from core.accounts.actors import Actor
from core.lib.errors import NotFound, Refused
from core.lib.json import dumps, loads
from plugins.base import ForwardsEvents
from plugins.contracts import Halt, OutboundItem, Outcome, OutcomeKind, PluginError, Reject
from schedules.outbound.bodies import (
    BODY,
    IDENTITIES,
    MATCHES,
    PERSON,
    SubscriptionData,
    SubscriptionPlan,
    load_plan,
    plan_of,
)
from schedules.outbound.models import Match, Subscription
from schedules.outbound.subscriptions import check_data
from schedules.payloads import KEYED_PLANS

LOOKED_AT = 20_000  # the latest events that are searched for one that matches
MATCHING = 100  # of the events of its type or key, how many are tried on the groups and conditions

NOTHING_FITS = gettext_noop(
    "None of the latest such events fits the groups and conditions, so this one would not be sent."
)
SAMPLE = gettext_noop("No such event is among the latest %(count)s, so this is a made-up one.")


@dataclass(frozen=True, slots=True)
class Preview:
    """What would go out. `event` None: there is none yet, and `body` is a sample; `note` says so to people.

    Of the latest `looked_at` events of its type or key, at most `MATCHING`, `fitting` would be sent.
    """

    body: dict[str, Any]
    event: UUID | None
    type: str
    occurred_at: datetime
    profile: UUID | None
    identities: dict[str, Any]
    would_send: bool
    note: str = ""
    looked_at: int = 0
    fitting: int = 0


@dataclass(frozen=True, slots=True)
class TestAnswer:
    """What the destination answered to a test event, and what it was sent."""

    outcome: str  # accepted, retry, reject, halt
    reason: str
    reply: str
    request: str
    seconds: float
    body: dict[str, Any]
    event: UUID | None
    __test__ = False  # not a pytest class


_EVENTS = f"""
    with t as materialized (
        select * from (
            select id, profile_id, type, occurred_at, payload from event
             where state = 'processed' and profile_id is not null order by id desc limit %(looked_at)s) t
         where {MATCHES} limit %(matching)s
    )
"""
_SAMPLE = """
    with t as (
        select null::uuid as id, g.guid as profile_id, %(type)s::text as type, now() as occurred_at,
               %(payload)s::json as payload
          from (select coalesce(
                    (select m.profile_id from group_member m where m.group_id = any(%(groups)s::bigint[]) limit 1),
                    (select guid from profile where merged_into is null order by guid desc limit 1)) as guid) g
    )
"""
_SHOW = f"""
    , known as materialized (
        select t.*, p.guid, p.properties, {{fits}} as is_in from t cross join {PERSON}
    )
    select t.id, t.type, t.occurred_at, t.guid, ({BODY})::text, ({IDENTITIES})::text, t.is_in,
           (select count(*) from known), (select count(*) from known where is_in)
      from known t cross join lateral (select t.properties) p
     order by t.is_in desc, t.id desc limit 1
"""


def preview(data: SubscriptionData) -> Preview:
    """What this subscription, saved or not, would send for the last event that concerns it. Raises InvalidInput."""
    data, _ = check_data(data)
    return _preview(plan_of(data))


def send_test_event(subscription_id: int, *, actor: Actor) -> TestAnswer:
    """Send the last event that concerns the subscription, or a sample, marked as a test; the answer at once.

    Works while the subscription is paused. Raises `Refused` when the App is busy or paused.
    """
    subscription = Subscription.objects.select_related("app", "follows").filter(pk=subscription_id).first()
    if subscription is None:
        raise NotFound(gettext("There is no subscription %(subscription_id)s.") % {"subscription_id": subscription_id})
    if subscription.app.paused_at is not None:
        raise Refused(gettext("The App “%(app)s” is paused: resume it first.") % {"app": subscription.app})
    plan = load_plan(subscription)
    shown = _preview(plan)
    body = {**shown.body, "test": True}
    item = OutboundItem(
        id=f"test-{uuid4()}",
        type=shown.type,
        occurred_at=shown.occurred_at,
        body=body,
        profile=str(shown.profile or ""),
        identities=shown.identities,
        is_test=True,
        options=plan.options,
    )
    began = time.monotonic()
    outcome = _send(plan.app_id, item)
    answer = TestAnswer(
        outcome=outcome.kind.value,
        reason=outcome.reason,
        reply=outcome.reply,
        request=outcome.request,
        seconds=time.monotonic() - began,
        body=body,
        event=shown.event,
    )
    with transaction.atomic():
        audit.record("subscription.test", subscription, after={"outcome": answer.outcome}, actor=actor)
    return answer


def _send(app_id: int, item: OutboundItem) -> Outcome:
    with slot(app_id) as is_free:
        if not is_free:
            raise Refused(gettext("All calls that this App allows at the same time are in use: try again in a moment."))
        try:
            with connect(app_id) as app:
                answers = list(cast("ForwardsEvents", app).forward([item]))
        except Halt as error:
            return Outcome(OutcomeKind.HALT, error.reason)
        except Reject as error:
            return Outcome(OutcomeKind.REJECT, error.reason)
        except PluginError as error:
            return Outcome(OutcomeKind.RETRY, error.reason)
    return answers[0] if answers else Outcome(OutcomeKind.RETRY, gettext("The plugin did not answer."))


def _say_sample() -> str:
    return gettext(SAMPLE) % {"count": f"{LOOKED_AT:,}"}


def _preview(plan: SubscriptionPlan) -> Preview:
    given = {**plan.parameters(), "looked_at": LOOKED_AT, "matching": MATCHING}
    if row := _ask(plan, _EVENTS, given):
        is_in = row[6]
        return _read(row, would_send=is_in, note="" if is_in else gettext(NOTHING_FITS))
    type_ = plan.value if plan.match == Match.TYPE else ""
    payload: dict[str, Any] = dict.fromkeys(plan.identities[:1])
    if plan.match == Match.KEY:
        payload[plan.value] = "an example"
    if row := _ask(plan, _SAMPLE, {**given, "type": type_, "payload": dumps(payload)}):
        return _read(row, would_send=False, note=_say_sample())
    nothing = dict.fromkeys((*plan.identities[:1], *plan.properties))
    body = {key: value for key, value in payload.items() if key not in plan.identities}
    return Preview({**body, "profile": nothing}, None, type_, timezone.now(), None, {}, False, _say_sample())


def _ask(plan: SubscriptionPlan, events: str, given: dict[str, Any]) -> Any:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(KEYED_PLANS)
        cursor.execute(events + _SHOW.replace("{fits}", plan.fits), given)
        return cursor.fetchone()


def _read(row: Any, *, would_send: bool, note: str) -> Preview:
    event, type_, at, profile, body, identities, _, looked_at, fitting = row
    if event is None:
        looked_at = fitting = 0
    return Preview(
        body=loads(body),
        event=event,
        type=type_,
        occurred_at=at,
        profile=profile,
        identities=loads(identities),
        would_send=would_send,
        note=note,
        looked_at=looked_at,
        fitting=fitting,
    )
