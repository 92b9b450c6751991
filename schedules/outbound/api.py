"""Subscriptions and deliveries over HTTP. See `schedules/outbound/api_urls.py` for the addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.auth import actor_of
from core.rest.endpoint import Endpoint, operation, scopes_of
from core.rest.paging import answer_page
from core.rest.reading import Body, PageQuery, read_body, read_query
from groups.reading import MAX_CONDITIONS
from plugins.contracts import OutcomeKind
from schedules.outbound import queries, subscriptions, trying
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import DeliveryState, Match, OutboundDelivery, Subscription, SubscriptionState
from schedules.outbound.queries import Wanted
from schedules.outbound.subscriptions import MOST_SENT_AGAIN

_LARGEST_ID = 2**63 - 1
_DELIVERY_ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[1-9][0-9]{0,17}$"
_MATCH = "Events of a type, those that have a value under a key, or every event of a person."
_VALUE = "The type or the key; empty for every event."
_GROUPS = "The numbers of groups, in one of which the person has to be; none: everyone's events."
_PROPERTIES = "The keys of the properties that go along under `profile`, in this order."
_FOLLOWS = "An export of the same App whose groups and properties are used instead, as they are at the time."
_WHERE = (
    "Conditions on the payload, all of which have to hold: as under `where` of a group's rule about events, such as"
    ' {"key": "total", "type": "number", "operator": "greater_than", "value": 10}.'
)
_PEOPLE = (
    "Rules about the person, in the form of a group's rules, without what someone did; null: none. They are asked once"
    " the person is filled in."
)
_OPTIONS = "What the App's plugin takes, such as the audience's list_id at Mailchimp."


# ---------------------------------------------------------------- subscriptions


class SubscriptionAnswer(serializers.Serializer[Subscription]):
    """Events that an App wants, and what of the profile goes with them."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    app_id = serializers.IntegerField()
    match = serializers.ChoiceField(Match.choices, help_text=_MATCH)
    value = serializers.CharField(allow_blank=True, help_text=_VALUE)
    groups = serializers.ListField(child=serializers.IntegerField(), help_text=_GROUPS)
    properties = serializers.ListField(child=serializers.CharField(), help_text=_PROPERTIES)
    follows = serializers.IntegerField(allow_null=True, help_text=_FOLLOWS)
    where = serializers.ListField(child=serializers.DictField(), help_text=_WHERE)
    people = serializers.DictField(allow_null=True, help_text=_PEOPLE)
    options = serializers.DictField(help_text=_OPTIONS)
    state = serializers.ChoiceField(SubscriptionState.choices, help_text="Paused, it goes on noting what it owes.")
    paused_reason = serializers.CharField(allow_blank=True, help_text="What to mend; empty when a person paused it.")
    paused_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.IntegerField(help_text=f"Events it has yet to send; at most {queries.MOST_COUNTED} counted.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SubscriptionChanges(Body):
    """The parts of a subscription that change, for the events that are processed from now on."""

    name = serializers.CharField(max_length=200, required=False)
    app_id = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False)
    match = serializers.ChoiceField(Match.choices, required=False, help_text=_MATCH)
    value = serializers.CharField(max_length=200, required=False, allow_blank=True, help_text=_VALUE)
    groups = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=_LARGEST_ID),
        max_length=1000,
        required=False,
        help_text=_GROUPS,
    )
    properties = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=1000, required=False, help_text=_PROPERTIES
    )
    follows = serializers.IntegerField(
        min_value=1, max_value=_LARGEST_ID, required=False, allow_null=True, help_text=_FOLLOWS
    )
    where = serializers.ListField(
        child=serializers.DictField(), max_length=MAX_CONDITIONS, required=False, help_text=_WHERE
    )
    people = serializers.DictField(required=False, allow_null=True, help_text=_PEOPLE)
    options = serializers.DictField(required=False, help_text=_OPTIONS)


class NewSubscription(SubscriptionChanges):
    """A new subscription."""

    name = serializers.CharField(max_length=200)
    app_id = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID)
    match = serializers.ChoiceField(Match.choices, help_text=_MATCH)


