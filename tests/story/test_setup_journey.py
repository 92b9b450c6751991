"""From an empty installation to the first export, by someone who sees it for the first time, in the browser alone.

Real processes do the work. One address is typed, the first; every click and every field that is filled in is counted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg2
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.accounts.models import Role, User
from core.lib.servers import PROJECT
from grouparoo.demo.databases import app_options
from schedules.models import Schedule
from tests.faults.conftest import make_database
from tests.faults.product import Product
from tests.story.test_journey import PASSWORD
from tests.ui.conftest import axe_source, browser
from tests.ui.test_browser import find_faults
from tests.waiting import wait_until

__all__ = ["axe_source", "browser"]

pytestmark = [pytest.mark.browser]

MOST_ACTIONS = 40
MOST_SECONDS = 240.0  # of a script that reads nothing; a person has ten minutes
LONG = 40_000  # milliseconds that a worker may take

_SHOP = """
create table customers (
    id bigint primary key, email text not null, first_name text, country text, updated_at timestamptz default now()
);
insert into customers (id, email, first_name, country)
select n, 'person' || n || '@example.com', 'Person ' || n, case when n % 3 = 0 then 'AT' else 'DE' end
  from generate_series(1, 30) n;
"""
_NEWSLETTER = "create table subscribers (email text primary key, first_name text, country text)"


@dataclass
class Person:
    """Someone at a browser. Each of these is one thing they do."""

    page: Page
    actions: int = 0

    def click(self, what: Locator) -> None:
        self.actions += 1
        what.click()

    def press(self, name: str) -> None:
        """The button or link of this name in the page's main part."""
        main = self.page.get_by_role("main")
        self.click(main.get_by_role("button", name=name).or_(main.get_by_role("link", name=name)).last)

    def write(self, label: str, text: str) -> None:
        self.actions += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def choose(self, label: str, choice: str) -> None:
        self.actions += 1
        self.page.get_by_label(label, exact=True).select_option(label=choice)


@pytest.fixture
def person(product: Product, browser: Browser) -> Iterator[Person]:
    """Someone in front of a product that nobody has an account of."""
    product.env["FIRST_ADMIN_IN_BROWSER"] = "true"
    subprocess.run([sys.executable, "manage.py", "prepare"], check=True, cwd=PROJECT, env=product.env)
    for database, sql in (("shop", _SHOP), ("newsletter", _NEWSLETTER)):
        make_database(product.servers, database)
        run_sql(product, database, sql)
    product.start_web()
    product.start_beat()
    product.start_workers(1, processes=2)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"http://127.0.0.1:{product.port}/")
    yield Person(page)
    context.close()


def test_a_first_export_takes_at_most_forty_actions(product: Product, person: Person, axe_source: str) -> None:
    began = time.monotonic()
    faults: dict[str, list[str]] = {}

    def look(where: str) -> None:
        if found := find_faults(person.page, axe_source):
            faults[where] = found

    look("Welcome")
    make_account(person)
    look("Home")
    connect(person, "shop")
    look("App")
    make_properties(person)
    look("Properties")
    bring_in(person)
    look("Schedule")
    make_group(person)
    look("Group")
    export(person)
    look("Run")
    took = time.monotonic() - began
    print(f"{person.actions} clicks and fields in {took:.0f} s")
    wait_until(lambda: len(subscribers(product)) == 10, what="the Austrians are at the destination", within=40)
    assert set(subscribers(product)) == {(f"person{n}@example.com", f"Person {n}", "AT") for n in range(3, 31, 3)}
    assert Schedule.objects.get(direction="export").enabled, "sending the plan switched it on"
    assert faults == {}
    assert person.actions <= MOST_ACTIONS
    assert took <= MOST_SECONDS


# ---------------------------------------------------------------- what they do


def make_account(person: Person) -> None:
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Welcome")
    expect(person.page.get_by_label("Email", exact=True)).to_be_focused()
    person.write("Email", "alice@example.com")
    person.write("Password", PASSWORD)
    person.press("Make my account")
    expect(person.page.get_by_role("heading", name="From nothing to the first export")).to_be_visible()
    assert list(User.objects.values_list("email", "role")) == [("alice@example.com", Role.ADMIN)]


def connect(person: Person, database: str) -> None:
    """The server of the test listens on a socket, so its folder is the host; a password is not asked for."""
    if database == "shop":
        person.press("Connect an App")
    person.press("Connect PostgreSQL")
    options = app_options("product")
    person.write("Name", database.capitalize())
    person.write("Host", options["host"])
    person.write("Database", database)
    person.write("User", options["user"])
    person.press("Connect and test")
    expect(person.page.get_by_role("heading", level=1)).to_have_text(database.capitalize())
    expect(person.page.get_by_role("main")).to_contain_text("Healthy")


def make_properties(person: Person) -> None:
    person.press("Choose what to know of a person")
    person.choose("Table", "customers")
    expect(person.page.get_by_label("Key for email")).to_have_value("email")
    person.press("Make the ticked properties")
    expect(person.page.get_by_role("status").first).to_contain_text("5 properties made")


def bring_in(person: Person) -> None:
    person.press("Bring people in")
    expect(person.page.get_by_label("Property fed by email", exact=True)).to_have_value("email")
    person.press("Create schedule")
    expect(person.page.get_by_role("main")).to_contain_text("30 rows read, 30 new", timeout=LONG)


def make_group(person: Person) -> None:
    person.press("Make a group")
    person.write("Name", "Austrians")
    with person.page.expect_response(person.page.url):
        person.choose("Property of rule 1", "Country")
    person.write("Value of rule 1", "AT")
    person.page.get_by_label("Value of rule 1").press("Tab")
    expect(person.page.locator("#live")).to_contain_text("10 people match", timeout=LONG)
    person.press("Save group")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Austrians")


def export(person: Person) -> None:
    person.press("Send people somewhere")
    person.press("Connect another App")
    connect(person, "newsletter")
    person.press("Send people somewhere")
    expect(person.page.get_by_label("Austrians", exact=True)).to_be_checked()
    person.write("Table", "subscribers")
    person.page.get_by_label("Table", exact=True).press("Tab")
    expect(person.page.get_by_label("Property for email", exact=True)).to_have_value("email")
    person.press("Save, and look first")
    expect(person.page.get_by_role("heading", name="10 created")).to_be_visible(timeout=LONG)
    person.press("Look at it, and decide")
    expect(person.page.get_by_role("region", name="Every row")).to_contain_text("person3@example.com")
    person.press("Send 10 rows")
    expect(person.page.get_by_role("main")).to_contain_text("10 created", timeout=LONG)


# ---------------------------------------------------------------- the two databases


def run_sql(product: Product, database: str, sql: str) -> None:
    with closing(psycopg2.connect(product.servers.places.database_url_of(database))) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(sql)


def subscribers(product: Product) -> list[tuple[str, ...]]:
    """What the newsletter holds."""
    url = product.servers.places.database_url_of("newsletter")
    with closing(psycopg2.connect(url)) as server, server.cursor() as cursor:
        cursor.execute("select email, first_name, country from subscribers order by email")
        found: list[tuple[str, ...]] = cursor.fetchall()
    return found
