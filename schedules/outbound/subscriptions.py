"""Subscriptions: made, changed, paused, resumed, deleted. The only writer of `Subscription` and its parts.

Work on a subscription (`delivering.py`) is one piece of `Work` that lasts as long as the subscription. Paused, events
go on being owed; whoever resumes decides whether they are sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps_connectors.models import App
from core.accounts import audit
from core.accounts.actors import SYSTEM, Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.lib.storable import find_problem
from core.work import leases
from core.work.wake import wake
from groups.models import Group
from groups.reading import write_conditions, write_tree
from plugins import registry
from plugins.base import ForwardsEvents
from profiles.models import ProfilePropertyRule, RuleState
from schedules.models import Direction, Schedule
from schedules.outbound import conditions, cursors, deliveries
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import (
    Match,
    Subscription,
    SubscriptionGroup,
    SubscriptionProperty,
    SubscriptionRuleUse,
    SubscriptionState,
)

KIND = "outbound"  # of the work on subscriptions
REPLAY = "replay"  # of the work of `replays.py`
MOST_SENT_AGAIN = 1000
_LONGEST = 200


def create_subscription(data: SubscriptionData, *, actor: Actor) -> Subscription:
    """Subscribe an App to the events that are processed from now on; raises `InvalidInput` with what to mend."""
    data, rules = check_data(data)
    try:
        with transaction.atomic():
            subscription = Subscription.objects.create(**_plain(data))
            _write_parts(subscription, data, rules)
            cursors.start(subscription.pk)
            leases.enqueue(kind=KIND, subject=str(subscription.pk))
            audit.record("subscription.create", subscription, after=asdict(data), actor=actor)
    except IntegrityError as error:
        raise _explain(error) from None
    return subscription


def update_subscription(subscription_id: int, data: SubscriptionData, *, actor: Actor) -> Subscription:
    """Put `data` in place of what is there, for the events that are read from now on. What is owed stays as it is."""
    data, rules = check_data(data)
    try:
        with transaction.atomic():
            subscription = lock(subscription_id)
            before = read_data(subscription)
            if before.app_id != data.app_id:
                raise InvalidInput(
                    gettext("A subscription stays with its App: make a new one for another App."),
                    {"app_id": gettext("Fixed.")},
                )
            for name, value in _plain(data).items():
                setattr(subscription, name, value)
            subscription.save()
            for parts in (subscription.groups, subscription.properties, subscription.rule_uses):
                parts.all().delete()
            _write_parts(subscription, data, rules)
            audit.record("subscription.update", subscription, before=asdict(before), after=asdict(data), actor=actor)
    except IntegrityError as error:
        raise _explain(error) from None
    return subscription


def delete_subscription(subscription_id: int, *, actor: Actor) -> None:
    """Delete a subscription with its log; what is under way may still arrive."""
    with transaction.atomic():
        for kind in (KIND, REPLAY):  # first, as workers lock it first
            leases.cancel(kind, str(subscription_id))
        subscription = lock(subscription_id)
        deliveries.delete_of(subscription_id)
        audit.record("subscription.delete", subscription, before=asdict(read_data(subscription)), actor=actor)
        subscription.delete()


def pause_subscription(subscription_id: int, *, actor: Actor) -> Subscription:
    """Send nothing until it is resumed; raises `Refused` when it is paused already."""
    with transaction.atomic():
        subscription = lock(subscription_id)
        if subscription.state == SubscriptionState.PAUSED:
            raise Refused(gettext("“%(subscription)s” is paused already.") % {"subscription": subscription})
        _pause(subscription, "")
        audit.record("subscription.pause", subscription, actor=actor)
    return subscription


def resume_subscription(subscription_id: int, *, send_missed: bool = True, actor: Actor) -> Subscription:
    """Send again; raises `Refused` when it is not paused. Without `send_missed` what waits is skipped for good."""
    with transaction.atomic():
        subscription = lock(subscription_id)
        if subscription.state == SubscriptionState.ON:
            raise Refused(gettext("“%(subscription)s” is not paused.") % {"subscription": subscription})
        before = {"paused_reason": subscription.paused_reason}
        skipped = 0 if send_missed else deliveries.skip_unfinished(subscription_id)
        deliveries.unhalt(subscription_id)
        cursors.wake_up(subscription_id)
        subscription.state, subscription.paused_reason, subscription.paused_at = SubscriptionState.ON, "", None
        subscription.save(update_fields=["state", "paused_reason", "paused_at", "updated_at"])
        audit.record("subscription.resume", subscription, before=before, after={"skipped": skipped}, actor=actor)
        look_at([subscription_id])
    return subscription


def halt(subscription_id: int, reason: str) -> None:
    """The destination says that a person has to mend something first; in the transaction of the answer."""
    subscription = lock(subscription_id)
    if subscription.state == SubscriptionState.ON:
        _pause(subscription, reason)
        audit.record("subscription.halt", subscription, after={"paused_reason": reason}, actor=SYSTEM)


def send_again(ids: Collection[tuple[UUID, int]], *, actor: Actor) -> int:
    """Send these deliveries, as (event, subscription), again under their own ids; how many.

    Those under way are left alone. A tool that tells a repetition by its id takes each once all the same.
    """
    if len(ids) > MOST_SENT_AGAIN:
        raise InvalidInput(
            gettext("At most %(most_sent_again)s deliveries are sent again at a time: choose fewer.")
            % {"most_sent_again": f"{MOST_SENT_AGAIN:,}"}
        )
    with transaction.atomic():
        count = deliveries.owe_again(ids)
        concerned = sorted({subscription for _, subscription in ids})
        for subscription in Subscription.objects.filter(pk__in=concerned):
            events = [str(event) for event, of in ids if of == subscription.pk]
            audit.record("subscription.send_again", subscription, after={"events": events[:50]}, actor=actor)
        look_at(concerned)
    return count


def read_data(subscription: Subscription) -> SubscriptionData:
    """What a person decided of this subscription, to be changed with `dataclasses.replace`."""
    return SubscriptionData(
        name=subscription.name,
        app_id=subscription.app_id,
        match=subscription.match,
        value=subscription.value,
        groups=tuple(each.group_id for each in sorted(subscription.groups.all(), key=lambda each: each.pk)),
        properties=tuple(subscription.properties.order_by("pk").values_list("rule__key", flat=True)),
        follows=subscription.follows_id,
        where=tuple(subscription.where),
        people=subscription.people,
        options=subscription.options,
    )


def check_data(data: SubscriptionData) -> tuple[SubscriptionData, dict[str, ProfilePropertyRule]]:
    """The data as they would be stored, and the rules of its properties by key. Raises `InvalidInput`."""
    data = replace(data, name=data.name.strip(), value="" if data.match == Match.EVERY else data.value.strip())
    problems = dict(_find_problems(data))
    rules = {
        rule.key: rule
        for rule in ProfilePropertyRule.objects.filter(state=RuleState.READY, key__in=set(data.properties))
    }
    if unknown := sorted(set(data.properties) - rules.keys()):
        problems["properties"] = gettext("There is no property %(unknown)s. Choose among those that are in use.") % {
            "unknown": ", ".join(unknown)
        }
    problems |= conditions.find_problems(data.where, data.people)
    if problems:
        raise InvalidInput(" ".join(problems.values()), problems)
    checked = replace(
        data,
        properties=tuple(dict.fromkeys(data.properties)),
        groups=tuple(dict.fromkeys(data.groups)),
        where=tuple(write_conditions(data.where)),
        people=write_tree(data.people) if data.people else None,
    )
    return checked, rules


# ---------------------------------------------------------------- inside


def _find_problems(data: SubscriptionData) -> list[tuple[str, str]]:
    problems = []
    if not data.name or len(data.name) > _LONGEST:
        problems.append(
            ("name", gettext("Give the subscription a name of at most %(longest)s characters.") % {"longest": _LONGEST})
        )
    if data.match not in Match.values:
        problems.append(("match", gettext("Choose events of a type, events that have a key, or every event.")))
    elif data.match != Match.EVERY and not 0 < len(data.value) <= _LONGEST:
        what = (
            gettext("the type of the events") if data.match == Match.TYPE else gettext("the key that the events have")
        )
        problems.append(
            (
                "value",
                gettext("Name %(what)s, with at most %(longest)s characters.") % {"what": what, "longest": _LONGEST},
            )
        )
    problems += [
        (name, gettext("The %(name)s %(problem)s.") % {"name": name, "problem": problem})
        for name in ("name", "value", "options")
        if (problem := find_problem(getattr(data, name)))
    ]
    if problem := _find_problem_of_app(data.app_id):
        problems.append(("app_id", problem))
    known = Group.objects.filter(pk__in=data.groups).values_list("pk", flat=True)
    if missing := sorted(set(data.groups) - set(known)):
        problems.append(("groups", gettext("There is no group %(map)s.") % {"map": ", ".join(map(str, missing))}))
    if data.follows is not None:
        problems += _find_problems_of_following(data, data.follows)
    return problems


def _find_problem_of_app(app_id: int) -> str:
    app = App.objects.filter(pk=app_id).first()
    if app is None:
        return gettext("Choose an App that takes events.")
    try:
        kind = registry.get(app.type)
    except registry.UnknownApp as error:
        return str(error)
    return (
        ""
        if issubclass(kind, ForwardsEvents)
        else gettext("“%(app)s” does not take events: choose another App.") % {"app": app}
    )


def _find_problems_of_following(data: SubscriptionData, schedule_id: int) -> list[tuple[str, str]]:
    followed = Schedule.objects.filter(pk=schedule_id, direction=Direction.EXPORT, app_id=data.app_id).exists()
    if not followed:
        return [("follows", gettext("Choose an export schedule of the same App to follow."))]
    return [
        (
            name,
            gettext("The %(name)s are those of the export that is followed: give none, or follow none.")
            % {"name": name},
        )
        for name in ("groups", "properties")
        if getattr(data, name)
    ]


def _plain(data: SubscriptionData) -> dict[str, Any]:
    return {
        "name": data.name,
        "app_id": data.app_id,
        "match": data.match,
        "value": data.value,
        "follows_id": data.follows,
        "where": list(data.where),
        "people": data.people,
        "options": dict(data.options),
    }


def _write_parts(subscription: Subscription, data: SubscriptionData, rules: Mapping[str, ProfilePropertyRule]) -> None:
    SubscriptionGroup.objects.bulk_create(
        SubscriptionGroup(subscription=subscription, group_id=group_id) for group_id in data.groups
    )
    SubscriptionProperty.objects.bulk_create(
        SubscriptionProperty(subscription=subscription, rule=rules[key]) for key in data.properties
    )
    SubscriptionRuleUse.objects.bulk_create(
        SubscriptionRuleUse(subscription=subscription, rule_id=use.rule_id, group_id=use.group_id, leaf=use.leaf)
        for use in conditions.uses_of(data.people)
    )


def _pause(subscription: Subscription, reason: str) -> None:
    subscription.state, subscription.paused_reason = SubscriptionState.PAUSED, reason
    subscription.paused_at = timezone.now()
    subscription.save(update_fields=["state", "paused_reason", "paused_at", "updated_at"])


def look_at(subscription_ids: Collection[int]) -> None:
    """Let a worker see what these are owed, in the caller's transaction."""
    leases.make_due(KIND, [str(each) for each in subscription_ids])
    wake("outbound")


def lock(subscription_id: int) -> Subscription:
    """The subscription, which nobody else changes until the transaction ends. Raises NotFound."""
    found = Subscription.objects.select_for_update(no_key=True, of=("self",)).filter(pk=subscription_id).first()
    if found is None:
        raise NotFound(gettext("There is no subscription %(subscription_id)s.") % {"subscription_id": subscription_id})
    return found


def _explain(error: IntegrityError) -> Exception:
    if "subscription_name_unique" in str(error):
        return InvalidInput(
            gettext("Another subscription has this name: choose a different one."), {"name": gettext("Already in use.")}
        )
    return error
