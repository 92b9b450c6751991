"""Which events concern a subscription, whom they are about, and the JSON that goes out: as SQL for many at once.

The pieces are put together by `owing.py` (which owes) and `trying.py` (which shows). Nothing here writes.

Each piece reads an event as `t` (id, profile_id, type, payload) and its profile as `p` (guid, properties, created_at,
updated_at).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.models import ProfilePropertyRule, RuleState
from schedules.models import Schedule
from schedules.outbound.conditions import Conditions, compile_for
from schedules.outbound.models import Match, Subscription


@dataclass(frozen=True, slots=True)
class SubscriptionData:
    """What a person decides of a subscription.

    `match` is "type", "key" or "every"; `value` the type or the key. `groups` are ids: the profile has to be in one of
    them, if there are any. `properties` are property keys, in the order in which they go out. With `follows`, the id of
    an export schedule of the same App, both are that schedule's. `where` and `people` are conditions on the payload and
    on the person, see `conditions.py`. `options` are for the plugin.
    """

    name: str
    app_id: int
    match: str
    value: str = ""
    groups: tuple[int, ...] = ()
    properties: tuple[str, ...] = ()
    follows: int | None = None
    where: tuple[Mapping[str, Any], ...] = ()
    people: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubscriptionPlan:
    """A subscription as it is at the moment. `properties` and `identities` are property keys.

    `group_ids` None asks for no group; an empty tuple lets nobody through (an export that names no group).
    `conditions` are as of the moment at which the plan was made.
    """

    subscription_id: int
    app_id: int
    match: str
    value: str
    group_ids: tuple[int, ...] | None
    properties: tuple[str, ...]
    identities: tuple[str, ...]
    conditions: Conditions = field(default_factory=Conditions)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def fits(self) -> str:
        """Whether an event goes out: SQL over an event `t` and its profile `p`."""
        return f"({IS_IN} and {self.conditions.sql})"

    def parameters(self) -> dict[str, Any]:
        """What the pieces of SQL refer to."""
        return {
            "subscription": self.subscription_id,
            "match": self.match,
            "value": self.value,
            "anyone": self.group_ids is None,
            "groups": list(self.group_ids or ()),
            "properties": list(self.properties),
            "identities": list(self.identities),
            **self.conditions.parameters,
        }


def load_plan(subscription: Subscription) -> SubscriptionPlan:
    """Read what a subscription sends now; where it follows an export, what that sends now.

    Raises InvalidInput when its conditions make no sense any more.
    """
    own_groups = subscription.groups.order_by("group_id").values_list("group_id", flat=True)
    own_keys = subscription.properties.order_by("pk").values_list("rule__key", flat=True)
    return _make_plan(
        subscription_id=subscription.pk,
        app_id=subscription.app_id,
        match=subscription.match,
        value=subscription.value,
        followed=subscription.follows,
        groups=() if subscription.follows_id else tuple(own_groups),
        properties=() if subscription.follows_id else tuple(own_keys),
        conditions=compile_for(subscription.where, subscription.people),
        options=subscription.options,
    )


def plan_of(data: SubscriptionData) -> SubscriptionPlan:
    """The plan of a draft, which was checked."""
    return _make_plan(
        subscription_id=0,
        app_id=data.app_id,
        match=data.match,
        value=data.value,
        followed=Schedule.objects.filter(pk=data.follows).first() if data.follows else None,
        groups=data.groups,
        properties=data.properties,
        conditions=compile_for(data.where, data.people),
        options=data.options,
    )


def _make_plan(
    *,
    subscription_id: int,
    app_id: int,
    match: str,
    value: str,
    followed: Schedule | None,
    groups: tuple[int, ...],
    properties: tuple[str, ...],
    conditions: Conditions,
    options: Mapping[str, Any],
) -> SubscriptionPlan:
    group_ids = groups or None
    if followed is not None:
        properties = tuple(followed.fields.order_by("pk").values_list("rule__key", flat=True))
        asked = tuple(followed.groups.order_by("group_id").values_list("group_id", flat=True))
        group_ids = None if followed.everyone else asked
    return SubscriptionPlan(
        subscription_id=subscription_id,
        app_id=app_id,
        match=match,
        value=value,
        group_ids=group_ids,
        properties=tuple(dict.fromkeys(properties)),
        identities=identity_keys(),
        conditions=conditions,
        options=dict(options),
    )


def identity_keys() -> tuple[str, ...]:
    """The keys that say who an event is about: those of unique rules in use, the lowest rank first."""
    unique = ProfilePropertyRule.objects.filter(is_unique=True, state=RuleState.READY)
    return tuple(unique.order_by("identity_rank", "pk").values_list("key", flat=True))


# An import's rows have all columns, so a key counts only when there is something under it.
MATCHES = f"""
    case %(match)s
        when '{Match.TYPE.value}' then t.type = %(value)s
        when '{Match.KEY.value}' then coalesce(t.payload ->> %(value)s, '') <> ''
        else true
    end
"""

# Whoever was merged into someone else goes by that profile. For someone who is being erased there is none.
PERSON = """
    lateral (
        with recursive chain (guid, merged_into, properties, created_at, updated_at) as (
            select guid, merged_into, properties, created_at, updated_at from profile where guid = t.profile_id
            union all
            select next.guid, next.merged_into, next.properties, next.created_at, next.updated_at
              from chain c join profile next on next.guid = c.merged_into
        ) select guid, properties, created_at, updated_at from chain
           where merged_into is null and not exists (select from erased_profile x where x.profile_id = chain.guid)
    ) p
"""

IS_IN = """
    (%(anyone)s or exists (
        select from group_member m where m.group_id = any(%(groups)s::bigint[]) and m.profile_id = p.guid))
"""

# The payload's values are put through as text, so that nothing of them is typed again and their order stays. Under
# `profile`: the identities that the event brought, as the profile has them, then what was chosen.
BODY = """
    (select ('{'
             || coalesce(string_agg(to_json(k.key)::text || ':' || k.value::text, ',' order by k.place)
                             filter (where k.key <> all(%(identities)s::text[]) and k.key <> 'profile') || ',', '')
             || '"profile":{'
             || coalesce((select string_agg(to_json(c.key)::text || ':'
                                            || coalesce((p.properties -> c.key)::text, 'null'), ',' order by c.place)
                            from (select key, min(place) as place
                                    from (select i.key, i.place
                                            from json_each(t.payload) with ordinality i (key, value, place)
                                           where i.key = any(%(identities)s::text[])
                                          union all
                                          select w.key, w.place + 1000000
                                            from unnest(%(properties)s::text[]) with ordinality w (key, place)) named
                                   group by key) c), '')
             || '}}')::json
       from json_each(t.payload) with ordinality k (key, value, place))
"""

# The profile's unique values, by which a tool finds its own record of the person.
IDENTITIES = """
    (select coalesce(jsonb_object_agg(u.key, p.properties -> u.key), '{}')
       from unnest(%(identities)s::text[]) u(key) where p.properties -> u.key is not null)
"""
