"""The whole story by a person with a browser: nothing is set up before but the account, and real processes do the work.

Sign in, connect a database (with a wrong password first), define properties and try one on a person, import, make a
group, export it to Mailchimp, subscribe Mailchimp to events, and see an event arrive. No step uses the API.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from core.lib.servers import PROJECT
from groups.models import GroupMember
from plugins.mailchimp.standin.server import Standin
from tests.faults.product import Product
from tests.mariadb import MariaDB
from tests.story.conftest import AUDIENCE
from tests.story.test_story import CART, DATABASE, LTV, STORY, events_of, fill_shop, members_of
from tests.ui.conftest import axe_source, browser
from tests.ui.test_browser import find_faults, follow
from tests.waiting import wait_until

__all__ = ["axe_source", "browser"]

pytestmark = [pytest.mark.browser, pytest.mark.mariadb]

PASSWORD = "a long enough passphrase"
WITHIN = 60.0


@pytest.fixture
def person(product: Product, browser: Browser) -> Iterator[Page]:
    """Ada's browser at the front page of the running product."""
    env = {**product.env, "GROUPAROO_USER_PASSWORD": PASSWORD}
    for command in ("prepare", "createuser --email ada@example.com --name Ada --role editor"):
        subprocess.run([sys.executable, "manage.py", *command.split()], check=True, cwd=PROJECT, env=env)
    product.start_web()
    product.start_beat()
    product.start_workers(2)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.goto(f"http://127.0.0.1:{product.port}/")
    yield page
    context.close()


def test_a_person_does_the_whole_story_without_the_api(
    person: Page, mariadb: MariaDB, mailchimp: Standin, axe_source: str
) -> None:
    fill_shop(mariadb)
    faults: dict[str, list[str]] = {}

    def look(where: str) -> None:
        if found := find_faults(person, axe_source):
            faults[where] = found

    sign_in(person)
    look("Home")
    connect_shop(person, mariadb)
    look("App")
    define_properties(person)
    look("Property")
    import_users(person)
    look("Run")
    make_group(person)
    look("Group")
    export_to_mailchimp(person, mailchimp)
    expected = {"evan@grouparoo.com": ("Evan", ["USA customers"])}
    wait_until(lambda: members_of(mailchimp) == expected, what="Evan is a member", within=WITHIN)
    look("Export")
    subscribe(person)
    mariadb.run(DATABASE, [CART])
    import_carts(person)
    wait_until(lambda: bool(events_of(mailchimp)), what="the event is at Mailchimp", within=WITHIN)
    see_the_event(person)
    look("Delivery")
    assert faults == {}
    [event] = events_of(mailchimp)
    assert event["properties"]["cart_items"] == '["red shirt"]'
    assert json.loads(event["properties"]["profile"]) == STORY["profile"]


# ---------------------------------------------------------------- what Ada does


def go(page: Page, name: str) -> None:
    """Through the sidebar. What is pressed next is on the page that comes, also where both have a link of its name."""
    follow(page, page.get_by_role("link", name=name).first)


def sign_in(page: Page) -> None:
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="From nothing to the first export")).to_be_visible()


def connect_shop(page: Page, mariadb: MariaDB) -> None:
    go(page, "Apps")
    page.get_by_role("link", name="Connect MySQL").click()
    page.get_by_label("Name", exact=True).fill("Warehouse")
    page.get_by_label("Host").fill(mariadb.host)
    page.get_by_label("Port").fill(str(mariadb.port))
    page.get_by_label("Database").fill(DATABASE)
    page.get_by_label("User").fill(mariadb.user)
    page.get_by_role("textbox", name="Password").fill("wrong")
    page.get_by_role("button", name="Connect and test").click()
    expect(page.get_by_role("main")).to_contain_text("refused the password")
    page.get_by_role("textbox", name="Password").fill(mariadb.password)
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Warehouse")
    page.get_by_label("Table").select_option("users")
    page.get_by_role("button", name="Show rows").click()
    expect(page.locator("#sample")).to_contain_text("evan@grouparoo.com")
    assert mariadb.password not in page.content()


def define_properties(page: Page) -> None:
    add_property(page, "User id", type_="Whole number", unique=True)
    for name, type_ in (("Email", "Email address"), ("First name", "Text"), ("Locale", "Text")):
        key = name.lower().replace(" ", "_")
        add_property(
            page,
            name,
            type_=type_,
            unique=name == "Email",
            query=f"select {key} from users where id = {{{{profile.user_id}}}}",
        )
    add_property(page, "Lifetime value", type_="Number", query=LTV)
    add_property(page, "Cart abandoned at", type_="Date")


