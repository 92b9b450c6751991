"""The pages offer Mailchimp's audiences, by the names that people know them by, to imports and to properties."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps_connectors import apps_store, connections
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from plugins.mailchimp.standin.server import Standin, merge_fields, run_standin
from profiles.models import ProfilePropertyRule
from schedules.models import Schedule
from tests.pipeline.people import event, rule, take
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.plugins.mailchimp.exports import put_member
from tests.ui.shop import make_user

pytestmark = pytest.mark.django_db

ALICE = "alice@example.com"
TITLE = f"Newsletter ({LIST})"
COLUMN = {
    "retrieval": "column",
    "table": LIST,
    "column": "status",
    "key_column": "email_address",
    "column_key": "email",
    "aggregation": "exact",
    "type": "string",
    "label": "Mailchimp status",
}


@pytest.fixture
def editor(client: Client) -> Client:
    client.force_login(make_user(Role.EDITOR))
    return client


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Mailchimp with one member, whom the product knows too."""
    with run_standin(tmp_path / "mailchimp.sqlite") as standin:
        standin.store.add_list(LIST, "Newsletter", merge_fields(FNAME="text"))
        put_member(standin, ALICE, status="unsubscribed", merge_fields={"FNAME": "Alice"})
        yield make_app(standin)
        connections.close_all()


def make_app(standin: Standin) -> App:
    app = apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM)
    rule("email", "email", is_unique=True)
    rule("first_name")
    take(event({"email": ALICE}))
    return app


def chosen(page: str, name: str) -> list[str]:
    """The texts that a list offers."""
    found = re.search(rf'<select[^>]*name="{name}".*?</select>', page, flags=re.DOTALL)
    assert found, f"there is no list {name}"
    return [unescape(text).strip() for text in re.findall(r"<option[^>]*>(.*?)</option>", found[0], flags=re.DOTALL)]


def test_an_import_can_be_made_of_an_audience_by_its_name(editor: Client, app: App) -> None:
    assert "Mailchimp" in editor.get("/schedules/new/import/").content.decode()
    page = editor.get(f"/schedules/new/import/{app.pk}/", {"table": LIST}).content.decode()
    assert chosen(page, "table") == ["Choose…", TITLE]
    assert re.search(r'<option value="email_address" selected>', page), "the id column is guessed"
    assert re.search(r'<option value="last_changed" selected>', page), "and so is the changed column"
    columns = dict(enumerate(re.findall(r'name="column-\d+" value="([^"]+)"', page)))
    assert {"status", "unsubscribe_reason", "tags", "FNAME"} <= set(columns.values())
    given: dict[str, Any] = {
        **{f"column-{place}": name for place, name in columns.items()},
        **{f"feeds-{place}": "email" for place, name in columns.items() if name == "email_address"},
        "way": "table",
        "table": LIST,
        "id_column": "email_address",
        "changed_column": "last_changed",
        "rhythm": "every",
        "every_minutes": "60",
        "enabled": "on",
    }
    response = editor.post(f"/schedules/new/import/{app.pk}/", given)
    assert response.status_code == 302, response.content.decode()
    schedule = Schedule.objects.get()
    assert (schedule.name, schedule.options["table"]) == (f"Mailchimp: {TITLE}", LIST)


def test_a_property_can_be_taken_from_a_member_and_tried_at_once(editor: Client, app: App) -> None:
    page = editor.post("/properties/new/", {**COLUMN, "app": app.pk, "do": "load"}).content.decode()
    assert chosen(page, "table") == ["Choose", TITLE]
    assert {"status", "member_rating", "FNAME"} <= set(chosen(page, "column"))
    tried = editor.post("/properties/new/", {**COLUMN, "app": app.pk, "do": "try"}).content.decode()
    assert "unsubscribed" in tried
    refused = {**COLUMN, "aggregation": "sum", "app": app.pk, "do": "try"}
    assert "there is nothing to add up" in editor.post("/properties/new/", refused).content.decode()
    assert editor.post("/properties/new/", {**COLUMN, "app": app.pk}).status_code == 302
    assert ProfilePropertyRule.objects.get(key="mailchimp_status").column["table"] == LIST


def test_many_properties_can_be_made_of_an_audience(editor: Client, app: App) -> None:
    page = editor.get(f"/properties/from-table/?app={app.pk}&table={LIST}").content.decode()
    assert chosen(page, "table") == ["Choose a table", TITLE]
    assert "Make a property of status" in page


def test_the_first_members_are_shown_under_the_name_of_their_audience(editor: Client, app: App) -> None:
    page = editor.get(f"/apps/{app.pk}/sample/").content.decode()
    assert f"First rows of {TITLE}" in page
    assert ALICE in page


def test_the_number_of_callers_cannot_be_raised(editor: Client, app: App) -> None:
    page = editor.get(f"/apps/{app.pk}/edit/").content.decode()
    assert re.search(r'<input[^>]*name="parallel_calls"[^>]*disabled', page)
    editor.post(f"/apps/{app.pk}/edit/", {"name": "Mailchimp", "option_list_id": LIST, "parallel_calls": "9"})
    app.refresh_from_db()
    assert app.parallel_calls == 1
