"""An export to a webhook in Chromium: its template, the fields that it asks for, and what is said of a broken one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps_connectors import apps_store, connections
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from schedules.models import Schedule
from tests.factories import make_rule
from tests.receiver import Receiver, run_receiver
from tests.ui.shop import make_user
from tests.ui.test_browser import MODES, find_faults, signed_in, wait_for_htmx

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TEMPLATE = '{\n  "mail": "{{email}}",\n  "first": "{{name}}",\n  "what": "{{action}}"\n}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver
    connections.close_all()


@pytest.fixture
def app(receiver: Receiver, transactional_db: None) -> App:
    make_user(Role.EDITOR)
    make_rule("email", "email", is_unique=True, identity_rank=1)
    make_rule("first_name")
    return apps_store.create_app("webhook", "CRM", {"url": receiver.url, "secret": receiver.secret}, actor=SYSTEM)


def open_editor(page: Page, live_server: LiveServer, app: App) -> None:
    page.goto(f"{live_server.url}/schedules/new/export/{app.pk}/")


@pytest.mark.parametrize("script", [True, False])
def test_the_mapping_asks_for_the_fields_of_the_template(
    live_server: LiveServer, browser: Browser, app: App, script: bool
) -> None:
    with signed_in(browser, live_server, script=script) as page:
        open_editor(page, live_server, app)
        page.get_by_label("URL of this export").fill("/people")
        page.get_by_label("Profiles in one request").fill("100")
        page.get_by_label("Body template").fill(TEMPLATE)
        page.get_by_role("button", name="Look up its fields").click()
        expect(page.get_by_label("Property for name")).to_be_visible()
        expect(page.get_by_label("Property for email")).to_have_value("email")
        expect(page.get_by_label("Body template")).to_have_value(TEMPLATE)
        page.get_by_label("Property for name").select_option("first_name")
        page.get_by_label("Everyone").check()
        page.get_by_label("Known by").select_option("email")
        page.get_by_label("When someone starts it").check()
        page.get_by_role("button", name="Create schedule").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("CRM")
    schedule = Schedule.objects.get()
    assert schedule.options["template"].replace("\r\n", "\n") == TEMPLATE
    assert (schedule.options["at_once"], schedule.options["url"]) == ("100", "/people")
    assert set(schedule.fields.values_list("field", "rule__key")) == {("email", "email"), ("name", "first_name")}


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_a_broken_template_is_told_beside_it(
    live_server: LiveServer, browser: Browser, axe_source: str, app: App, width: int, theme: str
) -> None:
    with signed_in(browser, live_server, width=width, theme=theme) as page:
        open_editor(page, live_server, app)
        wait_for_htmx(page)
        assert find_faults(page, axe_source) == []
        page.get_by_label("Body template").fill('{"age": {{age}}}')
        page.get_by_label("Everyone").check()
        page.get_by_role("button", name="Create schedule").click()
        field = page.get_by_label("Body template")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page.locator(".is-wrong", has=field)).to_contain_text("not JSON: look at line 1, column 10")
        expect(page.get_by_role("alert")).to_have_count(1)  # and not a second time on top
        assert find_faults(page, axe_source) == []
    assert not Schedule.objects.exists()
