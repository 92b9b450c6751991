"""The pages in Chromium: nothing axe-core finds fault with, nothing from elsewhere, no sideways scroll."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from schedules.models import Run, RunState
from tests.ui.addresses import LISTS, every_page
from tests.ui.shop import PASSWORD, make_shop, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MODES = [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")]
RUN_AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(
    found => found.id + ': ' + found.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | '))"""

# An id that is there twice names the wrong thing to whoever refers to it.
IDS_TWICE = """() => [...document.querySelectorAll('[id]')].map(it => it.id)
    .filter((id, place, all) => all.indexOf(id) !== place).map(id => `the id ${id} is there twice`)"""


@contextmanager
def signed_in(
    browser: Browser, server: LiveServer, *, width: int = 1280, theme: str = "light", script: bool = True
) -> Iterator[Page]:
    """A page of someone who has signed in by the form."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if theme == "dark" else "light",
        java_script_enabled=script,
        reduced_motion="reduce",
    )
    page = context.new_page()
    try:
        page.goto(server.url)
        page.get_by_label("Email").fill("alice@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{server.url}/")
        yield page
    finally:
        context.close()


def wait_for_htmx(page: Page) -> None:
    """Until the page and what a request brought are in their places and react: nobody is as quick as a script."""
    page.wait_for_load_state()
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-added, .htmx-settling")).to_have_count(0)


def follow(page: Page, what: Locator) -> None:
    """Press what leads to another page, and go on when that page is there: the one that is left may still answer."""
    with page.expect_navigation():
        what.click()


def find_faults(page: Page, axe_source: str) -> list[str]:
    """What axe-core and a ruler find wrong with the page as it is."""
    page.evaluate(axe_source)
    faults: list[str] = [*page.evaluate(RUN_AXE), *page.evaluate(IDS_TWICE)]
    beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*faults, f"scrolls sideways by {beyond} px"] if beyond > 0 else faults


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_no_page_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    make_user()
    pages = every_page(make_shop())
    elsewhere: list[str] = []
    complaints: list[str] = []
    faults: dict[str, list[str]] = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        page.on("request", lambda request: elsewhere.append(request.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        for name, url in pages.items():
            page.goto(f"{live_server.url}{url}")
            expect(page.locator("[hx-trigger^=load]")).to_have_count(0)  # the slots are filled
            if found := find_faults(page, axe_source):
                faults[name] = found
    assert faults == {}
    assert [url for url in elsewhere if not url.startswith((live_server.url, "data:"))] == []
    assert complaints == []


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (375, "dark")])
def test_no_empty_page_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    make_user()
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for name, url in {**LISTS, "not there": "/nowhere/"}.items():
            page.goto(f"{live_server.url}{url}")
            assert find_faults(page, axe_source) == [], name


def test_signing_in_with_a_wrong_password_has_no_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str
) -> None:
    page = browser.new_page()
    page.goto(live_server.url)
    assert find_faults(page, axe_source) == []
    page.get_by_label("Email").fill("nobody@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    assert find_faults(page, axe_source) == []
    page.close()


def test_pages_work_at_320_pixels(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    pages = every_page(make_shop())
    with signed_in(browser, live_server, width=320) as page:
        for name, url in pages.items():
            page.goto(f"{live_server.url}{url}")
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond <= 0, name


def test_without_script_people_sign_in_search_filter_and_sign_out(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    shop = make_shop()
    with signed_in(browser, live_server, script=False) as page:
        page.get_by_role("link", name="Profiles").first.click()
        page.get_by_role("searchbox", name="Search people").fill("evan@")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Evan Calloway").click()
        page.get_by_role("link", name="Show where they were sent").click()
        expect(page.get_by_role("main")).to_contain_text("Newsletter knows them as")
        page.goto(f"{live_server.url}/runs/")
        page.get_by_label("State").select_option("failed")
        page.get_by_role("button", name="Show").click()
        assert shop.failed is not None
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_run_moves_by_itself_until_it_ends(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    shop = make_shop()
    assert shop.running is not None
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/runs/{shop.running.pk}/")
        expect(page.get_by_role("heading", name="83 % done")).to_be_visible()
        Run.objects.filter(pk=shop.running.pk).update(state=RunState.COMPLETE, finished_at=shop.now)
        expect(page.get_by_role("heading", name="Done")).to_be_visible(timeout=10_000)
        expect(page.get_by_role("link", name="Look again")).to_have_count(0)


def test_a_search_changes_the_list_and_the_address_without_a_reload(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    make_shop()
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/profiles/")
        page.evaluate("window.sameDocument = true")
        page.get_by_role("searchbox", name="Search people").fill("evan@")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#people tbody tr")).to_have_count(1)
        assert "q=evan" in page.url
        assert page.evaluate("window.sameDocument") is True


def test_the_phone_menu_opens_and_the_skip_link_comes_first(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    with signed_in(browser, live_server, width=375) as page:
        expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Groups").click()
        expect(page.get_by_role("heading", level=1, name="Groups")).to_be_visible()
