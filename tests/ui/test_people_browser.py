"""People in Chromium: inviting a colleague from the first click to their second factor, and nothing that axe finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.accounts import invitations, project, resets, two_factor
from core.accounts.actors import SYSTEM
from core.accounts.models import Invitation, Role, TwoFactor, User
from tests.mailserver import run_mail_server, use
from tests.ui.shop import PASSWORD, make_user
from tests.ui.test_browser import find_faults, follow, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NEW = "another long walk by the sea"


@contextmanager
def visitor(browser: Browser, *, width: int = 1280, theme: str = "light", script: bool = True) -> Iterator[Page]:
    """A browser of someone who has not signed in."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if theme == "dark" else "light",
        java_script_enabled=script,
        reduced_motion="reduce",
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def let_time_pass(user: User) -> None:
    """The next code comes in half a minute: let the last one have been taken a minute ago."""
    TwoFactor.objects.filter(person=user).update(last_step=0)


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_an_admin_invites_a_colleague_who_sets_up_two_factors_and_signs_in_with_a_code(
    live_server: LiveServer, browser: Browser, script: bool
) -> None:
    make_user(Role.ADMIN)
    with signed_in(browser, live_server, script=script) as admin, visitor(browser, script=script) as page:
        admin.get_by_role("link", name="Team").first.click()
        admin.get_by_role("link", name="Invite a person").click()
        admin.get_by_label("Email").fill("bob@example.com")
        admin.get_by_label("Editor:").check()
        admin.get_by_role("button", name="Make invitation").click()
        link = admin.get_by_label("Link").input_value()
        admin.get_by_role("link", name="Go to the team").click()
        expect(admin.get_by_role("listitem").filter(has_text="bob@example.com")).to_contain_text("As editor")

        page.goto(link)
        expect(page.get_by_role("main")).to_contain_text("Alice Okafor invites you as editor.")
        page.get_by_label("Name").fill("Bob")
        page.get_by_label("Password").fill(NEW)
        page.get_by_role("button", name="Join the team").click()
        expect(page.get_by_role("status").first).to_contain_text("Welcome, Bob.")

        page.goto(f"{live_server.url}/account/")
        page.get_by_role("link", name="Set it up").click()
        page.get_by_role("button", name="Show the picture").click()
        expect(page.locator("svg.qr")).to_be_visible()
        app = pyotp.TOTP(re.sub(r"\s", "", page.locator("code.value").inner_text()))
        page.get_by_label("Code").fill("000000")
        page.get_by_role("button", name="Turn it on").click()
        expect(page.get_by_role("alert")).to_contain_text("This is not the code")
        page.get_by_label("Code").fill(app.now())
        page.get_by_role("button", name="Turn it on").click()
        expect(page.get_by_role("list", name="Recovery codes").get_by_role("listitem")).to_have_count(10)
        recovery = page.get_by_role("list", name="Recovery codes").get_by_role("listitem").first.inner_text()
        page.get_by_role("link", name="I have kept them").click()

        page.get_by_role("button", name="Sign out").click()
        sign_in(page, live_server, "bob@example.com", NEW)
        expect(page.get_by_role("heading", level=1)).to_have_text("Enter your code")
        let_time_pass(User.objects.get(email="bob@example.com"))
        page.get_by_label("Code").fill(app.now())
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="Groups").first).to_be_visible()

        page.get_by_role("button", name="Sign out").click()
        sign_in(page, live_server, "bob@example.com", NEW)
        page.get_by_label("Code").fill(recovery)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"{live_server.url}/account/")
        expect(page.get_by_role("main")).to_contain_text("9 recovery codes left")
        expect(page.get_by_role("listitem").filter(has_text="this one")).to_contain_text("Chrome on Linux")

        admin.reload()
        expect(admin.get_by_role("row", name="Bob")).to_contain_text("On")
        expect(admin.get_by_text("Invited")).to_have_count(0)


