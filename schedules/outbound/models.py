"""Subscriptions to events, and the ledger of what each was sent.

`Subscription` and its parts (`SubscriptionGroup`, `SubscriptionProperty`, `SubscriptionRuleUse`) are written by
`subscriptions.py`, `OutboundCursor` by `cursors.py`, `OutboundDelivery` by `owing.py` and `deliveries.py`, all in
`schedules/outbound/`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.lib.ordered_json import OrderedJSONField
from groups.models import Group
from profiles.models import ProfilePropertyRule


class Match(models.TextChoices):
    """Which events a subscription wants."""

    TYPE = "type", gettext_lazy("Events of a type")
    KEY = "key", gettext_lazy("Events that have a value under a key")
    EVERY = "every", gettext_lazy("Every event of a person")


class SubscriptionState(models.TextChoices):
    """Whether a subscription sends. Paused, it goes on noting what it owes."""

    ON = "on", gettext_lazy("On")
    PAUSED = "paused", gettext_lazy("Paused")


class Subscription(models.Model):
    """Events that an App wants, and what of the profile goes with them.

    With `follows` the groups and properties are those of that export schedule of the same App, as they are at the
    time; without, they are its own. `where` and `people` are further conditions, on the payload and on the person, see
    `conditions.py`. `options` are for the plugin. `paused_reason` says what halted it, in the words of
    the destination; it is empty when a person paused it.
    """

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="subscriptions")
    name = models.CharField(max_length=200)
    match = models.CharField(max_length=5, choices=Match.choices)
    value = models.CharField(max_length=200, blank=True)  # the type or the key; empty for every event
    follows = models.ForeignKey(
        "schedules.Schedule", null=True, on_delete=models.PROTECT, related_name="followed_by_subscriptions"
    )
    where = models.JSONField(default=list)
    people = models.JSONField(null=True)
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=6, choices=SubscriptionState.choices, default=SubscriptionState.ON)
    paused_reason = models.TextField(blank=True)
    paused_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "subscription"
        constraints = [
            models.UniqueConstraint(Lower("name"), name="subscription_name_unique"),
            models.CheckConstraint(condition=Q(match="every") ^ ~Q(value=""), name="subscription_has_value"),
        ]

    def __str__(self) -> str:
        return self.name


class SubscriptionGroup(models.Model):
    """The profile has to be in one of these groups; without any, all profiles will do."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="groups")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="subscriptions")

    class Meta:
        db_table = "subscription_group"
        constraints = [models.UniqueConstraint(fields=["subscription", "group"], name="subscription_group_unique")]

    def __str__(self) -> str:
        return gettext("the subscription %(subscription)s") % {"subscription": self.subscription}


class SubscriptionProperty(models.Model):
    """A property that goes along under `profile`, in the order of the rows."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="properties")
    rule = models.ForeignKey(ProfilePropertyRule, on_delete=models.PROTECT, related_name="subscriptions")

    class Meta:
        db_table = "subscription_property"
        constraints = [models.UniqueConstraint(fields=["subscription", "rule"], name="subscription_property_unique")]

    def __str__(self) -> str:
        return gettext("the subscription %(subscription)s") % {"subscription": self.subscription}


class SubscriptionRuleUse(models.Model):
    """What one leaf of a subscription's rules about the person reads: a property or a group."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="rule_uses")
    rule = models.ForeignKey(
        ProfilePropertyRule, null=True, on_delete=models.PROTECT, related_name="subscription_rule_uses"
    )
    group = models.ForeignKey(Group, null=True, on_delete=models.PROTECT, related_name="subscription_rule_uses")
    leaf = models.CharField(max_length=60)  # the leaf's place in the rules, such as "0.2"

    class Meta:
        db_table = "subscription_rule_use"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "leaf"], name="subscription_rule_use_unique"),
            models.CheckConstraint(
                condition=Q(rule__isnull=True) ^ Q(group__isnull=True), name="subscription_rule_use_reads_one"
            ),
        ]

    def __str__(self) -> str:
        return gettext("the subscription %(subscription)s") % {"subscription": self.subscription}


class OutboundCursor(models.Model):
    """How far a subscription has read the events: every transaction below `mark` is taken; and whether it rests.

    `cluster` names the database server the mark belongs to (see `schedules/cursor.py`); `read_at` is when it was last
    read, from which a restored copy reads on. While the destination takes nothing, nothing is sent before
    `rests_until`; `waits` counts how often in a row.
    """

    subscription = models.OneToOneField(Subscription, on_delete=models.CASCADE, primary_key=True, related_name="cursor")
    mark = models.BigIntegerField()
    cluster = models.CharField(max_length=60)
    read_at = models.DateTimeField()
    rests_until = models.DateTimeField(null=True)
    waits = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "outbound_cursor"


class DeliveryState(models.TextChoices):
    """Where one event stands at one subscription."""

    WAITING = "waiting", gettext_lazy("Waiting for the profile's data")
    OWED = "owed", gettext_lazy("Owed")
    SENT = "sent", gettext_lazy("Sent, not answered")
    RETRYING = "retrying", gettext_lazy("To be tried again")
    HALTED = "halted", gettext_lazy("Halted")
    ACCEPTED = "accepted", gettext_lazy("Accepted")
    REJECTED = "rejected", gettext_lazy("Rejected")
    GIVEN_UP = "given_up", gettext_lazy("Given up")
    SKIPPED = "skipped", gettext_lazy("Skipped")


ENDED = (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.GIVEN_UP, DeliveryState.SKIPPED)


class OutboundDelivery(models.Model):
    """The ledger: one event on its way to one subscription, its body, and what became of it.

    Its public id is "EVENT-SUBSCRIPTION", which the destination gets too. `body` is as it was when the profile's data
    were complete, and never changes after that; it is null while they are waited for. `next_at` is set until it has
    ended. `attempts` counts calls, `tries` those that cost a retry. `log` holds the last attempts:
    {at, seconds, outcome, text, request, reply}, where the request goes without its body, which is here already.
    """

    pk = models.CompositePrimaryKey("event_id", "subscription_id")
    event_id = models.UUIDField()
    subscription_id = models.BigIntegerField()
    profile_id = models.UUIDField()
    event_type = models.TextField()
    occurred_at = models.DateTimeField()
    body = OrderedJSONField(null=True)
    state = models.CharField(max_length=8, choices=DeliveryState.choices)
    warning = models.TextField(blank=True)
    created_at = models.DateTimeField()
    waits_since = models.DateTimeField(null=True)  # since when the profile's data are waited for
    next_at = models.DateTimeField(null=True)
    attempt_id = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    tried_since = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    reply = models.TextField(blank=True)
    log = models.JSONField(default=list)

    class Meta:
        db_table = "outbound_delivery"
        indexes = [
            models.Index(
                fields=["subscription_id", "event_id"], condition=Q(next_at__isnull=False), name="outbound_delivery_due"
            ),
            models.Index(
                fields=["subscription_id", "profile_id", "event_id"],
                condition=Q(next_at__isnull=False),
                name="outbound_delivery_order",
            ),
            models.Index(fields=["profile_id", "event_id"], name="outbound_delivery_profile"),
        ]

    @property
    def public_id(self) -> str:
        """How people, programs and the destination name it."""
        return f"{self.event_id}-{self.subscription_id}"
