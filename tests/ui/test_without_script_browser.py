"""Every kind of form without JavaScript: what is typed is kept when something is wrong, and saved when it is right.

Those that have tests of their own: signing in, the builder of groups, columns of a table, uploads, imports, erasing,
subscriptions, the search, choosing rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors.models import App
from core.accounts.actors import Actor
from core.accounts.models import ApiKey, Project, Role, User
from core.ui import notices
from core.ui.models import Notice
from core.ui.notices import News
from groups.models import Group, GroupMember
from profiles.models import ProfilePropertyRule
from tests.ui.shop import make_shop, make_user
from tests.ui.test_browser import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def send(page: Page, url: str, fields: Mapping[str, str], button: str) -> None:
    """Fill in a form by its labels, and press its button."""
    page.goto(url)
    for label, value in fields.items():
        page.get_by_label(re.compile(f"^{label}\\b")).first.fill(value)
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def said(page: Page, text: str) -> None:
    expect(page.get_by_role("status").first).to_contain_text(text)


def test_an_editors_forms(live_server: LiveServer, browser: Browser, tmp_path: Path) -> None:
    make_user(Role.EDITOR)
    shop = make_shop()
    (tmp_path / "shop.db").touch()
    base, guests = live_server.url, shop.groups["Spring dinner guests"]
    GroupMember.objects.filter(group=guests).delete()
    with signed_in(browser, live_server, script=False) as page:
        send(page, f"{base}/apps/connect/sqlite/", {"Name": "", "Path": "/nowhere/shop.db"}, "Connect and test")
        expect(page.get_by_role("alert").first).to_be_visible()
        expect(page.get_by_label("Path", exact=True)).to_have_value("/nowhere/shop.db")  # kept
        send(page, page.url, {"Name": "Till", "Path": str(tmp_path / "shop.db")}, "Connect and test")
        expect(page.get_by_role("heading", level=1)).to_have_text("Till")
        page.get_by_role("button", name="Test connection").click()
        expect(page.get_by_role("main")).to_contain_text("Healthy")

        page.goto(f"{base}/properties/new/")
        page.get_by_label("Wait for it in events and uploads").check()
        page.get_by_label("Name", exact=True).fill("Shoe size")
        page.get_by_role("button", name="Save property").last.click()
        said(page, "Shoe size was made")

        send(page, f"{base}/groups/new/manual/", {"Name": "USA customers"}, "Make group")
        expect(page.get_by_role("alert").first).to_contain_text("already a group")
        send(page, page.url, {"Name": "Pilots"}, "Make group")
        said(page, "The group Pilots was made")
        page.goto(f"{base}/groups/{guests.pk}/people/")
        page.get_by_label(re.compile("^People")).fill("evan@grouparoo.com\nnobody@example.com")
        page.get_by_role("button", name="Use this list").click()
        expect(page.get_by_role("main")).to_contain_text("nobody@example.com")
        page.goto(f"{base}/groups/{guests.pk}/")
        page.get_by_role("checkbox").last.check()
        page.get_by_role("button", name="Take").first.click()
        said(page, "They were taken out of the group")
    assert App.objects.filter(name="Till", type="sqlite").exists()
    assert ProfilePropertyRule.objects.get(key="shoe_size").retrieval == "event"
    assert Group.objects.filter(name="Pilots").exists()
    assert not GroupMember.objects.filter(group=guests).exists()


def test_an_admins_forms_and_ones_own(live_server: LiveServer, browser: Browser) -> None:
    alice = make_user(Role.ADMIN)
    base = live_server.url
    notices.tell(Actor.person(alice).cause, "run:1", News("ok", "It is complete", "/runs/"))
    with signed_in(browser, live_server, script=False) as page:
        page.get_by_role("button", name="Dismiss").click()
        expect(page.get_by_role("main")).to_contain_text("You have seen everything")

        page.goto(f"{base}/settings/")
        page.get_by_label("Days that events are kept", exact=True).fill("0")
        page.get_by_role("button", name="Save settings").click()
        expect(page.get_by_role("alert").first).to_contain_text("Days that events are kept")
        expect(page.get_by_label("Days that events are kept", exact=True)).to_have_value("0")  # kept
        page.get_by_label("Days that events are kept", exact=True).fill("400")
        page.get_by_label("Name", exact=True).fill("Marlow")
        page.get_by_role("button", name="Save settings").click()
        said(page, "saved")

        send(page, f"{base}/settings/alerts/", {"Email addresses": "alice@example.com"}, "Save alerts")
        said(page, "saved")
        send(page, f"{base}/account/", {"Name": "Alice O."}, "Save account")
        said(page, "Your account was changed")
        page.goto(f"{base}/api-keys/create/")
        page.get_by_label("Name", exact=True).fill("Checkout")
        page.get_by_role("checkbox").first.check()
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_role("main")).to_contain_text("shown only this once")
        send(page, f"{base}/team/add/", {"Email": "bob@example.com", "Name": "Bob"}, "Add person")
        expect(page.get_by_role("main")).to_contain_text("bob@example.com")
    assert not Notice.objects.exists()
    assert Project.objects.get(pk=1).name == "Marlow"
    assert User.objects.get(pk=alice.pk).name == "Alice O."
    assert ApiKey.objects.filter(name="Checkout").exists()
    assert User.objects.filter(email="bob@example.com").exists()