def add_property(page: Page, name: str, *, type_: str, unique: bool = False, query: str = "") -> None:
    go(page, "Properties")
    page.get_by_role("link", name=re.compile("^Add (a|the first) property")).click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Type", exact=True).select_option(label=type_)
    if unique:
        page.get_by_label("Identifies a person").check()
    if query:
        page.get_by_label("App", exact=True).select_option(label="Warehouse")
        page.get_by_role("textbox", name="Query").fill(query)
    else:
        page.get_by_label("Wait for it in events and uploads").check()
    page.get_by_role("button", name="Save property").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def import_users(page: Page) -> None:
    run_import(page, "users", {"id": "User id"})
    page.get_by_role("link", name="Profiles").first.click()
    page.get_by_role("searchbox", name="Search people").fill("evan@grouparoo.com")
    page.get_by_role("searchbox", name="Search people").press("Enter")
    page.get_by_role("link", name="Evan").first.click()
    expect(page.get_by_role("main")).to_contain_text("en-us")
    go(page, "Runs")
    page.locator("main table tbody a").first.click()


def run_import(page: Page, table: str, feeds: dict[str, str]) -> None:
    """A new import of a table, run once by hand."""
    go(page, "Schedules")
    page.get_by_role("link", name="import").first.click()
    page.get_by_role("link", name="Warehouse").last.click()
    page.get_by_label("Table", exact=True).select_option(table)
    first = next(iter(feeds))
    expect(page.get_by_label(f"Property fed by {first}", exact=True)).to_be_visible()
    for column, name in feeds.items():
        choice = page.get_by_label(f"Property fed by {column}", exact=True)
        choice.select_option(value=name.lower().replace(" ", "_"))
    page.get_by_label("Id column").select_option(first)
    page.get_by_label("When someone starts it").check()
    page.get_by_role("button", name="Create schedule").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(table)
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("main")).to_contain_text("Complete", timeout=30_000)


def make_group(page: Page) -> None:
    go(page, "Groups")
    page.get_by_role("link", name="Make a group by rules").click()
    page.get_by_label("Name", exact=True).fill("USA customers")
    with page.expect_response(page.url):
        page.get_by_label("Property of rule 1").select_option(label="Locale")
    expect(page.get_by_label("How rule 1 compares").get_by_role("option", name="equals").first).to_be_attached()
    page.get_by_label("Value of rule 1").fill("en-us")
    page.get_by_label("Value of rule 1").press("Tab")
    expect(page.locator("#live")).to_contain_text("1 person matches")
    page.get_by_role("button", name="Save group").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("USA customers")
    wait_until(GroupMember.objects.exists, what="the group has its member", within=WITHIN)
    page.reload()
    expect(page.get_by_role("main").get_by_role("link", name="Evan").first).to_be_visible()


def export_to_mailchimp(page: Page, mailchimp: Standin) -> None:
    go(page, "Apps")
    page.get_by_role("link", name="Connect Mailchimp").click()
    page.get_by_label("Name", exact=True).fill("Mailchimp")
    page.get_by_label("API key").fill(mailchimp.key)
    page.get_by_text("More options").click()
    page.get_by_label("Server").fill(mailchimp.url)
    page.get_by_role("button", name="Connect and test").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Edit Mailchimp")  # it asks for the audience next
    page.get_by_label("Audience").select_option(value=AUDIENCE)
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mailchimp")
    go(page, "Schedules")
    page.get_by_role("link", name="export").first.click()
    page.get_by_role("link", name="Mailchimp").last.click()
    page.get_by_label("USA customers", exact=True).check()
    page.get_by_label("Property for FNAME").select_option("first_name")
    page.get_by_label("Property for email_address").select_option("email")
    page.get_by_label("Known by").select_option("email_address")
    page.get_by_role("button", name="Preview a person").click()
    expect(page.get_by_role("region", name="The row as it would be sent")).to_contain_text("evan@grouparoo.com")
    page.get_by_role("textbox", name="Name optional").fill("Mailchimp:members")
    page.get_by_role("button", name="Create schedule").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mailchimp:members")


def subscribe(page: Page) -> None:
    go(page, "Outbound events")
    page.get_by_role("link", name="Make a subscription").click()
    page.get_by_role("link", name="Mailchimp").last.click()
    page.get_by_label("Events that have a value under one key").check()
    page.get_by_label("Key", exact=True).fill("cart_abandoned_at")
    page.get_by_label("People in one of some groups").check()
    page.get_by_label("USA customers", exact=True).check()
    page.get_by_label("First name", exact=True).check()
    page.get_by_label("Email", exact=True).check()
    page.get_by_role("button", name="Create subscription").click()
    expect(page.get_by_role("status").first).to_contain_text("was made")


def import_carts(page: Page) -> None:
    run_import(page, "carts", {"user_id": "User id", "cart_abandoned_at": "Cart abandoned at"})


def see_the_event(page: Page) -> None:
    go(page, "Outbound events")
    page.locator("main table tbody th a").first.click()
    row = page.locator("#log tbody tr")
    expect(row).to_contain_text("Accepted", timeout=30_000)
    row.get_by_role("link").first.click()
    expect(page.get_by_role("region", name="The body as it is sent")).to_contain_text("red shirt")