def sign_in(page: Page, server: LiveServer, email: str, password: str) -> None:
    page.goto(f"{server.url}/sign-in/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_someone_asks_for_a_new_password_and_signs_in_with_it(
    live_server: LiveServer, browser: Browser, settings: Any
) -> None:
    make_user()
    with run_mail_server() as server, visitor(browser) as page:
        use(settings, server)
        page.goto(live_server.url)
        page.get_by_role("link", name="Forgot your password?").click()
        page.get_by_label("Email").fill("alice@example.com")
        page.get_by_role("button", name="Send the link").click()
        expect(page.get_by_role("status")).to_contain_text("a link is on its way")
        assert resets.send_some()
        [letter] = server.letters
        [link] = re.findall(r"http://\S+", letter.get_content())
        page.goto(link)
        page.get_by_label("New password").fill(NEW)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
        sign_in(page, live_server, "alice@example.com", NEW)
        expect(page.get_by_role("link", name="Groups").first).to_be_visible()


def test_one_ends_the_session_of_another_browser(live_server: LiveServer, browser: Browser) -> None:
    make_user()
    with signed_in(browser, live_server) as here, signed_in(browser, live_server, width=375) as there:
        there.goto(f"{live_server.url}/account/")
        here.goto(f"{live_server.url}/account/")
        here.get_by_role("button", name="End the session").click()
        expect(here.get_by_role("status").first).to_contain_text("That session has ended.")
        there.goto(f"{live_server.url}/groups/")
        expect(there.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(here.get_by_role("button", name="End all others")).to_have_count(0)


def open_invitation() -> str:
    """An invitation that was sent, and one whose time is over; the path of the first."""
    _, token = invitations.invite("bob@example.com", "editor", actor=SYSTEM)
    old, _ = invitations.invite("charlie@example.com", "viewer", actor=SYSTEM)
    Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1))
    return invitations.path_of(token)


def for_whoever_is_outside(alice: User) -> list[str]:
    """Pages before one is signed in."""
    return ["/sign-in/", "/new-password/", open_invitation(), resets.make_path(alice), "/invitation/nothing/"]


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")])
def test_no_page_of_people_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, settings: Any, width: int, theme: str
) -> None:
    alice, faults = make_user(Role.ADMIN), {}

    def look(page: Page, name: str) -> None:
        faults[f"{name} at {page.url}"] = find_faults(page, axe_source)

    with visitor(browser, width=width, theme=theme) as page:
        for path in for_whoever_is_outside(alice):
            page.goto(f"{live_server.url}{path}")
            look(page, "outside")
        settings.EMAIL_HOST = "127.0.0.1"
        page.goto(f"{live_server.url}/new-password/")
        page.get_by_role("button", name="Send the link").click()
        expect(page.get_by_role("alert")).to_be_focused()
        look(page, "with an error")
        settings.EMAIL_HOST = ""
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        for path in ("/team/", "/team/invite/", f"/team/{alice.pk}/", "/account/", "/account/two-factor/"):
            page.goto(f"{live_server.url}{path}")
            look(page, "inside")
        follow(page, page.get_by_role("button", name="Show the picture"))
        look(page, "the picture")
        page.get_by_label("Code").fill(pyotp.TOTP(two_factor.secret_to_scan(alice.pk)).now())
        follow(page, page.get_by_role("button", name="Turn it on"))
        look(page, "recovery codes")
        for path in ("/account/", "/account/two-factor/", "/account/two-factor/off/", "/account/two-factor/codes/"):
            page.goto(f"{live_server.url}{path}")
            look(page, "with two factors")
        project.update({"two_factor_required": True}, actor=SYSTEM)
        project.forget()
        for path in ("/team/", f"/team/{alice.pk}/", f"/team/{alice.pk}/two-factor-off/", "/account/two-factor/"):
            page.goto(f"{live_server.url}{path}")
            look(page, "where two factors are required")
        page.goto(f"{live_server.url}/team/{alice.pk}/")
        follow(page, page.get_by_role("button", name="Make a link"))
        look(page, "a link for a new password")
        page.goto(f"{live_server.url}/team/")
        follow(page, page.get_by_role("button", name="Send again to bob@example.com"))
        look(page, "a link of an invitation")
    with visitor(browser, width=width, theme=theme) as page:
        sign_in(page, live_server, "alice@example.com", PASSWORD)
        look(page, "the code")
        page.get_by_label("Code").fill("nothing")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_focused()
        look(page, "a wrong code")
    assert {name: found for name, found in faults.items() if found} == {}
    assert len(faults) == 5 + 1 + 5 + 2 + 4 + 4 + 2 + 2
