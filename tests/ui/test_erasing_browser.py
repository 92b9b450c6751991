"""The journey "erase a person" in Chromium: from their page to the proof, with and without script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db.models.functions import Now
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from core.accounts.models import Role
from plugins.contracts import ACCEPTED, Outcome, OutcomeKind
from profiles.models import Profile
from schedules.erasing.models import Erasure, ErasureDestination
from tests.schedules.destinations import make_due
from tests.schedules.erasing.world import ALICE, BOB, World, finish, make_world, shelf, work
from tests.ui.shop import make_user
from tests.ui.test_browser import MODES, find_faults, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.alone, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    made = make_world(monkeypatch)
    make_user(Role.ADMIN)
    return made


def reject(item: object) -> Outcome:
    return Outcome(OutcomeKind.REJECT, "This contact is on a legal hold.")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_erasing_a_person(live_server: LiveServer, browser: Browser, world: World, script: bool) -> None:
    schedule = world.export()
    shelf(schedule).answer = reject
    with signed_in(browser, live_server, script=script) as page:
        page.goto(f"{live_server.url}/profiles/{world.alice}/")
        if not script:
            page.get_by_role("link", name="Show what they may ask for").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download everything as JSON").click()
        assert json.loads(Path(download.value.path()).read_text())["profile"]["properties"]["email"] == ALICE
        page.get_by_role("link", name="Erase this person").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Erase")
        page.get_by_role("button", name="Erase this person").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Type “erase” to go on").fill("erase")
        page.get_by_role("button", name="Erase this person").click()
        expect(page.get_by_role("status").first).to_contain_text("nothing that names this person is taken in")
        erasure = Erasure.objects.get()
        for _ in range(3):
            make_due()
            work()
        page.reload()
        expect(page.get_by_text("This contact is on a legal hold.")).to_be_visible()
        shelf(schedule).answer = lambda item: ACCEPTED
        ErasureDestination.objects.update(next_at=Now())
        finish(erasure)
        if not script:
            page.reload()
        expect(page.get_by_role("heading", name="Destinations")).to_be_visible()
        expect(page.get_by_role("main")).to_contain_text("Removed", timeout=10_000)
        page.get_by_role("link", name="Erasures").last.click()
        page.get_by_role("link", name=f"Erasure {erasure.pk}").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Proof of erasure {erasure.pk}")
    assert set(shelf(schedule).rows) == {BOB}
    assert not Profile.objects.filter(pk=world.alice).exists()


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_no_page_of_it_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, world: World, width: int, theme: str
) -> None:
    schedule = world.export()
    faults: dict[str, list[str]] = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:

        def look(name: str, url: str) -> None:
            page.goto(f"{live_server.url}{url}")
            wait_for_htmx(page)
            expect(page.locator("[hx-trigger^=load]")).to_have_count(0)
            if found := find_faults(page, axe_source):
                faults[name] = found

        look("none", "/erasures/")
        look("new", f"/erasures/new/{world.alice}/")
        look("slot", f"/erasures/of-profile/{world.alice}/")
        shelf(schedule).answer = reject
        erasure = world.erase()
        for _ in range(3):
            make_due()
            work()
        look("under way", f"/erasures/{erasure.pk}/")
        look("profile", f"/profiles/{world.alice}/")
        look("by hand", f"/erasures/{erasure.pk}/by-hand/{erasure.destinations.get().pk}/")
        shelf(schedule).answer = lambda item: ACCEPTED
        ErasureDestination.objects.update(next_at=Now())
        finish(erasure)
        look("proof", f"/erasures/{erasure.pk}/")
        look("list", "/erasures/")
    assert faults == {}
