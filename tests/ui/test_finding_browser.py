"""Finding things in Chromium: the search box while typing, keys, sorting, choosing; with and without script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.accounts.models import Role
from groups.models import GroupMember
from schedules.models import Schedule
from tests.ui.addresses import LISTS
from tests.ui.shop import make_shop, make_user
from tests.ui.test_browser import MODES, find_faults, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def heading(page: Page, name: str) -> None:
    """Until the page of this name is there, with its script."""
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    page.wait_for_load_state()


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_what_an_editor_sees_of_lists_and_of_the_search_has_no_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    make_user(Role.EDITOR)
    shop = make_shop()
    faults = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for name, url in LISTS.items():
            page.goto(f"{live_server.url}{url}")
            faults[name] = find_faults(page, axe_source)
        page.goto(f"{live_server.url}/groups/chosen/delete/?chosen={shop.groups['USA customers'].pk}")
        faults["delete"] = find_faults(page, axe_source)
        page.goto(live_server.url)
        if width < 760:
            page.get_by_role("button", name="Menu").click()
        page.get_by_role("searchbox", name="Search everything").fill("newsl")
        expect(page.locator("#found").get_by_role("link", name="Newsletter PostgreSQL")).to_be_visible()
        faults["typed"] = find_faults(page, axe_source)
        page.goto(live_server.url)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        faults["dialog"] = find_faults(page, axe_source)
    assert {name: found for name, found in faults.items() if found} == {}


def test_results_come_while_one_types_and_are_reached_by_tab(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    make_shop()
    with signed_in(browser, live_server) as page:
        box, found = page.get_by_role("searchbox", name="Search everything"), page.locator("#found")
        box.press_sequentially("lapsed")
        expect(found.get_by_role("status")).to_have_text("1 result.")
        box.press("Tab")
        expect(found.get_by_role("link", name="Lapsed customers")).to_be_focused()
        page.keyboard.press("Enter")
        heading(page, "Lapsed customers")
        box.fill("evan")
        expect(found.get_by_role("link", name="Evan Calloway")).to_be_visible()
        box.press("Escape")  # empties the box, and with it what was found
        expect(found).to_be_hidden()
        box.fill("evan")
        box.press("Enter")
        heading(page, "Found with “evan”")


def test_keys_lead_to_the_search_and_to_the_lists(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    make_shop()
    with signed_in(browser, live_server) as page:
        box = page.get_by_role("searchbox", name="Search everything")
        for key, name in (
            ("p", "Profiles"), ("g", "Groups"), ("e", "Events"), ("a", "Apps"), ("s", "Schedules"), ("r", "Runs"),
        ):  # fmt: skip
            page.keyboard.press("g")
            page.keyboard.press(key)
            heading(page, name)
        page.keyboard.press("g")
        page.keyboard.press("h")
        expect(page).to_have_url(f"{live_server.url}/")
        page.keyboard.press("/")
        expect(box).to_be_focused()
        page.keyboard.type("g r?/")  # in a field these are letters
        expect(box).to_have_value("g r?/")
        expect(page).to_have_url(f"{live_server.url}/")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_question_mark_shows_the_keys_and_they_can_be_switched_off(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    with signed_in(browser, live_server) as page:
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
        expect(dialog.get_by_role("link", name="Runs")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.keyboard.press("?")
        dialog.get_by_role("link", name="Switch them off").click()
        page.get_by_role("button", name="Switch them off").click()
        expect(page.get_by_role("status")).to_have_text("Keyboard shortcuts are off.")
        page.locator("body").press("/")
        page.keyboard.press("g")
        page.keyboard.press("r")
        page.keyboard.press("?")
        expect(page.get_by_role("searchbox", name="Search everything")).not_to_be_focused()
        expect(page.get_by_role("heading", level=1, name="Keyboard shortcuts")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_on_a_phone_the_slash_opens_the_menu_with_the_search(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    make_shop()
    with signed_in(browser, live_server, width=375) as page:
        page.keyboard.press("/")
        box = page.get_by_role("searchbox", name="Search everything")
        expect(box).to_be_focused()
        box.fill("lapsed")
        expect(page.locator("#found").get_by_role("link", name="Lapsed customers")).to_be_visible()


def test_the_box_in_the_head_chooses_every_row_of_the_page(live_server: LiveServer, browser: Browser) -> None:
    make_user(Role.EDITOR)
    make_shop()
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/runs/")
        page.get_by_role("checkbox", name="Choose all on this page").check()
        expect(page.locator("tbody input:checked")).to_have_count(25)
        page.get_by_label("State").select_option("failed")
        page.get_by_role("button", name="Show").click()
        wait_for_htmx(page)
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("checkbox", name="Choose all on this page").check()  # also in a piece that came later
        expect(page.locator("tbody input:checked")).to_have_count(1)
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_role("status").first).to_contain_text("1 run goes on where it was.")
        expect(page).to_have_url(f"{live_server.url}/runs/?state=failed")  # the list is as it was left


def test_without_script_one_searches_sorts_pages_and_acts_on_what_was_chosen(
    live_server: LiveServer, browser: Browser
) -> None:
    make_user(Role.EDITOR)
    shop = make_shop()
    with signed_in(browser, live_server, script=False) as page:
        page.get_by_role("searchbox", name="Search everything").fill("re-eng")
        page.get_by_role("button", name="Find").click()
        page.get_by_role("main").get_by_role("link", name="Newsletter: re-engagement").click()
        heading(page, "Newsletter: re-engagement")
        page.get_by_role("link", name="Schedules").first.click()
        page.get_by_role("link", name="Next run").first.click()
        assert page.url.endswith("/schedules/?sort=next")
        expect(page.get_by_role("checkbox", name="Choose all on this page")).to_have_count(0)
        page.get_by_role("checkbox", name="Choose Warehouse: carts").check()
        page.get_by_role("button", name="Switch off").click()
        expect(page.get_by_role("status").first).to_have_text("1 schedule is switched off.")
        assert page.url.endswith("/schedules/?sort=next")
        page.get_by_role("link", name="Clear").click()
        assert page.url.endswith("/schedules/")
        page.goto(f"{live_server.url}/groups/")
        page.get_by_role("checkbox", name="Choose Spring dinner guests").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete 1 group").click()
        expect(page.get_by_role("status").first).to_have_text("1 group was deleted.")
    assert not Schedule.objects.get(pk=shop.schedules["carts"].pk).enabled
    assert not GroupMember.objects.filter(group=shop.groups["Spring dinner guests"].pk).exists()
