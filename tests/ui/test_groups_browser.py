"""Groups in Chromium: rules row by row with a live count, a pasted list, and the same without JavaScript."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, FilePayload, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from groups.groups_store import create_group
from groups.models import Group, GroupMember
from tests.factories import make_profiles
from tests.groups.people import recalculate_all
from tests.pipeline.people import event, rule, take
from tests.ui.shop import make_shop, make_user
from tests.ui.test_browser import find_faults, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PEOPLE = [("alice@example.com", "Alice", 120), ("bob@example.com", "Bob", 0), ("charlie@example.com", "Charlie", 40)]


@pytest.fixture
def people() -> None:
    make_user(Role.EDITOR)
    rule("email", "email", is_unique=True, label="Email")
    rule("first_name", label="First name")
    rule("ltv", "float", label="Lifetime value")
    rule("bought_at", "date", label="Last purchase")
    take(*[event({"email": email, "first_name": name, "ltv": ltv}) for email, name, ltv in PEOPLE])


def pick(page: Page, place: int, label: str, operator: str) -> None:
    """Choose a rule's property and then its operator; the row comes anew after each."""
    for name, choice in ((f"Property of rule {place}", label), (f"How rule {place} compares", operator)):
        wait_for_htmx(page)
        page.get_by_label(name).focus()
        with page.expect_response(page.url):
            page.get_by_label(name).select_option(label=choice)
    wait_for_htmx(page)


def test_a_group_is_made_row_by_row_with_its_count_before_it_is_saved(
    live_server: LiveServer, browser: Browser, axe_source: str, people: None
) -> None:
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/groups/")
        page.get_by_role("link", name="Make a group by rules").click()
        page.evaluate("window.sameDocument = true")
        pick(page, 1, "Lifetime value", "is greater than")
        expect(page.get_by_label("How rule 1 compares")).to_be_focused()
        expect(page.get_by_role("status")).to_contain_text("as soon as every rule is complete")
        page.get_by_label("Value of rule 1").fill("10")
        page.get_by_label("Value of rule 1").press("Tab")
        live = page.locator("#live")
        expect(live).to_contain_text("people match, 66.7 % of everyone")
        expect(live).to_contain_text("People whose Lifetime value is greater than 10.")
        expect(page.locator("#num-0")).to_contain_text("2")
        page.get_by_role("button", name="Add a rule").click()
        expect(page.get_by_label("Property of rule 2")).to_be_focused()
        pick(page, 2, "First name", "does not equal")
        page.get_by_label("Value of rule 2").fill("Alice")
        page.get_by_label("Value of rule 2").press("Tab")
        expect(live).to_contain_text("1 fewer")
        expect(live.get_by_role("link")).to_have_text("Charlie")
        assert find_faults(page, axe_source) == []
        assert page.evaluate("window.sameDocument") is True

        page.get_by_role("button", name="Save group").last.click()
        problem = page.get_by_role("alert")
        expect(problem).to_contain_text("Nothing was saved")
        expect(problem).to_be_focused()
        problem.get_by_role("link", name="Name").click()
        expect(page.get_by_label("Name", exact=True)).to_be_focused()
        assert find_faults(page, axe_source) == []
        page.get_by_label("Name", exact=True).fill("Charlies")
        page.get_by_role("button", name="Save group").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Charlies")
        expect(page.get_by_text("Members are being found")).to_be_visible()
        recalculate_all()
        expect(page.get_by_text("All members are found")).to_be_visible(timeout=10_000)
        page.get_by_role("link", name="Show them").click()
        expect(page.locator("#member-list tbody tr")).to_have_count(1)


