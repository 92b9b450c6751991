"""Property rules in Chromium: tried on a real person before they are saved, with JavaScript and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from core.accounts.models import Role
from core.work import leases
from pipeline import refresh
from profiles.models import Profile, ProfilePropertyRule
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop
from tests.ui.shop import make_user
from tests.ui.test_browser import find_faults, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    make_user(Role.EDITOR)
    rule("user_id", "integer", is_unique=True, label="User id")
    made = Shop(tmp_path)
    take(event({"user_id": 1}), event({"user_id": 2}))
    return made


def test_a_property_is_tried_on_a_person_and_then_made(
    live_server: LiveServer, browser: Browser, axe_source: str, shop: Shop
) -> None:
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/properties/")
        page.get_by_role("link", name="Add a property").click()
        page.evaluate("window.sameDocument = true")
        page.get_by_label("Name", exact=True).fill("First name")
        page.get_by_label("App", exact=True).select_option(label="Shop")
        page.get_by_role("textbox", name="Query").fill("select nick from users where id = {{profile.user_id}}")
        page.locator("#try_on").fill("1")
        page.get_by_role("button", name="Try it").click()
        trial = page.locator("#trial")
        expect(trial).to_contain_text("That does not work yet.")
        expect(trial).to_contain_text("nick")
        assert find_faults(page, axe_source) == []
        page.get_by_role("textbox", name="Query").fill("select first_name from users where id = {{profile.user_id}}")
        page.get_by_role("button", name="Try it").click()
        expect(trial.locator(".figure")).to_have_text("Alice")
        expect(trial).to_contain_text("with user id 1")
        expect(trial.locator("pre")).to_contain_text("first_name")
        expect(page.get_by_role("textbox", name="Query")).to_have_value(
            "select first_name from users where id = {{profile.user_id}}"
        )
        assert page.evaluate("window.sameDocument") is True
        assert find_faults(page, axe_source) == []
        page.get_by_role("button", name="Save property").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("First name")
        expect(page.get_by_text("Everyone’s values are asked for again")).to_be_visible()
        while leases.run_slice("rehydrate", refresh.go_through_everyone):
            pass
        expect(page.get_by_text("Done for everyone")).to_be_visible(timeout=10_000)
    assert ProfilePropertyRule.objects.get(key="first_name").retrieval == "query"
    assert sorted(Profile.objects.values_list("properties__first_name", flat=True)) == ["Alice", "Bob"]


def test_what_a_choice_asks_for_is_shown_with_it_alone(live_server: LiveServer, browser: Browser, shop: Shop) -> None:
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/properties/new/")
        expect(page.get_by_role("textbox", name="Query")).to_be_visible()
        expect(page.get_by_label("Rank among identities")).to_be_hidden()
        page.get_by_label("Identifies a person").check()
        expect(page.get_by_label("Rank among identities")).to_be_visible()
        page.get_by_label("Take it from a column of an App, without SQL").check()
        expect(page.get_by_role("textbox", name="Query")).to_be_hidden()
        page.get_by_label("App", exact=True).select_option(label="Shop")
        expect(page.locator("select#id_table")).to_be_visible()
        wait_for_htmx(page)
        page.get_by_label("Table", exact=True).select_option("purchases")
        page.locator("#id_column option", has_text="total").wait_for(state="attached")
        wait_for_htmx(page)
        page.get_by_label("Column", exact=True).select_option("total")
        expect(page.get_by_label("Most or least recent by")).to_be_hidden()
        page.get_by_label("Of these rows take").select_option(label="the most recent")
        expect(page.get_by_label("Most or least recent by")).to_be_visible()
        page.get_by_label("Wait for it in events and uploads").check()
        expect(page.get_by_label("Of these rows take")).to_be_hidden()


def test_without_script_a_column_is_found_step_by_step(live_server: LiveServer, browser: Browser, shop: Shop) -> None:
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/properties/new/")
        page.get_by_role("button", name="Save property").last.click()
        expect(page.get_by_role("alert")).to_contain_text("Name: Give the property a name.")
        expect(page.get_by_role("alert")).to_contain_text("Query: Write the query.")
        page.get_by_label("Name", exact=True).fill("Lifetime value")
        page.get_by_label("Type", exact=True).select_option(label="Number")
        page.get_by_label("Take it from a column of an App, without SQL").check()
        page.get_by_label("App", exact=True).select_option(label="Shop")
        page.get_by_role("button", name="Load the tables").click()
        page.get_by_label("Table", exact=True).select_option("purchases")
        page.get_by_role("button", name="Load the columns").click()
        page.get_by_label("Column", exact=True).select_option("total")
        page.get_by_label("Of these rows take").select_option(label="the sum")
        page.get_by_role("button", name="Save property").last.click()
        expect(page.get_by_role("alert")).to_contain_text("Choose the column that says whose row it is.")
        page.get_by_label("Column that says whose row it is").select_option("user_id")
        page.get_by_label("Property it matches").select_option(label="User id")
        page.get_by_role("button", name="Add a condition").click()
        page.get_by_label("Column of condition 1").select_option("total")
        page.get_by_label("Condition 1", exact=True).select_option(label="is at least")
        page.get_by_label("Value of condition 1").fill("6")
        page.locator("#try_on").fill("1")
        page.get_by_role("button", name="Try it").click()
        expect(page.locator("#trial .figure")).to_have_text("10.00")
        page.get_by_role("button", name="Save property").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Lifetime value")
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete property").click()
        expect(page.get_by_text("its values are being taken away")).to_be_visible()
    assert ProfilePropertyRule.objects.get(key="lifetime_value").state == "deleted"
