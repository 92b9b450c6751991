"""Outbound events in Chromium: a subscription is made, tried and used; axe-core finds no fault with its pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import connections
from core.accounts.models import Role
from schedules.outbound import replays, subscriptions
from schedules.outbound.models import Subscription
from tests.receiver import answer, run_receiver
from tests.schedules.outbound.world import deliver
from tests.ui.carts import Carts, make_carts, make_every_state
from tests.ui.shop import make_user
from tests.ui.test_browser import find_faults, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# what another theme can change of what axe-core looks at
CONTRASTS = """async () => (await axe.run(document, {runOnly: ['color-contrast']})).violations.flatMap(
    found => found.nodes.map(node => node.html.slice(0, 160)))"""


@pytest.fixture
def carts(transactional_db: None) -> Iterator[Carts]:
    """The shop, and someone who may edit."""
    make_user(Role.EDITOR)
    with run_receiver() as receiver:
        yield make_carts(receiver)
    connections.close_all()


def choose(page: Page, *labels: str) -> None:
    """Tick these."""
    for label in labels:
        page.get_by_label(label, exact=True).check()


def test_a_person_subscribes_an_app_tries_it_and_sees_an_event_arrive(
    live_server: LiveServer, browser: Browser, carts: Carts
) -> None:
    carts.leave()
    with signed_in(browser, live_server) as page:
        page.get_by_role("link", name="Outbound events").click()
        page.get_by_role("link", name="Make a subscription").click()
        page.get_by_role("link", name="Shop").click()
        choose(page, "Events that have a value under one key")
        page.get_by_label("Key", exact=True).fill("cart_abandoned_at")
        choose(page, "People in one of some groups", "Lapsed customers")
        choose(page, "First name", "Email")
        json = page.get_by_role("region", name="The JSON as it would be sent")
        expect(json).to_contain_text("red shirt")  # by itself
        expect(json).to_contain_text('"first_name": "Alice"')
        page.get_by_role("button", name="Create subscription").click()
        expect(page.get_by_role("status").first).to_contain_text("was made")
        expect(page.get_by_role("heading", level=1, name="Shop: events with cart_abandoned_at")).to_be_visible()

        page.get_by_role("button", name="Send test event").click()
        expect(page.locator("#tested")).to_contain_text("Accepted")
        expect(page.locator("#tested")).to_contain_text("200 OK")
        [tried] = carts.receiver.deliveries
        assert tried.signed
        assert tried.json["test"] is True

        expect(page.locator("#log")).to_contain_text("No event concerned it yet")
        carts.leave()
        deliver()
        row = page.locator("#log tbody tr")
        expect(row).to_contain_text("Accepted", timeout=10_000)  # by itself
        expect(page.locator("#figures")).to_contain_text("1 event")
        row.get_by_role("link", name="cart_abandoned").click()
        body = page.get_by_role("region", name="The body as it is sent")
        expect(body).to_contain_text('"email": "alice@example.com"')
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_role("status").first).to_contain_text("goes out again")
        deliver()
    bodies = [each.json for each in carts.receiver.deliveries[1:]]
    assert (
        bodies
        == [
            {
                "cart_abandoned_at": "Jan 5, 2019",
                "cart_items": ["red shirt"],
                "profile": {"user_id": 3, "first_name": "Alice", "email": "alice@example.com"},
            }
        ]
        * 2
    )
    assert len({each.id for each in carts.receiver.deliveries[1:]}) == 1


def test_without_script_a_person_previews_makes_tries_mends_and_deletes_a_subscription(
    live_server: LiveServer, browser: Browser, carts: Carts
) -> None:
    carts.leave()
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/outbound-events/new/{carts.app.pk}/")
        page.get_by_role("button", name="Create subscription").click()
        expect(page.get_by_role("alert")).to_contain_text("Name the type of the events")
        page.get_by_label("Type", exact=True).fill("cart_abandoned")
        page.get_by_role("button", name="Show the JSON").click()
        expect(page.get_by_role("region", name="The JSON as it would be sent")).to_contain_text("red shirt")
        page.get_by_role("button", name="Create subscription").click()
        carts.receiver.expect(answer(410))
        page.get_by_role("button", name="Send test event").click()
        expect(page.get_by_role("main")).to_contain_text("Something has to be mended first")
        page.get_by_role("link", name="Shop: cart_abandoned").click()

        carts.receiver.expect(answer(410))
        carts.leave()
        deliver()
        page.reload()
        expect(page.get_by_role("heading", name="It stopped and waits for you")).to_be_visible()
        page.get_by_role("button", name="Resume and send 1").click()
        deliver()
        page.reload()
        expect(page.locator("#log tbody tr")).to_contain_text("Accepted")

        page.get_by_role("button", name="Pause sending").click()
        carts.leave()
        deliver()
        page.get_by_role("link", name="Outbound events").first.click()
        page.get_by_role("link", name="Shop: cart_abandoned").click()
        page.get_by_role("link", name="Resume without…").click()
        expect(page.get_by_role("main")).to_contain_text("1 event that waits is never sent to Shop.")
        page.get_by_role("button", name="Skip and resume").click()
        expect(page.locator("#log tbody tr").first).to_contain_text("Skipped")
        page.get_by_role("link", name="Delete…").click()
        page.get_by_role("button", name="Delete subscription").click()
        expect(page.get_by_role("main")).to_contain_text("No subscriptions yet")
    assert not Subscription.objects.exists()
    assert len(carts.receiver.accepted) == 1


def test_conditions_are_added_and_the_preview_counts_what_fits(
    live_server: LiveServer, browser: Browser, carts: Carts
) -> None:
    for total in (5, 20, 30):
        carts.leave(3, total=total)
        carts.leave(4, total=total)
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/outbound-events/new/{carts.app.pk}/")
        page.get_by_label("Type", exact=True).fill("cart_abandoned")
        preview = page.locator("#preview")
        expect(preview).to_contain_text("6 of the last 6")
        page.get_by_role("button", name="Ask about what it carries").click()
        page.get_by_label("Key of condition 1").fill("total")
        page.get_by_label("Kind of condition 1").select_option("number")
        page.get_by_label("How condition 1 compares").select_option("greater_than")
        page.get_by_label("Value of condition 1").fill("10")
        expect(preview).to_contain_text("4 of the last 6")
        page.get_by_label("Property of rule 1").select_option("first_name")
        page.get_by_label("Value of rule 1").fill("Alice")
        expect(preview).to_contain_text("2 of the last 6")
        page.get_by_role("button", name="Remove condition 1").click()
        expect(page.get_by_label("Key of condition 1")).to_have_count(0)
        expect(preview).to_contain_text("3 of the last 6")
        page.get_by_role("button", name="Create subscription").click()
        expect(page.get_by_role("main")).to_contain_text("It is about people whose First name is “Alice”.")
    made = subscriptions.read_data(Subscription.objects.get())
    assert made.where == ()
    assert made.people is not None
    assert made.people["rules"] == [{"property": "first_name", "operator": "equals", "value": "Alice"}]


def test_without_script_conditions_are_added_mended_and_taken_away(
    live_server: LiveServer, browser: Browser, carts: Carts
) -> None:
    carts.leave()
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/outbound-events/new/{carts.app.pk}/")
        page.get_by_role("button", name="Ask about what it carries").click()
        expect(page.get_by_role("alert")).to_have_count(0)  # nothing is checked yet
        page.get_by_label("Type", exact=True).fill("cart_abandoned")
        choose(page, "First name")
        page.get_by_role("button", name="Add a rule").click()
        expect(page.get_by_label("Type", exact=True)).to_have_value("cart_abandoned")
        expect(page.get_by_label("First name", exact=True)).to_be_checked()
        page.get_by_role("button", name="Create subscription").click()
        expect(page.get_by_role("alert")).to_contain_text("Condition 1: Say which key of the payload.")
        page.get_by_label("Key of condition 1").fill("cart_items")
        page.get_by_label("Value of condition 1").fill("hat")
        page.get_by_role("button", name="Show the JSON").click()
        expect(page.locator("#preview")).to_contain_text("0 of the last 1")
        expect(page.locator("#preview")).to_contain_text("None of the latest such events fits")
        page.get_by_role("button", name="Remove condition 1").click()
        page.get_by_role("button", name="Create subscription").click()
        expect(page.get_by_role("status").first).to_contain_text("was made")
    assert subscriptions.read_data(Subscription.objects.get()).people is None


def test_a_person_sends_again_what_they_chose_or_all_that_fits(
    live_server: LiveServer, browser: Browser, carts: Carts
) -> None:
    made = carts.subscribe("Cart reminder")
    for user_id in (3, 3, 4):
        carts.leave(user_id)
    deliver()
    with signed_in(browser, live_server) as page:
        page.goto(f"{live_server.url}/outbound-events/{made.pk}/")
        page.get_by_role("link", name="Choose some").click()
        page.get_by_label("Choose cart_abandoned of Bob").check()
        page.get_by_role("button", name="Send the chosen ones again").click()
        expect(page.get_by_role("status").first).to_contain_text("1 event goes out again")
        deliver()
        assert len(carts.receiver.deliveries) == 4

        page.get_by_label("Person").fill("alice@example.com")
        page.get_by_role("button", name="Show deliveries").click()
        page.get_by_role("link", name="Send all that fit again…").click()
        expect(page.get_by_role("main")).to_contain_text("2 deliveries go out again, as they were.")
        page.get_by_role("button", name="Send again").click()
        expect(page.locator("#replay")).to_contain_text("Deliveries are sent again")
        while replays.work_slice():
            pass
        expect(page.locator("#replay")).to_contain_text("Taken up to be sent", timeout=10_000)  # by itself
        deliver()
    emails = [each.json["profile"]["email"] for each in carts.receiver.deliveries[4:]]
    assert emails == ["alice@example.com"] * 2


def test_a_new_subscription_is_sent_the_past(live_server: LiveServer, browser: Browser, carts: Carts) -> None:
    carts.leave()
    made = carts.subscribe("Cart reminder")
    with signed_in(browser, live_server, script=False) as page:
        page.goto(f"{live_server.url}/outbound-events/{made.pk}/")
        page.get_by_role("link", name="Send past events…").click()
        page.get_by_role("button", name="Count them").click()
        expect(page.get_by_role("alert")).to_contain_text("is needed")
        page.get_by_label("Events that came from").fill(
            (timezone.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
        )
        page.get_by_role("button", name="Count them").click()
        expect(page.get_by_role("main")).to_contain_text("3 events have come since then.")
        page.get_by_role("button", name="Send what it never got").click()
        expect(page.locator("#replay")).to_contain_text("What it never got is sent")
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_role("status").first).to_contain_text("No more is sent again")
        while replays.work_slice():
            pass
        page.reload()
        expect(page.locator("#replay")).to_contain_text("Sending again was stopped")
    deliver()
    assert carts.receiver.deliveries == []


def test_no_page_of_outbound_events_has_a_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, carts: Carts
) -> None:
    pages = make_every_state(carts)
    complaints: list[str] = []
    faults: dict[str, list[str]] = {}
    with signed_in(browser, live_server) as page:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        for name, url in pages.items():
            page.goto(f"{live_server.url}{url}")
            expect(page.locator("[hx-trigger^=load]")).to_have_count(0)
            for width in (1280, 375):
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme="light")
                if found := find_faults(page, axe_source):
                    faults[f"{name}, {width} px"] = found
                page.emulate_media(color_scheme="dark")
                if found := page.evaluate(CONTRASTS):
                    faults[f"{name}, {width} px, dark"] = found
    assert faults == {}
    assert complaints == []
