"""Setting up: the steps tick themselves, each page leads on to the first that is open, the demo shop is one button."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps_connectors import connections
from apps_connectors.models import App
from core.accounts.models import Role
from groups import recalculation
from groups.models import Group
from profiles.models import Profile
from schedules import exporting, importing, runs
from schedules.models import Direction, Run, RunState, Schedule
from tests.schedules.destinations import wait_for_horizon
from tests.ui.shop import make_shop, make_user
from tests.ui.test_pages import read

STEPS = ("Connect an App", "Define a property", "Bring in data", "Make a group", "Send it somewhere")


@pytest.fixture
def editor(db: None, client: Client) -> Client:
    client.force_login(make_user(Role.EDITOR))
    return client


def ticks(client: Client) -> list[str]:
    """Done or Open, step by step."""
    return re.findall(r"(Done|Open) (?=" + "|".join(STEPS) + ")", read(client.get("/")))


def test_steps_tick_themselves_and_go_when_all_are_done(editor: Client) -> None:
    assert ticks(editor) == ["Open"] * 5
    App.objects.create(name="Files", type="csv")
    assert ticks(editor) == ["Done"] + ["Open"] * 4
    App.objects.all().delete()
    make_shop(with_problems=False)
    Schedule.objects.filter(direction=Direction.EXPORT).update(enabled=False)
    assert ticks(editor) == ["Done"] * 4 + ["Open"]
    Schedule.objects.filter(direction=Direction.EXPORT).update(enabled=True)
    assert ticks(editor) == []


def test_pages_lead_on_to_what_is_open_and_to_nothing_afterwards(editor: Client) -> None:
    shop = make_shop(with_problems=False)
    group = shop.groups["USA customers"]
    Schedule.objects.filter(direction=Direction.EXPORT).update(enabled=False)
    import_, run = shop.schedules["users"], shop.finished
    assert run is not None
    newest = Group.objects.latest("pk")
    for page in ("/properties/", f"/schedules/{import_.pk}/", f"/groups/{group.pk}/"):
        text = editor.get(page).content.decode()
        wanted = group if page.startswith("/groups/") else newest
        assert f'href="/schedules/new/export/?group={wanted.pk}"' in text, page
    Schedule.objects.filter(direction=Direction.EXPORT).update(enabled=True)
    for page in ("/properties/", f"/schedules/{import_.pk}/", f"/groups/{group.pk}/", f"/runs/{run.pk}/"):
        assert "next-step" not in editor.get(page).content.decode(), page


def test_who_may_only_look_is_led_nowhere(viewer_of_shop: Client) -> None:
    text = viewer_of_shop.get("/properties/").content.decode()
    assert "next-step" not in text
    assert "Load the demo shop" not in viewer_of_shop.get("/").content.decode()


@pytest.fixture
def viewer_of_shop(db: None, client: Client) -> Client:
    make_shop(with_problems=False)
    Schedule.objects.filter(direction=Direction.EXPORT).update(enabled=False)
    client.force_login(make_user())
    return client


# ---------------------------------------------------------------- the demo shop


@pytest.mark.django_db(transaction=True)
def test_the_demo_shop_is_one_button_and_goes_through_to_the_end(
    editor: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.VAR = tmp_path
    assert "Load the demo shop" in read(editor.get("/"))
    text = read(editor.post("/demo-shop/", follow=True))
    assert "is connected" in text, text[300:1200]
    runs.start_due()
    while importing.work_slice():
        pass
    while recalculation.recalculate_some():
        pass
    assert set(Run.objects.filter(direction=Direction.IMPORT).values_list("state", flat=True)) == {RunState.COMPLETE}
    assert Profile.objects.count() == 500
    assert Group.objects.filter(members__isnull=False).distinct().count() == 2
    wait_for_horizon()
    runs.start_each(exporting.find_due(), trigger="change")
    while exporting.work_slice():
        pass
    connections.close_all()
    with closing(sqlite3.connect(tmp_path / "demo-shop.sqlite")) as file:
        [(received,)] = file.execute("select count(*) from received").fetchall()
    assert received > 100
    assert "next-step" not in read(editor.get("/properties/"))


@pytest.mark.django_db(transaction=True)
def test_the_demo_shop_is_not_mixed_into_what_is_there_and_leaves_nothing_half_done(
    editor: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.VAR = tmp_path / "missing"
    assert "cannot be made" in read(editor.post("/demo-shop/", follow=True))
    assert not App.objects.exists()
    App.objects.create(name="Files", type="csv")
    assert "not mixed into them" in read(editor.post("/demo-shop/", follow=True))
    assert "Load the demo shop" not in read(editor.get("/"))
    assert App.objects.count() == 1
