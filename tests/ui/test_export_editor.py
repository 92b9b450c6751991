"""The editor of an export to a table in Chromium: its columns, what cannot go there, new columns, the preview."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import connections
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from profiles.rules import NewRule, create_rule
from schedules.models import Schedule
from tests.pipeline.people import event, take
from tests.profiles.shop import Shop
from tests.ui.shop import make_user
from tests.ui.test_browser import MODES, find_faults, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def crm(tmp_path: Path) -> Shop:
    """A database with a table to export to and one that has no key, and somebody to send."""
    connections.close_all()
    make_user(Role.EDITOR)
    for key, type_ in (("user_id", "integer"), ("first_name", "string"), ("score", "float"), ("vip", "boolean")):
        create_rule(NewRule(key, type_, is_unique=key == "user_id"), actor=SYSTEM)
    shop = Shop(tmp_path)
    shop.run("create table crm (id integer primary key, name text, score text); create table log (id integer)")
    take(event({"user_id": 7, "first_name": "Alice", "score": 3.0, "vip": True}))
    return shop


def open_editor(page: Page, server: LiveServer, shop: Shop, *, table: str) -> None:
    """The form of a new export to this table, with its columns."""
    page.goto(f"{server.url}/schedules/new/export/{shop.app.pk}/")
    page.get_by_label("Table", exact=True).fill(table)
    page.get_by_role("button", name="Look up its fields").click()
    wait_for_htmx(page)
    page.get_by_label("Everyone").check()


@pytest.mark.parametrize("script", [True, False])
def test_a_property_that_does_not_fit_is_refused_beside_its_field_and_a_new_column_can_be_named(
    live_server: LiveServer, browser: Browser, crm: Shop, script: bool
) -> None:
    with signed_in(browser, live_server, script=script) as page:
        open_editor(page, live_server, crm, table="crm")
        page.get_by_label("Property for id").select_option("first_name")
        page.get_by_label("Property for score").select_option("score")
        page.get_by_label("Known by").select_option("id")
        page.get_by_role("button", name="Create schedule").click()
        cell = page.get_by_role("row", name="id whole number")
        expect(cell).to_contain_text("“id” is of the type “Whole number”, and not every value of")
        page.get_by_label("Property for id").select_option("user_id")
        page.get_by_label("Add columns that are missing").check()
        page.get_by_role("button", name="Look up its fields").click()
        wait_for_htmx(page)
        page.get_by_label("Field for vip").fill("is_vip")
        page.get_by_role("button", name="Preview a person").click()
        row = page.get_by_label("The row as it would be sent")
        for part in ('"id": 7', '"score": "3"', '"is_vip": true'):
            expect(row).to_contain_text(part)
        page.get_by_role("button", name="Create schedule").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("everyone")
    schedule = Schedule.objects.get()
    assert schedule.options == {
        "table": "crm", "add_columns": True, "key_field": "id", "field_types": {"score": "string"},
    }  # fmt: skip
    assert set(schedule.fields.values_list("field", "rule__key")) == {
        ("id", "user_id"), ("score", "score"), ("is_vip", "vip"),
    }  # fmt: skip


def test_a_table_whose_key_column_is_not_unique_is_refused(
    live_server: LiveServer, browser: Browser, crm: Shop
) -> None:
    with signed_in(browser, live_server) as page:
        open_editor(page, live_server, crm, table="log")
        page.get_by_label("Property for id").select_option("user_id")
        page.get_by_label("Known by").select_option("id")
        page.get_by_role("button", name="Create schedule").click()
        expect(page.get_by_role("alert")).to_contain_text("“id” of the table log has no unique index")
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_the_editor_has_no_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, crm: Shop, width: int, theme: str
) -> None:
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        open_editor(page, live_server, crm, table="crm")
        page.get_by_label("Add columns that are missing").check()
        wait_for_htmx(page)
        page.get_by_label("Property for id").select_option("first_name")
        page.get_by_role("button", name="Preview a person").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert find_faults(page, axe_source) == []
