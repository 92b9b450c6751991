"""One event's page tells its whole way: received, resolved, each key, what was asked, groups joined and left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from core.ui.wording import NBSP
from events.models import Event
from tests.accounts.factories import make_charlie
from tests.groups.people import calculated, recalculate_all
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Alice is asked for in a shop; two groups read what events say."""
    rule("user_id", "integer", is_unique=True, label="User id")
    rule("plan")
    shop = Shop(tmp_path)
    shop.query("first_name", "string", "select first_name from users where id = {{profile.user_id}}")
    for plan in ("free", "gold"):
        calculated(f"On {plan}", {"property": "plan", "operator": "equals", "value": plan})
    recalculate_all()
    return shop


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(make_charlie())
    return client


def words_of(viewer: Client, stored: Event) -> str:
    page = viewer.get(reverse("events:show", args=[stored.pk])).content.decode()
    return re.sub(r"\s+", " ", strip_tags(page).replace(NBSP, " "))


def test_the_way_of_an_event_is_told_from_the_door_to_the_groups(shop: Shop, viewer: Client) -> None:
    take(event({"user_id": 1, "plan": "free"}))
    take(event({"user_id": 1, "_anonymous_id": "phone", "plan": "gold", "coupon": "SPRING"}, at=1, type="Upgrade"))
    told = words_of(viewer, Event.objects.get(type="Upgrade"))
    steps = ["Received", "Person found", "Sources asked", "1 statement for this person", "Filled in", "Groups checked"]
    places = [told.index(each) for each in steps]
    assert places == sorted(places)
    for words in ("1 row: select", "1 property changed: plan", "Left On free", "Joined On gold"):
        assert words in told
    for key, fate in (
        ("user_id", "Found the person"),
        ("_anonymous_id", "Leads to the person"),
        ("plan", "Saved"),
        ("coupon", "Passed through"),
    ):
        assert re.search(rf"{key} .*?{fate}", told), key
    first = words_of(viewer, Event.objects.order_by("id")[0])
    assert "Person made" in first
    assert "first_name" in first


def test_who_found_nobody_and_what_did_not_fit_is_told(shop: Shop, viewer: Client) -> None:
    take(event({"user_id": "one", "plan": "gold"}))
    told = words_of(viewer, Event.objects.get())
    assert "No person found" in told
    assert "not a whole number" in told
    assert "Kept on the event" in told
