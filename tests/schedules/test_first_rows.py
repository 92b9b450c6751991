"""What would become of the first rows of an import: told before anything is saved, and nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import InvalidInput
from events.models import Event, EventKey
from profiles.models import Profile, ProfileChange, ProfileIdentity
from profiles.rules import NewRule, create_rule
from schedules.first_rows import FirstRow, try_first_rows
from schedules.models import Run, Schedule
from schedules.schedules_store import ScheduleData
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.pipeline.people import event, take
from tests.schedules.shop import PEOPLE, Shop, import_all, make_rules, users_schedule

pytestmark = pytest.mark.django_db(transaction=True)
TABLE = {"table": "users", "changed_column": "changed_at", "id_column": "id"}


@pytest.fixture
def warehouse(shop: Shop) -> App:
    """Alice is known as she is, Bob by another name, Charlie not at all, Dora has no address."""
    make_rules()
    shop.run(
        "insert into users values (1, 'alice@example.com', 'Alice', now()), (2, 'bob@example.com', 'Bob', now()),"
        " (3, 'charlie@example.com', 'Charlie', now()), (4, 'no address', 'Dora', now()),"
        " (5, 'charlie@example.com', 'Charlie', now())"
    )
    take(
        event({"user_id": 1, "email": "alice@example.com", "first_name": "Alice"}),
        event({"user_id": 2, "email": "bob@example.com", "first_name": "Robert"}),
    )
    return shop.app()


def given(app: App, **more: Any) -> ScheduleData:
    fields = {"direction": "import", "name": "users", "app_id": app.pk, "options": TABLE, "fields": PEOPLE}
    return ScheduleData(**{**fields, **more})


def tried(app: App, **more: Any) -> list[FirstRow]:
    return list(try_first_rows(given(app, **more)).rows)


def stored() -> tuple[Any, ...]:
    counted = (Event, EventKey, ProfileChange, ProfileIdentity, Schedule, Run)
    people = Profile.objects.order_by("guid").values_list("guid", "properties", "property_meta", "updated_at")
    return (*(each.objects.count() for each in counted), *people)


def test_each_row_says_what_would_become_of_it_and_nothing_is_written(warehouse: App) -> None:
    before = stored()
    alice, bob, charlie, dora, again = tried(warehouse)
    known = {each.properties["user_id"]: each.pk for each in Profile.objects.all()}
    assert (alice.fate, alice.profile_id, alice.changes) == ("unchanged", known[1], {})
    assert (bob.fate, bob.profile_id, bob.changes) == ("updated", known[2], {"first_name": ("Robert", "Bob")})
    assert (charlie.fate, charlie.profile_id) == ("created", None)
    assert charlie.changes["email"] == (None, "charlie@example.com")
    assert (dora.fate, dora.values["email"]) == ("created", "no address")
    assert "not an email address" in dora.problems[0]
    assert (again.fate, again.profile_id, again.changes) == ("repeated", None, {})
    assert stored() == before


def test_what_it_says_is_what_a_run_does(warehouse: App) -> None:
    rows = tried(warehouse)
    run = import_all(users_schedule(warehouse))
    assert run.counters["created"] == sum(row.fate == "created" for row in rows)
    told = {row.changes["email"][1]: row.changes for row in rows if "email" in row.changes}
    charlie = Profile.objects.get(properties__email="charlie@example.com").properties
    assert {key: after for key, (_, after) in told["charlie@example.com"].items()} == charlie
    assert Profile.objects.get(properties__user_id=2).properties["first_name"] == "Bob"


def test_an_import_that_may_make_nobody_says_whom_it_does_not_know(warehouse: App) -> None:
    rows = tried(warehouse, options={**TABLE, "may_create": False})
    assert [row.fate for row in rows][:4] == ["unchanged", "updated", "nobody", "nobody"]
    assert "may not create profiles" in rows[2].problems[0]


def test_sources_are_asked_too(shop: Shop, warehouse: App) -> None:
    shop.run("drop table if exists carts; create table carts (owner int, total int); insert into carts values (1, 7)")
    column = {"table": "carts", "column": "total", "key_column": "owner", "aggregation": "sum"}
    create_rule(NewRule("spent", "float", app=warehouse, column=column, column_key="user_id"), actor=SYSTEM)
    alice = tried(warehouse)[0]
    assert (alice.fate, alice.changes) == ("updated", {"spent": (None, 7.0)})


def test_files_say_which_lines_cannot_be_read(tmp_path: Path) -> None:
    make_rules()
    (tmp_path / "people.csv").write_text("user id,First Name\n1,Alice\n2,Bob,too many\n,Charlie\n3\n")
    files = apps_store.create_app("csv", "Files", {"folder": str(tmp_path)}, actor=SYSTEM)
    found = try_first_rows(given(files, options={"path": "people.csv"}, fields={}))
    assert found.mapping == {"user id": "user_id", "First Name": "first_name"}
    assert [(row.number, row.fate) for row in found.rows] == [
        (1, "created"),
        (2, "nobody"),
        (3, "rejected"),
        (5, "rejected"),
    ]
    assert found.counts == {"created": 1, "nobody": 1, "rejected": 2}
    assert not found.has_more


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"direction": "export"}, "Only an import"),
        ({"options": {}}, "Say what to read"),
        ({"options": {**TABLE, "table": "nobody"}}, "nobody"),
        ({"fields": {"mail": "email"}}, "“mail” is not among those that were read"),
    ],
)
def test_what_could_not_be_saved_cannot_be_tried(warehouse: App, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        try_first_rows(given(warehouse, **change))


def test_people_try_it_in_the_editor_and_their_choices_stay(warehouse: App, client: Client) -> None:
    client.force_login(make_user("Bob", role=Role.EDITOR))
    form = {"way": "table", "table": "users", "id_column": "id", "changed_column": "changed_at", "rhythm": "hand"}
    form |= {f"column-{place}": name for place, name in enumerate(("id", "email", "first_name", "changed_at"))}
    form |= {"feeds-0": "user_id", "feeds-2": "first_name", "may_create": "on", "name": "The users"}
    address = reverse("schedules:create", args=["import", warehouse.pk])
    shown = client.post(address, {**form, "preview": "1"})
    page = shown.content.decode()
    assert shown.status_code == 200
    assert "Changes a profile" in page
    assert "Robert → Bob" in page
    assert 'value="The users"' in page
    assert not Schedule.objects.exists()
    assert client.post(address, {**form, "feeds-0": "", "preview": "1"}).status_code == 422
    assert client.post(address, form).status_code == 302
    assert Schedule.objects.get().name == "The users"


def test_programs_try_it_too(warehouse: App) -> None:
    program = Program("schedules:write")
    body = {"direction": "import", "name": "users", "app_id": warehouse.pk, "options": TABLE, "fields": PEOPLE}
    headers = {"Authorization": f"Bearer {program.token}"}
    answer = program.client.post(
        "/api/v1/schedules/first-rows/", body, content_type="application/json", headers=headers
    )
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["counts"]["updated"] == 1
    assert found["rows"][1]["changes"] == [{"key": "first_name", "before": "Robert", "after": "Bob"}]
    wrong = {**body, "fields": {"id": "nothing"}}
    refused = program.client.post(
        "/api/v1/schedules/first-rows/", wrong, content_type="application/json", headers=headers
    )
    assert refused.status_code == 400
    assert not Schedule.objects.exists()