class SubscriptionsQuery(PageQuery):
    """Which subscriptions."""

    app = serializers.IntegerField(
        min_value=1, max_value=_LARGEST_ID, required=False, help_text="The number of an App."
    )


class Subscriptions(Endpoint):
    """All subscriptions; a new one."""

    required_scope = scopes_of("schedules")

    @operation("list_subscriptions", query=SubscriptionsQuery, answers=SubscriptionAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Subscriptions, in the order they were made."""
        wanted = read_query(request, SubscriptionsQuery)
        found = queries.subscriptions()
        if "app" in wanted:
            found = found.filter(app_id=wanted["app"])
        return answer_page(request, found, ordering="id", show=_show_subscriptions)

    @operation("create_subscription", body=NewSubscription, answers=SubscriptionAnswer, status=201, is_create=True)
    def post(self, request: Request) -> Response:
        """Make one. It gets the events that are processed from now on."""
        made = subscriptions.create_subscription(_read_data(request), actor=actor_of(request))
        return Response(_show(made.pk), status=201)


class OneSubscription(Endpoint):
    """One subscription."""

    required_scope = scopes_of("schedules")

    @operation("read_subscription", answers=SubscriptionAnswer, is_one=True)
    def get(self, request: Request, subscription_id: int) -> Response:
        """As it is."""
        return Response(_show(subscription_id))

    @operation("change_subscription", body=SubscriptionChanges, answers=SubscriptionAnswer)
    def patch(self, request: Request, subscription_id: int) -> Response:
        """Change what is given; the rest stays. What is owed already goes out as it is."""
        found = queries.find_subscription(subscription_id)
        given = _as_data(read_body(request, SubscriptionChanges, partial=True))
        data = replace(subscriptions.read_data(found), **given)
        subscriptions.update_subscription(subscription_id, data, actor=actor_of(request))
        return Response(_show(subscription_id))

    @operation("delete_subscription", status=204)
    def delete(self, request: Request, subscription_id: int) -> Response:
        """Delete it with its log; nothing more is sent."""
        subscriptions.delete_subscription(queries.find_subscription(subscription_id).pk, actor=actor_of(request))
        return Response(status=204)


class PauseSubscription(Endpoint):
    """Lets a subscription send nothing for a while."""

    required_scope = "schedules:write"

    @operation("pause_subscription", answers=SubscriptionAnswer)
    def post(self, request: Request, subscription_id: int) -> Response:
        """It goes on noting what it owes; 409 when it is paused already."""
        found = queries.find_subscription(subscription_id)
        subscriptions.pause_subscription(found.pk, actor=actor_of(request))
        return Response(_show(subscription_id))


class ResumeBody(Body):
    """What becomes of the events that came meanwhile."""

    send_missed = serializers.BooleanField(
        required=False, default=True, help_text="Send what waits; without it is skipped for good."
    )


class ResumeSubscription(Endpoint):
    """Lets a paused or halted subscription send again."""

    required_scope = "schedules:write"

    @operation("resume_subscription", body=ResumeBody, answers=SubscriptionAnswer)
    def post(self, request: Request, subscription_id: int) -> Response:
        """It sends at once; 409 when it is not paused."""
        found = queries.find_subscription(subscription_id)
        has_body = request.META.get("CONTENT_LENGTH") not in (None, "", "0")
        given = read_body(request, ResumeBody) if has_body else {}
        subscriptions.resume_subscription(found.pk, actor=actor_of(request), **given)
        return Response(_show(subscription_id))


# ---------------------------------------------------------------- trying


class PreviewAnswer(serializers.Serializer[trying.Preview]):
    """What would go out."""

    body = serializers.DictField()
    event = serializers.UUIDField(allow_null=True, help_text="Null for a made-up one, when there is no such event.")
    type = serializers.CharField(allow_blank=True)
    occurred_at = serializers.DateTimeField()
    profile = serializers.UUIDField(allow_null=True)
    identities = serializers.DictField(help_text="The person's unique properties, by which a tool finds its record.")
    would_send = serializers.BooleanField()
    looked_at = serializers.IntegerField(help_text=f"The latest events of its type or key, at most {trying.MATCHING}.")
    fitting = serializers.IntegerField(help_text="How many of them fit its groups and conditions.")
    note = serializers.CharField(allow_blank=True)


class PreviewSubscription(Endpoint):
    """Shows what a draft would send."""

    required_scope = "schedules:write"

    @operation("preview_subscription", body=NewSubscription, answers=PreviewAnswer)
    def post(self, request: Request) -> Response:
        """The JSON for the last event that the draft concerns. Nothing is saved and nothing is sent."""
        return Response(asdict(trying.preview(_read_data(request))))


class TestEventAnswer(serializers.Serializer[trying.TestAnswer]):
    """What the destination answered to a test event."""

    __test__ = False
    outcome = serializers.ChoiceField([kind.value for kind in OutcomeKind])
    reason = serializers.CharField(allow_blank=True)
    reply = serializers.CharField(allow_blank=True)
    request = serializers.CharField(allow_blank=True, help_text="As it was sent, without the body; secrets masked.")
    seconds = serializers.FloatField()
    body = serializers.DictField(help_text="What was sent, with `test` at its end.")
    event = serializers.UUIDField(allow_null=True)


class TestSubscription(Endpoint):
    """Sends a test event."""

    __test__ = False
    required_scope = "schedules:write"

    @operation("test_subscription", answers=TestEventAnswer)
    def post(self, request: Request, subscription_id: int) -> Response:
        """Send the last event that it concerns, marked as a test; 409 when the App is paused or busy."""
        found = queries.find_subscription(subscription_id)
        return Response(asdict(trying.send_test_event(found.pk, actor=actor_of(request))))


# ---------------------------------------------------------------- deliveries


class DeliveryAnswer(serializers.Serializer[OutboundDelivery]):
    """One event on its way to one subscription."""

    id = serializers.CharField(help_text="The destination gets it too, the same for every attempt.")
    event_id = serializers.UUIDField()
    subscription_id = serializers.IntegerField()
    subscription = serializers.CharField(help_text="Its name.")
    profile_id = serializers.UUIDField()
    type = serializers.CharField(allow_blank=True)
    occurred_at = serializers.DateTimeField()
    state = serializers.ChoiceField(DeliveryState.choices)
    warning = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    reply = serializers.CharField(allow_blank=True, help_text="What the destination said last.")
    next_at = serializers.DateTimeField(allow_null=True, help_text="Not sent before; null once it has ended.")
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)


class AttemptAnswer(serializers.Serializer[Any]):
    """One attempt."""

    at = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True, help_text="How long the answer took; null where it is unknown.")
    outcome = serializers.ChoiceField(DeliveryState.choices)
    text = serializers.CharField(allow_blank=True, help_text="What was wrong, in words.")
    request = serializers.CharField(allow_blank=True, help_text="As it was sent, without the body; secrets masked.")
    reply = serializers.CharField(allow_blank=True, help_text="The beginning of the answer.")


class DetailedDeliveryAnswer(DeliveryAnswer):
    """A delivery with its body and its attempts."""

    body = serializers.DictField(allow_null=True, help_text="Null while the person's data are waited for.")
    log = AttemptAnswer(many=True, help_text="The last ten attempts, the earliest first.")


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    subscription = serializers.IntegerField(min_value=1, max_value=_LARGEST_ID, required=False)
    profile = serializers.UUIDField(required=False, help_text="The guid of a profile.")
    event = serializers.UUIDField(required=False, help_text="The id of an event.")
    state = serializers.ChoiceField(DeliveryState.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="Of events that arrived at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Of events that arrived before this time.")


class Deliveries(Endpoint):
    """What was sent, and what has yet to be."""

    required_scope = "events:read"

    @operation("list_deliveries", query=DeliveriesQuery, answers=DeliveryAnswer, is_page=True)
    def get(self, request: Request) -> Response:
        """Deliveries, those of the latest events first."""
        wanted = read_query(request, DeliveriesQuery)
        found = queries.deliveries(
            _read_wanted(wanted), subscription_id=wanted.get("subscription"), event_id=wanted.get("event")
        ).defer("body", "log")
        ordering = ("-event_id", "-subscription_id")
        return answer_page(request, found, ordering=ordering, show=_show_deliveries, is_search=True)


class OneDelivery(Endpoint):
    """One delivery."""

    required_scope = "events:read"

    @operation("read_delivery", answers=DetailedDeliveryAnswer, is_one=True)
    def get(self, request: Request, event_id: UUID, subscription_id: int) -> Response:
        """With its body and its attempts: what was sent and what was answered."""
        found = queries.find_delivery(event_id, subscription_id)
        [shown] = _show_deliveries([found])
        return Response({**shown, "body": found.body, "log": [{**_NO_ATTEMPT, **entry} for entry in found.log]})


class SendAgainBody(Body):
    """Deliveries by their ids."""

    ids = serializers.ListField(child=serializers.RegexField(_DELIVERY_ID), min_length=1, max_length=MOST_SENT_AGAIN)


class SendAgainAnswer(serializers.Serializer[Any]):
    """How many are sent again."""

    count = serializers.IntegerField(
        help_text="Those under way, or whose person's data are waited for, are left alone."
    )


class SendAgain(Endpoint):
    """Sends deliveries again."""

    required_scope = "schedules:write"

    @operation("send_deliveries_again", body=SendAgainBody, answers=SendAgainAnswer)
    def post(self, request: Request) -> Response:
        """The same body under the same id; at once also what rests between two attempts."""
        ids = [each.rpartition("-") for each in read_body(request, SendAgainBody)["ids"]]
        chosen = {(UUID(event), int(subscription)) for event, _, subscription in ids}
        return Response({"count": subscriptions.send_again(chosen, actor=actor_of(request))})


# ---------------------------------------------------------------- how they are shown and read

_NO_ATTEMPT = {"seconds": None, "text": "", "request": "", "reply": ""}  # what older attempts did not note


def _read_wanted(given: Mapping[str, Any]) -> Wanted:
    return Wanted(
        state=given.get("state", ""),
        since=given.get("since"),
        until=given.get("until"),
        profiles=(given["profile"],) if given.get("profile") else None,
    )


def _read_data(request: Request) -> SubscriptionData:
    return SubscriptionData(**_as_data(read_body(request, NewSubscription)))


def _as_data(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _show(subscription_id: int) -> dict[str, Any]:
    [shown] = _show_subscriptions([queries.find_subscription(subscription_id)])
    return shown


def _show_subscriptions(found: Sequence[Subscription]) -> list[dict[str, Any]]:
    counts = queries.count_waiting([each.pk for each in found])
    return [
        {
            "id": each.pk,
            "name": each.name,
            "app_id": each.app_id,
            "match": each.match,
            "value": each.value,
            "groups": [group.group_id for group in each.groups.all()],
            "properties": [chosen.rule.key for chosen in each.properties.all()],
            "follows": each.follows_id,
            "where": each.where,
            "people": each.people,
            "options": each.options,
            "state": each.state,
            "paused_reason": each.paused_reason,
            "paused_at": each.paused_at,
            "waiting": counts[each.pk],
            "created_at": each.created_at,
            "updated_at": each.updated_at,
        }
        for each in found
    ]


def _show_deliveries(found: Sequence[OutboundDelivery]) -> list[dict[str, Any]]:
    names = queries.name_subscriptions({each.subscription_id for each in found})
    return [
        {
            "id": each.public_id,
            "event_id": each.event_id,
            "subscription_id": each.subscription_id,
            "subscription": names.get(each.subscription_id, ""),
            "profile_id": each.profile_id,
            "type": each.event_type,
            "occurred_at": each.occurred_at,
            "state": each.state,
            "warning": each.warning,
            "attempts": each.attempts,
            "error": each.error,
            "reply": each.reply,
            "next_at": each.next_at,
            "created_at": each.created_at,
            "sent_at": each.sent_at,
            "answered_at": each.answered_at,
        }
        for each in found
    ]
