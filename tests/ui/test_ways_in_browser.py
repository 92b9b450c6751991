"""The pages on which people set up ways in, in Chromium: webhooks, properties from a table, merging, uploads."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from events.models import Hook
from profiles.models import Profile, ProfilePropertyRule
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop
from tests.profiles.test_from_table import CUSTOMERS
from tests.ui.shop import make_user
from tests.ui.test_browser import MODES, find_faults, follow, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("SCREENSHOTS")  # a folder, to look at the pages


def look(page: Page, axe_source: str, name: str, faults: dict[str, list[str]]) -> None:
    """Note what is wrong with a page."""
    page.wait_for_load_state()
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
    if found := find_faults(page, axe_source):
        faults[name] = found


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_pages_that_set_up_ways_in_have_no_fault_that_axe_finds(
    live_server: LiveServer, browser: Browser, axe_source: str, tmp_path: Path, width: int, theme: str
) -> None:
    make_user(role=Role.EDITOR)
    rule("user_id", "integer", is_unique=True, identity_rank=1)
    rule("email", "email", is_unique=True, identity_rank=2)
    rule("first_name")
    shop = Shop(tmp_path)
    shop.run(CUSTOMERS.replace("email", "mail"))
    take(event({"user_id": 1, "first_name": "Alice"}), event({"email": "alice@example.com", "first_name": "Al"}, at=1))
    one, other = Profile.objects.order_by("guid").values_list("guid", flat=True)
    apps_store.create_app("csv", "Checkout", {}, actor=SYSTEM)
    faults: dict[str, list[str]] = {}
    mode = f"{width}-{theme}"
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        page.goto(f"{live_server.url}/profiles/{one}/merge/?q=alice")
        look(page, axe_source, f"merge-search-{mode}", faults)
        page.goto(f"{live_server.url}/profiles/{one}/merge/?with={other}")
        look(page, axe_source, f"merge-{mode}", faults)
        page.get_by_role("button", name="Merge both into").click()
        expect(page.get_by_text("The two are one person now")).to_be_visible()
        page.goto(f"{live_server.url}/profiles/{one}/merges/")
        look(page, axe_source, f"merges-{mode}", faults)
        page.get_by_role("button", name="Make them two again").click()
        expect(page.get_by_text("They are two people again")).to_be_visible()

        page.goto(f"{live_server.url}/properties/from-table/?app={shop.app.pk}&table=customers")
        look(page, axe_source, f"from-table-{mode}", faults)
        page.get_by_label("Key for mail").fill("No key!")
        follow(page, page.get_by_role("button", name="Make the ticked properties"))
        look(page, axe_source, f"from-table-wrong-{mode}", faults)
        page.get_by_label("Key for mail").fill("address")
        page.get_by_role("button", name="Make the ticked properties").click()
        expect(page.get_by_text("made. Everyone is being asked")).to_be_visible()

        set_up_a_webhook(page, live_server, axe_source, mode, faults)
    assert faults == {}
    assert ProfilePropertyRule.objects.filter(key="address", type="email").exists()


def set_up_a_webhook(
    page: Page, live_server: LiveServer, axe_source: str, mode: str, faults: dict[str, list[str]]
) -> None:
    """Make the address, send something to it, see it appear by itself, and say what it means."""
    app = App.objects.get(name="Checkout")
    page.goto(f"{live_server.url}/apps/{app.pk}/hook/")
    look(page, axe_source, f"hook-none-{mode}", faults)
    page.get_by_role("button", name="Make an address").click()
    expect(page.get_by_text("Listening until")).to_be_visible()
    address = page.locator("code.value").inner_text()
    body = b'{"event": "order.paid", "customer": {"mail": "alice@example.com"}}'
    with urlopen(Request(address, body, {"Content-Type": "application/json"}), timeout=10) as answer:
        assert answer.status == 200
    expect(page.get_by_text("customer.mail", exact=True)).to_be_visible(timeout=10_000)
    wait_for_htmx(page)
    page.get_by_label("Email, which identifies").fill("customer.mail")
    page.get_by_label("Type of event").fill("event")
    look(page, axe_source, f"hook-{mode}", faults)
    page.get_by_role("button", name="Save webhook").click()
    expect(page.get_by_text("The webhook is saved")).to_be_visible()
    assert Hook.objects.get().mapping["fields"] == {"email": "customer.mail"}
