"""The team's pages: people, API keys, settings, the audit log; for admins alone."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from core.accounts import keys, project
from core.accounts.actors import SYSTEM
from core.accounts.models import ApiKey, Role, User
from tests.ui.shop import make_shop, make_user
from tests.ui.test_browser import find_faults, signed_in
from tests.ui.test_pages import read

pytestmark = pytest.mark.django_db

ADMINS_PAGES = ("/team/", "/team/add/", "/team/invite/", "/api-keys/", "/api-keys/create/", "/settings/",
                "/settings/stop-sending/", "/audit-log/")  # fmt: skip


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    """A client signed in as an admin."""
    client.force_login(make_user(Role.ADMIN))
    return client


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_only_an_admin_sees_the_teams_pages(client: Client, role: Role) -> None:
    client.force_login(make_user(role))
    for url in ADMINS_PAGES:
        assert client.get(url).status_code == 403, url
        assert client.post(url).status_code in {403, 405}, url
    sidebar = client.get("/account/").content.decode()
    assert 'href="/team/"' not in sidebar
    assert 'href="/marketplace/"' in sidebar


def test_the_sidebar_leads_an_admin_everywhere(admin: Client) -> None:
    page = admin.get("/team/").content.decode()
    for place in ("", "profiles/", "properties/", "groups/", "events/", "apps/", "schedules/", "runs/",
                  "outbound-events/", "marketplace/", "team/", "api-keys/", "audit-log/", "settings/"):  # fmt: skip
        assert f'<li><a href="/{place}"' in page, place
        assert admin.get(f"/{place}").status_code == 200, place
    assert '<li><a href="/team/" aria-current="page">' in page


def test_the_last_admin_stays_one_and_the_page_says_why(admin: Client) -> None:
    alice = User.objects.get()
    answer = admin.post(f"/team/{alice.pk}/", {"name": "Alice", "role": "viewer", "is_active": "on"})
    assert answer.status_code == 422
    assert b'role="alert"' in answer.content
    alice.refresh_from_db()
    assert alice.role == Role.ADMIN


def test_a_setting_that_is_wrong_is_named_and_nothing_is_saved(admin: Client) -> None:
    given = {"name": "", "time_zone": "Europe/Paris", "phone_region": "FR", "event_retention_days": "1",
             "log_retention_days": "365", "delivery_retention_days": "90", "guard_share": "20",
             "guard_minimum": "50"}  # fmt: skip
    answer = admin.post("/settings/", given)
    assert answer.status_code == 422
    page = read(answer)
    assert "Name is needed." in page
    assert "Days that events are kept : Give 7 or more." in page
    assert str(project.current().time_zone) != "Europe/Paris"


def test_the_audit_log_tells_before_and_after_in_the_projects_words(admin: Client) -> None:
    key, token = keys.create_key("Shop checkout", ["events:write"], actor=SYSTEM)
    keys.revoke_key(key.pk, actor=SYSTEM)
    page = read(admin.get("/audit-log/"))
    assert "Grouparoo revoked the API key Shop checkout" in page
    assert token not in page
    assert "Revoked at" in page
    assert "T" not in page.partition("Revoked at")[2].split()[0]  # a date as people write it
    filtered = read(admin.get("/audit-log/?kind=profile_group"))
    assert "No change fits these filters." in filtered


# ---------------------------------------------------------------- in Chromium


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_an_admin_creates_a_key_that_is_shown_once_and_revokes_it(live_server: LiveServer, browser: Browser) -> None:
    make_user(Role.ADMIN)
    with signed_in(browser, live_server) as page:
        page.get_by_role("link", name="API keys").click()
        page.get_by_role("link", name="Create a key").click()
        page.get_by_role("button", name="Create key").click()
        expect(page.get_by_role("alert")).to_be_focused()
        page.get_by_role("alert").get_by_role("link", name="What it may do").click()
        page.get_by_label("Name", exact=True).fill("Shop checkout")
        page.get_by_label("Send and read events").check()
        page.get_by_role("button", name="Create key").click()
        shown = page.get_by_label("Token")
        expect(shown).to_be_focused()
        token = shown.input_value()
        headers = {"Authorization": f"Bearer {token}"}
        [address] = re.findall(r"http://\S+", page.get_by_role("region", name="A first call").inner_text())
        assert page.request.get(address, headers=headers).status == 200
        page.get_by_role("link", name="Go to the keys").click()
        assert token not in page.content()
        page.get_by_role("link", name="Revoke Shop checkout").click()
        expect(page.get_by_role("main")).to_contain_text("Programs that use it are refused from now on.")
        page.get_by_role("button", name="Revoke key").click()
        expect(page.get_by_role("status").first).to_contain_text("The key Shop checkout opens nothing any more.")
        assert page.request.get(address, headers=headers).status == 401
    assert ApiKey.objects.get().revoked_at is not None


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_without_script_an_admin_adds_a_person_and_switches_them_off(live_server: LiveServer, browser: Browser) -> None:
    make_user(Role.ADMIN)
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/team/add/")
        page.get_by_label("Email").fill("bob@example.com")
        page.get_by_label("Name").fill("Bob")
        page.get_by_label("Editor:").check()
        page.get_by_role("button", name="Add person").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Bob is in the team")
        password = page.get_by_label("Password").input_value()
        bob = User.objects.get(email="bob@example.com")
        assert bob.check_password(password)
        assert bob.role == Role.EDITOR
        page.get_by_role("link", name="Go to the team").click()
        page.get_by_role("link", name="Edit Bob").click()
        page.get_by_label("May sign in").uncheck()
        page.get_by_role("button", name="Save person").click()
        expect(page.get_by_role("status").first).to_contain_text("Bob was changed.")
        expect(page.get_by_role("row", name="Bob")).to_contain_text("Switched off")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (375, "light")])
def test_no_page_of_the_team_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    alice = make_user(Role.ADMIN)
    make_shop()
    key, _ = keys.create_key("Shop checkout", ["events:write", "profiles:read"], actor=SYSTEM)
    faults = {}
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for url in (*ADMINS_PAGES, f"/team/{alice.pk}/", f"/api-keys/{key.pk}/revoke/", "/account/"):
            page.goto(f"{live_server.url}{url}")
            faults[url] = find_faults(page, axe_source)
        for url, button in (("/team/add/", "Add person"), ("/api-keys/create/", "Create key")):
            page.goto(f"{live_server.url}{url}")
            page.get_by_role("button", name=button).click()
            expect(page.get_by_role("alert")).to_be_focused()
            faults[f"{url} with errors"] = find_faults(page, axe_source)
        page.goto(f"{live_server.url}/settings/")
        page.get_by_label("Days that events are kept").fill("1")
        page.get_by_role("button", name="Save settings").click()
        expect(page.get_by_role("alert")).to_be_focused()
        faults["/settings/ with errors"] = find_faults(page, axe_source)
    assert {url: found for url, found in faults.items() if found} == {}