def test_a_group_is_made_with_the_keyboard_alone(live_server: LiveServer, browser: Browser, people: None) -> None:
    def tab_to(label: str) -> None:
        for _ in range(8):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent").strip() == label:
                return
        raise AssertionError(f"{label} is not reached")

    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/groups/new/")
        page.get_by_label("Name", exact=True).focus()
        page.keyboard.type("Spenders")
        tab_to("Property of rule 1")
        page.keyboard.type("Lifetime")
        expect(page.get_by_label("How rule 1 compares")).to_be_visible()
        wait_for_htmx(page)
        tab_to("How rule 1 compares")
        with page.expect_response("**/groups/new/"):  # the first letters choose others on the way to the one meant
            page.keyboard.type("is at least")
        wait_for_htmx(page)
        tab_to("Value of rule 1")
        page.keyboard.type("100")
        tab_to("Remove rule 1")
        expect(page.locator("#live")).to_contain_text("1 person matches")
        tab_to("Add a rule")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Property of rule 2")).to_be_focused()
        wait_for_htmx(page)
        tab_to("Remove rule 2")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Property of rule 2")).to_have_count(0)
        expect(page.get_by_label("Property of rule 1")).to_be_focused()
        expect(page.get_by_label("Name", exact=True)).to_have_value("Spenders")
        page.get_by_label("Name", exact=True).press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Spenders")
    asked = {"property": "ltv", "operator": "greater_than_or_equal", "value": 100}
    assert Group.objects.get().rules == {"match": "all", "rules": [asked]}


