"""Schedules, uploads and events in Chromium: made, run, looked at, with what is wrong said beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import apps_store, connections
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from events.models import Event
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import importing
from schedules.models import Schedule
from tests.pipeline.people import event, take
from tests.profiles.shop import Shop as Source
from tests.ui.shop import make_user
from tests.ui.test_browser import MODES, find_faults, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Latin-1, a row too short, one too long, one that names nobody.
PEOPLE = "user_id;first_name;city\n1;René;Köln\n2;Bob\n3;Charlie;Bonn;too much\n;Nobody;Ulm\n".encode("latin-1")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A shop to import from, and the property that tells people apart."""
    make_user(Role.EDITOR)
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    create_rule(NewRule("first_name", "string"), actor=SYSTEM)
    apps_store.create_app("csv", "Files", {}, actor=SYSTEM)
    return Source(tmp_path)


@pytest.fixture(autouse=True)
def _no_connection_stays() -> None:
    connections.close_all()


def work() -> None:
    """What a worker does."""
    while importing.work_slice():
        pass


def test_a_schedule_made_in_the_browser_runs_and_people_appear(
    live_server: LiveServer, browser: Browser, source: Source, axe_source: str
) -> None:
    with signed_in(browser, live_server) as page:
        page.get_by_role("link", name="Schedules").click()
        page.get_by_role("link", name="New import").first.click()
        page.get_by_role("link", name="Shop").click()
        page.get_by_label("Table", exact=True).select_option("users")
        page.get_by_label("Property fed by first_name").select_option("first_name")
        page.get_by_label("Property fed by id").select_option("user_id")
        page.get_by_label("Id column").select_option("id")
        page.get_by_role("button", name="Try the first rows").click()
        tried = page.get_by_role("region", name="The first rows and what becomes of them")
        expect(tried.get_by_role("row").nth(1)).to_contain_text("Makes a profile")
        expect(tried).to_contain_text("first_name: Alice")
        assert find_faults(page, axe_source) == []
        assert not Schedule.objects.exists()
        page.get_by_label("Minutes between two runs").fill("0")
        page.get_by_role("button", name="Create schedule").click()
        problem = page.get_by_role("alert")
        expect(problem).to_be_focused()
        expect(problem).to_contain_text("Minutes between two runs")
        page.get_by_label("When someone starts it").check()  # the 0 stays where it no longer matters
        page.get_by_role("button", name="Create schedule").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("users")
        page.get_by_role("button", name="Run now").click()
        work()
        expect(page.get_by_role("main")).to_contain_text("Complete", timeout=10_000)  # by itself
        expect(page.get_by_role("main")).to_contain_text("3 people new")
    assert Profile.objects.count() == 3


def test_an_upload_says_what_it_found_before_and_what_it_rejected_after(
    live_server: LiveServer, browser: Browser, source: Source, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_bytes(PEOPLE)
    with signed_in(browser, live_server, script=False) as page:
        page.get_by_role("link", name="Schedules").first.click()
        page.get_by_role("link", name="Upload a CSV").click()
        page.locator("input[type=file]").set_input_files(tmp_path / "people.csv")
        page.locator("main form button").last.click()
        main = page.get_by_role("main")
        expect(main).to_contain_text("Read as Latin-1")
        expect(main).to_contain_text("Köln")
        expect(main).to_contain_text("Line 3 will be rejected: 2 values where the header has 3")
        assert not Event.objects.exists()
        page.get_by_role("button", name="Import the file").click()
        work()
        page.reload()
        expect(main).to_contain_text("2 values where the header has 3")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download these rows as a CSV").click()
        rejected = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert "3,Charlie,Bonn,too much" in rejected
    assert [profile.properties["first_name"] for profile in Profile.objects.all()] == ["René"]


def test_an_event_is_followed_from_its_payload_to_the_person(
    live_server: LiveServer, browser: Browser, source: Source
) -> None:
    take(event({"user_id": 7, "first_name": "Alice", "items": ["red shirt"]}, type="cart"))
    with signed_in(browser, live_server) as page:
        page.get_by_role("link", name="Events", exact=True).first.click()
        page.locator("main table tbody a").first.click()
        main = page.get_by_role("main")
        expect(main).to_contain_text("red shirt")
        expect(main).to_contain_text("No property has this key.")
        page.get_by_role("link", name="Open the profile").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Alice")


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_no_page_of_schedules_uploads_and_events_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, source: Source, width: int, theme: str, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_bytes(PEOPLE)
    take(event({"user_id": 7, "first_name": "Alice", "items": ["red shirt"]}, type="cart"))
    made = Event.objects.get()
    faults: dict[str, list[str]] = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:

        def look(name: str) -> None:
            if found := find_faults(page, axe_source):
                faults[name] = found

        for url in (
            "/events/",
            f"/events/{made.pk}/",
            "/events/?type=nothing",
            "/schedules/new/import/",
            "/schedules/new/export/",
            f"/schedules/new/import/{source.app.pk}/",
            f"/schedules/new/export/{source.app.pk}/",
            "/schedules/upload/",
        ):
            page.goto(f"{live_server.url}{url}")
            look(url)
        page.locator("input[type=file]").set_input_files(tmp_path / "people.csv")
        page.locator("main form button").last.click()
        expect(page.get_by_role("main")).to_contain_text("Read as Latin-1")
        look("the columns of an upload")
        page.goto(f"{live_server.url}/schedules/new/import/{source.app.pk}/")
        page.get_by_label("Table", exact=True).select_option("users")
        expect(page.get_by_label("Property fed by first_name")).to_be_visible()
        page.get_by_label("Minutes between two runs").fill("0")
        page.get_by_role("button", name="Create schedule").click()
        expect(page.get_by_role("alert")).to_be_visible()
        look("an import with mistakes")
    assert faults == {}
    assert not Schedule.objects.exists()
