from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import InvalidInput
from core.work.models import Work
from profiles import from_table, uniqueness
from profiles.models import ProfilePropertyRule
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)
CUSTOMERS = """
create table customers (id integer primary key, email text, "firstName" text, site text, phone text, age integer);
insert into customers values
    (1, 'alice@example.com', 'Alice', 'https://a.example', '+1 202 555 0100', 41),
    (2, 'bob@example.com', 'Bob', null, '+1 202 555 0101', 42),
    (3, 'charlie@example.com', 'Alice', 'https://c.example', null, 43);
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.run(CUSTOMERS)
    return shop


def chosen(shop: Shop, **changes: dict[str, Any]) -> list[dict[str, Any]]:
    guessed = from_table.guess(shop.app, "customers")
    return [
        {"column": each.column, "key": each.key, "label": each.label, "type": each.type, "is_unique": each.is_unique}
        | changes.get(each.column, {})
        for each in guessed.columns
    ]


def make(shop: Shop, columns: list[dict[str, Any]]) -> list[ProfilePropertyRule]:
    return from_table.make(
        shop.app, "customers", key_column="id", key_property="customer_id", chosen=columns, actor=SYSTEM
    )


def test_columns_are_taken_for_what_they_are(shop: Shop) -> None:
    guessed = from_table.guess(shop.app, "customers")
    assert (guessed.key_column, guessed.key_property, guessed.key_is_new) == ("id", "customer_id", True)
    assert {each.column: (each.key, each.type, each.is_unique) for each in guessed.columns} == {
        "email": ("email", "email", True),
        "firstName": ("first_name", "string", False),
        "site": ("site", "url", False),
        "phone": ("phone", "phone_number", True),
        "age": ("age", "integer", False),
    }
    assert list(guessed.columns[1].samples) == ["Alice", "Bob", "Alice"]


def test_a_property_of_each_column_is_made_and_everyone_is_asked_once(shop: Shop) -> None:
    made = make(shop, chosen(shop))
    assert [each.key for each in made] == ["customer_id", "email", "first_name", "site", "phone", "age"]
    assert Work.objects.filter(kind="rehydrate").count() == 1
    take(event({"customer_id": 1}))
    take(event({"email": "alice@example.com", "colour": "red"}, at=1))
    again = from_table.guess(shop.app, "customers")
    assert {each.column: each.known_as for each in again.columns}["firstName"] == "first_name"
    assert not again.key_is_new


def test_all_or_none(shop: Shop) -> None:
    rule("age", "integer")
    columns = chosen(shop, age={"key": "age"}, site={"key": "No key!"})
    with pytest.raises(InvalidInput) as caught:
        make(shop, columns)
    places = {each["column"]: place for place, each in enumerate(columns)}
    assert set(caught.value.fields) == {f"{places['age']}.key", f"{places['site']}.key"}
    assert list(ProfilePropertyRule.objects.values_list("key", flat=True)) == ["age"]
    with pytest.raises(InvalidInput, match="Tick"):
        make(shop, [])


def test_the_page_makes_them_and_keeps_what_was_typed(shop: Shop, client: Client) -> None:
    client.force_login(make_user("Bob", role=Role.EDITOR))
    address = reverse("properties:from_table")
    assert "customers" in client.get(address, {"app": shop.app.pk}).content.decode()
    page = client.get(f"{address}?app={shop.app.pk}&table=customers").content.decode()
    assert 'value="first_name"' in page
    columns = chosen(shop)
    form: dict[str, Any] = {"app": shop.app.pk, "table": "customers", "key_column": "id", "key_property": "customer_id"}
    for place, each in enumerate(columns):
        form |= {f"{name}_{place}": each[name] for name in ("key", "label", "type")} | {f"use_{place}": "on"}
    wrong = client.post(address, {**form, "key_2": "Not a key", "label_1": "Given name"})
    assert wrong.status_code == 422
    assert 'value="Not a key"' in wrong.content.decode()
    assert 'value="Given name"' in wrong.content.decode()
    assert not ProfilePropertyRule.objects.exists()
    assert client.post(address, form).status_code == 302
    assert ProfilePropertyRule.objects.count() == 6


def test_programs_do_the_same(shop: Shop) -> None:
    program = Program("profiles:write")
    table = {"app_id": shop.app.pk, "table": "customers"}
    guessed = program.post(table, to="/api/v1/rules/from-table/guess/").json()
    assert guessed["key_column"] == "id"
    columns = [{key: each[key] for key in ("column", "key", "type")} for each in guessed["columns"]]
    body = {**table, "key_column": "id", "key_property": "customer_id", "columns": columns}
    made = program.post(body, to="/api/v1/rules/from-table/")
    assert made.status_code == 201, made.content
    assert len(made.json()["results"]) == 6
    nothing = program.post({**table, "table": "nothing"}, to="/api/v1/rules/from-table/guess/")
    assert nothing.status_code == 400
    assert "customers" in nothing.json()["error"]["message"]


def test_what_would_be_if_a_property_identified_people(monkeypatch: pytest.MonkeyPatch) -> None:
    rule("user_id", "integer", is_unique=True)
    phone = rule("phone")
    take(*(event({"user_id": number, "phone": str(number // 3)}) for number in range(10)))
    take(event({"user_id": 20, "phone": "unknown"}), event({"user_id": 21, "phone": "Unknown"}))
    found = uniqueness.simulate(phone)
    assert (found.shared_values, found.people, found.largest) == (3, 9, 3)
    program = Program("profiles:read")
    answer = program.client.get("/api/v1/rules/phone/unique/", headers={"Authorization": f"Bearer {program.token}"})
    told = {"shared_values": 3, "people": 9, "largest": 3, "examples": ["0", "1", "2"], "is_complete": True}
    assert answer.json() == told
    monkeypatch.setattr(uniqueness, "LOOKED_AT", 5)
    newest = uniqueness.simulate(phone)
    assert newest.people <= 3
    assert not newest.is_complete