def test_nested_rules_of_every_kind_are_made_with_the_keyboard_alone(
    live_server: LiveServer, browser: Browser, axe_source: str, people: None
) -> None:
    vips = create_group("VIPs", kind="manual", actor=SYSTEM)
    take(
        *[
            event({"email": "alice@example.com", "total": total}, type="Purchase", at=timezone.now())
            for total in (12, 30, 3)
        ]
    )

    def tab_to(label: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            active = "document.activeElement.ariaLabel ?? document.activeElement.textContent"
            if page.evaluate(active).strip() == label:
                return
        raise AssertionError(f"{label} is not reached")

    def choose(label: str, text: str) -> None:
        """The first letters choose in a list; where other fields follow from it, the row comes anew."""
        tab_to(label)
        if label.startswith("Group"):
            page.keyboard.type(text)
        else:
            with page.expect_response("**/groups/new/"):
                page.keyboard.type(text)
        wait_for_htmx(page)
        expect(page.get_by_label(label, exact=True).locator("option:checked")).to_have_text(re.compile(f"^{text}"))

    def press(label: str, lands_on: str) -> None:
        tab_to(label)
        page.keyboard.press("Enter")
        expect(page.get_by_label(lands_on, exact=True)).to_be_focused()
        wait_for_htmx(page)
        page.keyboard.press("Shift+Tab")

    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/groups/new/")
        page.get_by_label("Name", exact=True).focus()
        page.keyboard.type("Good customers")
        choose("Property of rule 1", "Lifetime")
        choose("How rule 1 compares", "is greater than")
        tab_to("Value of rule 1")
        page.keyboard.type("100")
        press("Add a block of rules", "Property of rule 2.1")
        choose("Property of rule 2.1", "First name")
        tab_to("Value of rule 2.1")
        page.keyboard.type("Alice")
        press("Add a block of rules to block 2", "Property of rule 2.2.1")
        choose("Property of rule 2.2.1", "Another group")
        choose("Group of rule 2.2.1", "VIPs")
        press("Add a rule", "Property of rule 3")
        choose("Property of rule 3", "Something they did")
        tab_to("Event of rule 3")
        page.keyboard.type("Purchase")
        choose("How rule 3 compares", "at least")
        tab_to("How often, rule 3")
        page.keyboard.type("2")
        choose("When, rule 3", "in the past")
        tab_to("How many, rule 3")
        page.keyboard.type("30")
        press("Ask about what it carried of rule 3", "Key of condition 1 of rule 3")
        tab_to("Key of condition 1 of rule 3")
        page.keyboard.type("total")
        choose("Kind of condition 1 of rule 3", "number")
        choose("How condition 1 of rule 3 compares", "is greater than")
        tab_to("Value of condition 1 of rule 3")
        page.keyboard.type("10")
        live = page.locator("#live")
        expect(live).to_contain_text("1 person matches")
        expect(live).to_contain_text("did Purchase at least twice where total is greater than 10 in the past 30 days")
        expect(page.get_by_role("status")).to_have_text("1 person matches of 3.")
        assert find_faults(page, axe_source) == []
        page.get_by_label("Name", exact=True).press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Good customers")
    rules = Group.objects.get(name="Good customers").rules
    assert rules is not None
    assert rules["rules"][1]["rules"][1] == {"match": "any", "rules": [{"group": vips.pk, "operator": "in"}]}
    assert rules["rules"][2]["where"] == [{"key": "total", "type": "number", "operator": "greater_than", "value": 10}]


def test_rows_are_taken_away_and_any_of_them_may_be_enough(
    live_server: LiveServer, browser: Browser, people: None
) -> None:
    tree = {
        "match": "all",
        "rules": [
            {"property": "ltv", "operator": "equals", "value": 0},
            {"property": "first_name", "operator": "equals", "value": "Alice"},
            {"property": "bought_at", "operator": "in_the_past", "value": {"amount": 7, "unit": "days"}},
        ],
    }
    group = create_group("Some", kind="calculated", rules=tree, actor=SYSTEM)
    with signed_in(browser, live_server, width=375) as page:
        page.goto(f"{live_server.url}/groups/{group.pk}/edit/")
        expect(page.locator("#live")).to_contain_text("No one matches yet")
        page.get_by_role("button", name="Remove rule 3").click()
        expect(page.get_by_label("Property of rule 3")).to_have_count(0)
        page.get_by_label("Match").select_option("any")
        expect(page.locator("#live")).to_contain_text("2 people match")
        page.get_by_role("button", name="Save group").last.click()
        expect(page.locator(".sentence")).to_contain_text("Lifetime value is 0 or whose First name is “Alice”")
    group.refresh_from_db()
    assert group.rules == {"match": "any", "rules": tree["rules"][:2]}


def test_without_script_a_group_is_made_by_buttons(live_server: LiveServer, browser: Browser, people: None) -> None:
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/groups/new/")
        page.get_by_role("button", name="Save group").last.click()
        expect(page.get_by_role("alert")).to_contain_text("2 things need mending. Nothing was saved.")
        expect(page.get_by_role("alert")).to_contain_text("Name: Give the group a name.")
        expect(page.get_by_role("alert")).to_contain_text("Rule 1: Choose a property.")
        page.get_by_label("Name", exact=True).fill("Spenders")
        page.get_by_label("Property of rule 1").select_option(label="Lifetime value")
        page.get_by_role("button", name="Count people").click()
        expect(page.get_by_label("Name", exact=True)).to_have_value("Spenders")
        page.get_by_label("How rule 1 compares").select_option(label="is between")
        page.get_by_role("button", name="Save group").last.click()
        expect(page.get_by_role("alert")).to_contain_text("Rule 1: ltv is between")
        page.get_by_label("Least value of rule 1").fill("1")
        page.get_by_label("Greatest value of rule 1").fill("50")
        page.get_by_role("button", name="Count people").click()
        expect(page.locator("#live")).to_contain_text("1 person matches")
        page.get_by_role("button", name="Save group").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Spenders")
    assert Group.objects.get().rules == {
        "match": "all",
        "rules": [{"property": "ltv", "operator": "between", "value": [1, 50]}],
    }


def test_a_pasted_list_gives_back_the_lines_that_name_nobody(
    live_server: LiveServer, browser: Browser, axe_source: str, people: None
) -> None:
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/groups/new/manual/")
        page.get_by_label("Name", exact=True).fill("Dinner")
        page.get_by_role("button", name="Make group").click()
        page.get_by_role("link", name="Paste a list").click()
        page.get_by_role("textbox", name="People").fill("ALICE@example.com\nnobody@example.com\n\nbob@example.com")
        page.get_by_role("button", name="Use this list").click()
        notice = page.locator(".notice")
        expect(notice).to_contain_text("2 people joined.")
        expect(notice).to_contain_text("1 line names nobody we know.")
        expect(page.get_by_role("textbox", name="People")).to_have_value("nobody@example.com")
        assert find_faults(page, axe_source) == []
        notice.get_by_role("link", name="Show the group").click()
        page.get_by_role("button", name="Take out Bob").click()
        expect(page.get_by_text("They were taken out of the group.")).to_be_visible()
        page.get_by_label("Person to put in").fill("charlie@example.com")
        page.get_by_role("button", name="Put in").click()
        expect(page.locator("#member-list tbody tr")).to_have_count(2)

        page.get_by_role("link", name="Paste a list").click()
        listed = FilePayload(name="people.csv", mimeType="text/csv", buffer=b"name,email\nBob,bob@example.com\n")
        page.get_by_label("Or a CSV").set_input_files(files=listed)
        page.get_by_label("Make them its members, and nobody else").check()
        page.get_by_role("button", name="Use this list").click()
        expect(notice).to_contain_text("1 person joins and 2 people leave")
        expect(notice).to_contain_text("Nothing was changed yet")
        assert GroupMember.objects.count() == 2
        page.get_by_role("button", name="Use this list").click()
        expect(page.get_by_text("1 person joined and 2 people left.")).to_be_visible()
        expect(page.locator("#member-list tbody tr")).to_have_count(1)

        page.goto(f"{live_server.url}/profiles/")
        for name in ("Alice", "Charlie"):
            page.get_by_role("checkbox", name=f"Choose {name}").check()
        page.get_by_label("Manual group for those chosen").select_option(label="Dinner")
        page.get_by_role("button", name="Put into it").click()
        expect(page.get_by_text("2 people joined Dinner.")).to_be_visible()
        assert find_faults(page, axe_source) == []
        for name in ("Alice", "Bob"):
            page.get_by_role("checkbox", name=f"Choose {name}").check()
        page.get_by_role("button", name="Take out those chosen").click()
        expect(page.get_by_text("2 people were taken out of the group.")).to_be_visible()
        expect(page.locator("#member-list tbody tr")).to_have_count(1)


def test_a_person_is_refreshed_and_put_into_a_group_on_their_page(
    live_server: LiveServer, browser: Browser, axe_source: str, people: None
) -> None:
    create_group("Dinner", kind="manual", actor=SYSTEM)
    tree = {"match": "all", "rules": [{"property": "ltv", "operator": "greater_than", "value": 10}]}
    create_group("Spenders", kind="calculated", rules=tree, actor=SYSTEM)
    recalculate_all()
    [nobody] = make_profiles([{}])
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/profiles/?q=bob@example.com")
        page.get_by_role("link", name="Bob").click()
        page.get_by_role("button", name="Refresh now").click()
        expect(page.get_by_text("There was no App to ask")).to_be_visible()
        page.get_by_label("Manual group").select_option(label="Dinner")
        page.get_by_role("button", name="Put into group").click()
        expect(page.get_by_text("They are in Dinner now.")).to_be_visible()
        page.get_by_text("Why not in the other calculated group").click()
        expect(page.locator(".why", has_text="Spenders")).to_contain_text("Lifetime value is greater than 10")
        assert find_faults(page, axe_source) == []
        page.get_by_role("button", name="Take out of Dinner").click()
        expect(page.get_by_text("In no group.")).to_be_visible()
        page.goto(f"{live_server.url}/profiles/{nobody}/")
        assert find_faults(page, axe_source) == []
    assert not GroupMember.objects.filter(group__name="Dinner").exists()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")])
def test_no_page_that_changes_something_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, width: int, theme: str
) -> None:
    make_user(Role.EDITOR)
    shop = make_shop()
    lapsed, guests = shop.groups["Lapsed customers"].pk, shop.groups["Spring dinner guests"].pk
    ltv = shop.rules["ltv"].pk
    pages = [
        *(f"/groups/{path}" for path in ("new/", "new/manual/", "new/by_value/?property=locale", f"{lapsed}/edit/")),
        *(f"/groups/{path}" for path in (f"{guests}/", f"{guests}/people/")),
        *(f"/groups/{path}" for path in (f"{guests}/edit/", f"{lapsed}/delete/")),
        *(f"/properties/{path}" for path in ("new/", f"{ltv}/", f"{ltv}/edit/", f"{ltv}/delete/")),
        f"/profiles/{shop.evan.pk}/",
    ]
    faults: dict[str, list[str]] = {}
    complaints: list[str] = []
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        for url in pages:
            page.goto(f"{live_server.url}{url}")
            expect(page.locator("[hx-trigger^=load]")).to_have_count(0)
            if found := find_faults(page, axe_source):
                faults[url] = found
    assert faults == {}
    assert complaints == []
