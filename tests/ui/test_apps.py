"""Apps and the Marketplace: connecting a database in Chromium, who may what, what an App's page shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import connections
from apps_connectors.models import App
from core.accounts.models import Role
from tests.mariadb import MariaDB
from tests.ui.shop import Shop, make_shop, make_user
from tests.ui.test_browser import find_faults, signed_in
from tests.ui.test_pages import read

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_connection_stays() -> Iterator[None]:
    yield
    connections.close_all()


@pytest.fixture
def editor(db: None, client: Client) -> Client:
    """A client signed in as someone who may change Apps."""
    client.force_login(make_user(Role.EDITOR))
    return client


def make_orphan() -> App:
    """An App whose plugin was taken away."""
    return App.objects.create(type="gone_tool", name="Old tool", options={"host": "tool.example.com"})


# ---------------------------------------------------------------- what the pages say


def test_the_page_of_an_app_shows_what_uses_it(viewer: Client, shop: Shop) -> None:
    warehouse = shop.apps["Warehouse"].pk
    page = viewer.get(f"/apps/{warehouse}/").content.decode()
    for address in ("properties/of-app", "schedules/of-app", "outbound-events/of-app"):
        assert f'hx-get="/{address}/{warehouse}/"' in page
    properties = read(viewer.get(f"/properties/of-app/{warehouse}/"))
    assert "Properties that Warehouse fills" in properties
    assert "Lifetime value" in properties
    assert "Newsletter" not in properties.partition("Lifetime value")[2]  # another App's
    schedules = read(viewer.get(f"/schedules/of-app/{shop.apps['Newsletter'].pk}/"))
    assert "Schedules that use Newsletter" in schedules
    assert "Sends" in schedules
    assert "Reads" not in schedules


def test_an_app_that_nothing_uses_says_so_in_each_place(viewer: Client, shop: Shop) -> None:
    orphan = make_orphan()
    assert "No property asks it." in read(viewer.get(f"/properties/of-app/{orphan.pk}/"))
    assert "No schedule reads from it or sends to it." in read(viewer.get(f"/schedules/of-app/{orphan.pk}/"))
    assert viewer.get("/properties/of-app/999/").status_code == 404
    assert viewer.get("/schedules/of-app/999/").status_code == 404


def test_an_app_whose_plugin_is_gone_says_so_and_keeps_what_it_has(editor: Client) -> None:
    orphan = make_orphan()
    page = editor.get(f"/apps/{orphan.pk}/")
    assert "Its plugin is not installed The App is of the type gone_tool" in read(page)
    assert "tool.example.com" in read(page)
    assert b"Test connection" not in page.content
    assert "gone_tool, whose plugin is not installed" in read(editor.get("/apps/"))
    assert "Apps whose plugin is not installed Old tool of the type gone_tool" in read(editor.get("/marketplace/"))
    answer = editor.get(f"/apps/{orphan.pk}/edit/", follow=True)
    assert "is not installed. Install it to change the App." in read(answer)


def test_a_viewer_sees_no_button_that_changes_an_app_and_is_refused(viewer: Client, shop: Shop) -> None:
    app = shop.apps["Warehouse"]
    for url in ("/apps/", f"/apps/{app.pk}/", "/marketplace/"):
        page = read(viewer.get(url))
        assert "Connect PostgreSQL" not in page
        assert "Test connection" not in page
        assert "Delete App" not in page
    assert viewer.get("/apps/connect/postgres/").status_code == 403
    for act in ("test", "pause", "delete", "edit"):
        assert viewer.post(f"/apps/{app.pk}/{act}/").status_code == 403
    app.refresh_from_db()
    assert app.paused_at is None


def test_an_app_in_use_is_not_deleted_and_the_page_says_what_uses_it(editor: Client, shop: Shop) -> None:
    app = shop.apps["Warehouse"]
    asked = read(editor.get(f"/apps/{app.pk}/delete/"))
    assert "It is used by 4 import schedules, 6 properties" in asked
    answer = editor.post(f"/apps/{app.pk}/delete/")
    assert answer.status_code == 409
    assert b'role="alert"' in answer.content
    assert App.objects.filter(pk=app.pk).exists()


def test_a_form_that_is_wrong_names_what_is_needed_and_loses_nothing(editor: Client) -> None:
    answer = editor.post("/apps/connect/mysql/", {"name": "", "option_host": "db.example.com", "parallel_calls": "0"})
    assert answer.status_code == 422
    page = read(answer)
    assert "Name is needed." in page
    assert "Give 1 or more." in page
    assert b'value="db.example.com"' in answer.content
    assert not App.objects.exists()


# ---------------------------------------------------------------- in Chromium


def fill(page: Page, server: MariaDB, *, password: str) -> None:
    """Fill in the form of a MySQL App."""
    page.get_by_label("Name", exact=True).fill("Shop database")
    page.get_by_label("Host").fill(server.host)
    page.get_by_label("Port").fill(str(server.port))
    page.get_by_label("Database", exact=True).fill("apps_ui")
    page.get_by_label("User", exact=True).fill(server.user)
    page.locator("#id_option_password").fill(password)


@pytest.mark.browser
@pytest.mark.mariadb
@pytest.mark.django_db(transaction=True)
def test_a_person_connects_a_database_with_a_wrong_password_and_then_the_right_one(
    live_server: LiveServer, browser: Browser, axe_source: str, mariadb: MariaDB
) -> None:
    mariadb.create_database("apps_ui")
    mariadb.run("apps_ui", ["create table customers (id int primary key, email text)",
                            "insert into customers values (1, 'alice@example.com')"])  # fmt: skip
    make_user(Role.EDITOR)
    with signed_in(browser, live_server) as page:
        page.get_by_role("link", name="Apps").click()
        page.get_by_role("link", name="Connect MySQL").click()
        fill(page, mariadb, password="wrong")
        page.get_by_role("button", name="Connect and test").click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Shop database is saved, but it does not answer.")
        expect(alert).to_be_focused()
        expect(page.get_by_label("Host")).to_have_value(mariadb.host)
        expect(page.locator("#id_option_password")).to_have_value("")  # never sent back
        assert find_faults(page, axe_source) == []
        page.locator("#id_option_password").fill(mariadb.password)
        page.get_by_role("button", name="Save and test").click()
        expect(page.get_by_role("status").first).to_contain_text("Shop database is saved and answers")
        expect(page.locator("#sample")).to_contain_text("alice@example.com")  # its rows come by themselves
        page.get_by_role("button", name="Test connection").click()
        expect(page.locator(".health[role=status]")).to_contain_text("Healthy")
        assert mariadb.password not in page.content()
        assert find_faults(page, axe_source) == []


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (375, "dark")])
def test_no_page_of_apps_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    make_user(Role.EDITOR)
    shop = make_shop()
    app, silent, orphan = shop.apps["Warehouse"].pk, shop.apps["Newsletter"].pk, make_orphan().pk
    pages = ["/apps/", f"/apps/{silent}/", f"/apps/{orphan}/", f"/apps/{app}/delete/", "/apps/connect/mailchimp/",
             f"/properties/of-app/{app}/", f"/schedules/of-app/{app}/", "/marketplace/"]  # fmt: skip
    faults = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for url in pages:
            page.goto(f"{live_server.url}{url}")
            expect(page.locator("[hx-trigger^=load]")).to_have_count(0)
            faults[url] = find_faults(page, axe_source)
        page.goto(f"{live_server.url}/apps/connect/postgres/")
        page.get_by_role("button", name="Connect and test").click()
        expect(page.get_by_role("alert")).to_be_focused()
        faults["error"] = find_faults(page, axe_source)
    assert {url: found for url, found in faults.items() if found} == {}


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_without_script_an_app_is_connected_looked_into_paused_and_deleted(
    live_server: LiveServer, browser: Browser, tmp_path: object
) -> None:
    make_user(Role.EDITOR)
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/apps/connect/demo/")
        page.get_by_label("Name", exact=True).fill("Little shop")
        page.get_by_label("File").fill(f"{tmp_path}/shop.sqlite")
        page.get_by_role("button", name="Connect and test").click()
        expect(page.get_by_role("status").first).to_contain_text("Little shop is connected")
        page.get_by_role("link", name="Show the first rows").click()
        page.get_by_label("Table").select_option("users")
        page.get_by_role("button", name="Show rows").click()
        expect(page.get_by_role("region", name="First rows of users").locator("tbody tr")).to_have_count(10)
        page.get_by_role("link", name="Little shop").click()
        page.get_by_role("button", name="Pause App").click()
        expect(page.get_by_role("main")).to_contain_text("nothing is read from it or sent to it")
        page.get_by_role("link", name="Delete App").click()
        page.get_by_role("button", name="Delete App").click()
        expect(page.get_by_role("status").first).to_contain_text("The App Little shop was deleted.")
    assert not App.objects.exists()
