"""What a subscription is tied to, and what refuses to go while it is."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput, Refused
from core.work.models import Work
from groups import groups_store
from profiles import rules
from profiles.models import ProfilePropertyRule
from schedules import schedules_store
from schedules.models import Schedule
from schedules.outbound import subscriptions
from schedules.outbound.models import OutboundDelivery, Subscription
from schedules.schedules_store import ScheduleData
from tests.schedules.outbound.world import World, carts, deliver


def make_export(world: World) -> Schedule:
    data = ScheduleData(
        direction="export",
        name="people",
        app_id=world.app.pk,
        options={"key_field": "EMAIL"},
        fields={"EMAIL": "email"},
        everyone=True,
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def test_an_export_that_subscriptions_follow_is_not_deleted_and_says_which(world: World) -> None:
    export = make_export(world)
    world.subscribe("left carts", follows=export.pk, properties=())
    orders = world.subscribe("orders", follows=export.pk, properties=())
    with pytest.raises(Refused, match="“people” is followed by the outbound events “left carts”, “orders”"):
        schedules_store.delete_schedule(export.pk, actor=SYSTEM)
    left = Subscription.objects.get(name="left carts")
    subscriptions.update_subscription(left.pk, replace(subscriptions.read_data(left), follows=None), actor=SYSTEM)
    subscriptions.delete_subscription(orders.pk, actor=SYSTEM)
    schedules_store.delete_schedule(export.pk, actor=SYSTEM)
    assert not Schedule.objects.exists()
    assert Subscription.objects.get().follows is None


def test_an_export_that_is_followed_stays_with_its_app(world: World) -> None:
    export = make_export(world)
    world.subscribe(follows=export.pk, properties=())
    other = App.objects.create(name="Other box", type="postbox")
    with pytest.raises(Refused, match="is followed by the outbound events “carts”"):
        schedules_store.update_schedule(
            export.pk, replace(schedules_store.read_data(export), app_id=other.pk), actor=SYSTEM
        )


def test_apps_groups_and_properties_name_the_subscriptions_that_use_them(world: World) -> None:
    world.subscribe("left carts", groups=(world.groups["usa"].pk,), properties=("first_name",))
    with pytest.raises(Refused, match="used by left carts"):
        apps_store.delete_app(world.app.pk, actor=SYSTEM)
    with pytest.raises(Refused, match="in use by the subscription left carts"):
        groups_store.delete_group(world.groups["usa"].pk, actor=SYSTEM)
    with pytest.raises(Refused, match="in use by the subscription left carts"):
        rules.delete_rule(ProfilePropertyRule.objects.get(key="first_name").pk, actor=SYSTEM)


def test_a_name_is_given_once_whatever_its_case(world: World) -> None:
    world.subscribe("Carts")
    with pytest.raises(InvalidInput, match="Another subscription has this name"):
        world.subscribe("carts")
    assert Work.objects.filter(kind="outbound").count() == 1


def test_the_books_are_in_order_and_what_is_not_is_found(world: World) -> None:
    made = world.subscribe()
    carts(1, 1, 2)
    deliver()
    call_command("check_integrity", stdout=StringIO())
    OutboundDelivery.objects.update(next_at="2020-01-01T00:00:00Z")
    with pytest.raises(CommandError):
        call_command("check_integrity", stdout=StringIO())
    OutboundDelivery.objects.update(next_at=None)
    Work.objects.filter(kind="outbound").delete()
    with pytest.raises(CommandError):
        call_command("check_integrity", stdout=StringIO())
    Subscription.objects.filter(pk=made.pk).delete()
    with pytest.raises(CommandError):
        call_command("check_integrity", stdout=StringIO())
