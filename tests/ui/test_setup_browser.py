"""The pages of an empty installation, of notices and of alerts in Chromium: no faults, and nothing needs a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from core.accounts.actors import Actor
from core.accounts.models import Role
from core.ui import notices
from core.ui.models import Notice
from core.ui.notices import News
from core.work import leases
from grouparoo.alerts import watching
from schedules import runs
from schedules.models import Run, RunState, Schedule
from tests.ui.shop import make_shop, make_user
from tests.ui.test_browser import MODES, find_faults, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FAILED = News("bad", "“Newsletter: list” failed", "/runs/2/", "The server refused the password.")


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_an_empty_installation_has_no_faults(
    live_server: LiveServer, browser: Browser, axe_source: str, settings: Settings, width: int, theme: str
) -> None:
    settings.FIRST_ADMIN_IN_BROWSER = True
    scheme = "dark" if theme == "dark" else "light"
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(live_server.url)
    assert find_faults(page, axe_source) == []
    page.get_by_role("button", name="Make my account").click()
    expect(page.get_by_role("alert")).to_be_focused()
    assert find_faults(page, axe_source) == []
    context.close()
    make_user(Role.ADMIN)
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Nothing flows yet")
        assert find_faults(page, axe_source) == []


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_alerts_notices_and_what_comes_next_have_no_faults(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    alice = make_user(Role.ADMIN)
    shop = make_shop()
    watching.watch()
    Schedule.objects.filter(direction="export").update(enabled=False)
    notices.tell(f"person:{alice.pk}", "run:2", FAILED)
    faults = {}
    urls = ("/settings/alerts/", "/properties/", f"/schedules/{shop.schedules['users'].pk}/", "/notices/")
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for url in urls:
            page.goto(f"{live_server.url}{url}")
            expect(page.locator("#notices")).to_contain_text("refused the password")
            if found := find_faults(page, axe_source):
                faults[url] = found
    assert faults == {}


def test_a_notice_comes_to_the_open_page_and_is_put_away_without_a_reload(
    live_server: LiveServer, browser: Browser
) -> None:
    alice = make_user(Role.EDITOR)
    shop = make_shop(with_problems=False)
    Run.objects.filter(state__in=runs.UNFINISHED).update(state=RunState.COMPLETE)
    actor = Actor.person(alice)
    run = runs.start_run(shop.schedules["users"].pk, trigger=actor.cause, actor=actor)
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/groups/")
        page.evaluate("window.sameDocument = true")
        lease = leases.claim("import", subject=str(run.pk))
        assert lease is not None
        runs.finish(lease, state=RunState.FAILED, error="The server went away.")
        expect(page.locator("#notices")).to_contain_text("The server went away.", timeout=15_000)
        page.get_by_role("button", name="Dismiss").click()
        expect(page.locator("#notices li")).to_have_count(0)
        assert page.evaluate("window.sameDocument") is True
    assert not Notice.objects.exists()
