"""What can be done for one person on their page: asked again, put into a manual group, taken out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from groups.groups_store import add_members, create_group
from groups.models import Group, GroupMembershipChange
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from tests.factories import make_profiles
from tests.profiles.shop import Shop as Source
from tests.ui.shop import Shop, make_user
from tests.ui.test_pages import read

NAME = "select first_name from users where id = {{profile.user_id}}"


@pytest.fixture
def editor(client: Client) -> Client:
    """A client signed in as someone who may change things."""
    client.force_login(make_user(Role.EDITOR))
    return client


@pytest.fixture
def source(tmp_path: Path) -> Source:
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    return Source(tmp_path)


def after(client: Client, url: str, **fields: Any) -> str:
    """The page that follows a button."""
    return read(client.post(url, fields, follow=True))


@pytest.mark.django_db(transaction=True)
def test_refresh_now_asks_every_app_and_says_what_changed(editor: Client, source: Source) -> None:
    source.query("first_name", "string", NAME)
    [alice] = make_profiles([{"user_id": 1}])
    url = f"/profiles/{alice}/refresh/"
    assert "Every App was asked again: 1 value changed." in after(editor, url)
    assert Profile.objects.get(pk=alice).properties["first_name"] == "Alice"
    assert "Every App was asked again: nothing has changed." in after(editor, url)


@pytest.mark.django_db(transaction=True)
def test_refresh_now_keeps_what_is_known_when_it_cannot_be_asked(editor: Client, source: Source) -> None:
    source.query("first_name", "string", NAME)
    [alice] = make_profiles([{"user_id": 1, "first_name": "Alice"}])
    source.run("drop table users")
    said = after(editor, f"/profiles/{alice}/refresh/")
    assert "1 property could not be asked for; what is known stays." in said
    assert Profile.objects.get(pk=alice).properties["first_name"] == "Alice"


@pytest.mark.django_db(transaction=True)
def test_refresh_now_says_when_there_is_nobody_to_ask(editor: Client) -> None:
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    [alice] = make_profiles([{"user_id": 1}])
    assert "There was no App to ask" in after(editor, f"/profiles/{alice}/refresh/")


@pytest.mark.django_db
def test_someone_is_put_into_a_manual_group_and_taken_out(editor: Client, shop: Shop) -> None:
    bob, dinner = shop.people[1], create_group("Dinner", kind="manual", actor=SYSTEM)
    url = f"/profiles/{bob.pk}/"
    assert f'<option value="{dinner.pk}">Dinner</option>' in editor.get(url).content.decode()
    assert "They are in Dinner now." in after(editor, f"{url}join/", group=dinner.pk)
    page = read(editor.get(url))
    assert re.search(r"Dinner joined .{3,20} Someone put them in by hand\. Take out of Dinner", page)
    assert f'<option value="{dinner.pk}">' not in editor.get(url).content.decode()
    assert "They were taken out of Dinner." in after(editor, f"{url}leave/", group=dinner.pk)
    moves = GroupMembershipChange.objects.filter(group_id=dinner.pk).order_by("id")
    assert [(move.joined, move.cause.split(":")[0]) for move in moves] == [(True, "person"), (False, "person")]


@pytest.mark.django_db
def test_nobody_is_put_into_a_calculated_group_by_hand(editor: Client, shop: Shop) -> None:
    lapsed = shop.groups["Lapsed customers"]
    said = after(editor, f"/profiles/{shop.evan.pk}/join/", group=lapsed.pk)
    assert "Lapsed customers is calculated: its members follow from its rules." in said
    assert "Choose the group" in after(editor, f"/profiles/{shop.evan.pk}/join/", group="")


def test_a_viewer_sees_no_buttons_and_is_refused(viewer: Client, shop: Shop) -> None:
    url = f"/profiles/{shop.evan.pk}/"
    page = viewer.get(url).content.decode()
    for words in ("Refresh now", "Put into group", "Take out"):
        assert words not in page
    for door in ("refresh", "join", "leave"):
        assert viewer.post(f"{url}{door}/").status_code == 403


def test_groups_say_why_with_the_value_and_its_source(viewer: Client, shop: Shop) -> None:
    page = read(viewer.get(f"/profiles/{shop.evan.pk}/"))
    assert "In 2 of 3" in page
    assert re.search(
        r"USA customers joined .{3,20} True: Locale is “en-us” en-us, from Warehouse Stays until Locale changes", page
    )
    assert re.search(
        r"Why not in the other calculated group Lapsed customers Not in"
        r" Not true: Lifetime value is greater than 0 0\.00, from Warehouse"
        r" Not true: Last purchase is more than 2 months ago Warehouse is not asked while the property is paused",
        page,
    )


def test_a_group_that_has_not_followed_yet_says_so(viewer: Client, shop: Shop) -> None:
    rules = {"match": "all", "rules": [{"property": "locale", "operator": "equals", "value": "fr-fr"}]}
    Group.objects.filter(name="USA customers").update(rules=rules, rules_version=2)
    assert "USA customers Being calculated Not true: Locale is “fr-fr”" in read(
        viewer.get(f"/profiles/{shop.evan.pk}/")
    )


@pytest.mark.django_db
def test_someone_merged_cannot_be_acted_on(editor: Client, shop: Shop) -> None:
    evan, bob = shop.evan, shop.people[1]
    dinner = create_group("Dinner", kind="manual", actor=SYSTEM)
    add_members(dinner.pk, [bob.pk], actor=SYSTEM)
    Profile.objects.filter(pk=evan.pk).update(merged_into=bob.pk)
    page = editor.get(f"/profiles/{evan.pk}/").content.decode()
    assert "Refresh now" not in page
    assert "Put into group" not in page
    assert editor.post(f"/profiles/{evan.pk}/join/", {"group": dinner.pk}).status_code == 404
