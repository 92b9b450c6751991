"""Which property may go to which field: converted where that is sure, refused in a sentence where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput
from plugins.contracts import Field
from profiles.models import ProfilePropertyRule
from schedules import payloads, schedules_store
from schedules.conversions import find_problem, find_sql
from schedules.schedules_store import ScheduleData
from tests.api.door import Program, assert_one_shape
from tests.factories import make_profiles, make_rule
from tests.schedules.shop import Shop

TYPES = ("string", "integer", "float", "boolean", "date", "email", "phone_number", "url")
SURE = {
    "string": {"string"},
    "integer": {"integer", "float", "string"},
    "float": {"float", "string"},
    "boolean": {"boolean", "integer", "float", "string"},
    "date": {"date", "string"},
    "email": {"email", "string"},
    "phone_number": {"phone_number", "string"},
    "url": {"url", "string"},
}


@pytest.mark.parametrize("type_", TYPES)
def test_only_what_every_value_can_be_is_converted(type_: str) -> None:
    rule = ProfilePropertyRule(key="it", label="It", type=type_)
    assert {to for to in TYPES if find_sql(type_, to) is not None} == SURE[type_]
    for to in TYPES:
        problem = find_problem(rule, Field("there", to))
        assert bool(problem) == (to not in SURE[type_])
        assert not problem or problem.startswith("“there” is of the type “")
    assert find_problem(rule, Field("there", "json")) == ""
    assert find_problem(rule, Field("there", "a kind of the tool's own")) != ""


def test_several_values_go_only_where_they_are_taken() -> None:
    rule = ProfilePropertyRule(key="tags", label="Tags", type="string", is_array=True)
    assert "takes one value, and “Tags” holds several" in find_problem(rule, Field("there", "string"))
    assert find_problem(rule, Field("there", "string", takes_lists=True)) == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("type_", "to", "value", "expected"),
    [
        ("integer", "string", -(2**62), str(-(2**62))),
        ("integer", "float", 3, 3),
        ("float", "string", 3.0, "3"),
        ("float", "string", 0.1, "0.1"),
        ("float", "string", 1e-7, "0.0000001"),
        ("boolean", "string", False, "false"),
        ("boolean", "integer", False, 0),
        ("boolean", "float", True, 1),
        ("date", "string", "2024-02-29T00:00:00.000000Z", "2024-02-29T00:00:00.000000Z"),
        ("string", "json", "text", "text"),
        ("integer", "string", None, None),
        ("boolean", "integer", None, None),
    ],
)
def test_values_are_converted_in_sql(type_: str, to: str, value: Any, expected: Any) -> None:
    rule = make_rule("it", type_)
    [guid] = make_profiles([{"it": value} if value is not None else {}])
    computed = payloads.compute_one([payloads.map_field("there", rule, {"there": to})], guid)
    assert computed == {"there": expected}
    assert type(computed["there"]) is type(expected)


@pytest.mark.django_db
def test_a_property_whose_type_changed_since_stops_the_run_with_a_sentence() -> None:
    rule = make_rule("it", "string")
    with pytest.raises(InvalidInput, match="“there” is of the type “Number”, and not every value of"):
        payloads.map_field("there", rule, {"there": "float"})


# ---------------------------------------------------------------- while a schedule is edited


@pytest.fixture
def warehouse(shop: Shop) -> App:
    make_rule("email", "email", is_unique=True, identity_rank=1)
    for key, type_ in (("first_name", "string"), ("age", "integer"), ("score", "float")):
        make_rule(key, type_)
    make_rule("tags", "string", is_array=True)
    shop.run(
        "drop table if exists crm, log; create table log (email text, name text);"
        "create table crm (email text primary key, name text, age int, score float8, other int[])"
    )
    return shop.app()


def make(app: App, fields: Mapping[str, str], **options: Any) -> Any:
    given = {"table": "crm", "key_field": "email", **options}
    data = ScheduleData("export", "out", app.pk, given, {"email": "email", **fields}, everyone=True)
    return schedules_store.create_schedule(data, actor=SYSTEM)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("fields", "options", "part", "words"),
    [
        ({"age": "first_name"}, {}, "fields", "“age” is of the type “Whole number”, and not every value of “"),
        ({"age": "score"}, {}, "fields", "cannot|can be one for sure"),
        ({"age": "tags"}, {}, "fields", "takes one value"),
        ({"other": "age"}, {}, "fields", "list of the database's own"),
        ({"shoe_size": "age"}, {}, "fields", "no field “shoe_size”: it has email.*Add columns that are missing"),
        ({"name": "first_name"}, {"table": "log"}, "key_field", "“email” of the table log has no unique index"),
        ({}, {"table": "nowhere"}, "options", "no table nowhere: choose"),
        ({}, {"table": ""}, "options", "“Table” .table. is needed"),
        ({"new": "email"}, {"key_field": "new", "add_columns": True}, "key_field", "one that the destination has"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_what_to_do(
    warehouse: App, fields: Mapping[str, str], options: Mapping[str, Any], part: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        make(warehouse, fields, **options)
    assert list(refused.value.fields) == [part]


@pytest.mark.django_db(transaction=True)
def test_the_types_of_converted_fields_are_remembered_and_no_others(warehouse: App) -> None:
    schedule = make(warehouse, {"name": "age", "score": "age", "age": "age"}, field_types={"age": "anything"})
    assert schedule.options["field_types"] == {"name": "string", "score": "float"}
    plan = payloads.load_plan(schedule)
    assert dict(plan.target.fields) == {"email": "email", "name": "string", "score": "float", "age": "integer"}
    assert "field_types" not in plan.target.options
    data = schedules_store.read_data(schedule)
    renamed = ScheduleData(**{**{name: getattr(data, name) for name in data.__slots__}, "name": "renamed"})
    assert schedules_store.update_schedule(schedule.pk, renamed, actor=SYSTEM).mapping_version == 1


@pytest.mark.django_db(transaction=True)
def test_a_list_is_text_for_a_table_that_is_to_be_made(warehouse: App) -> None:
    schedule = make(warehouse, {"tags": "tags"}, table="made", create_table=True)
    assert payloads.load_plan(schedule).target.fields["tags"] == "string"


@pytest.mark.django_db(transaction=True)
def test_a_program_is_told_what_cannot_be_sent_and_what_is_converted(warehouse: App) -> None:
    program = Program("schedules:write")
    body = {
        "direction": "export", "name": "out", "app_id": warehouse.pk, "everyone": True,
        "options": {"table": "crm", "key_field": "email"},
    }  # fmt: skip

    def make_with(**fields: str) -> Any:
        return program.post({**body, "fields": {"email": "email", **fields}}, to="/api/v1/schedules/")

    error = assert_one_shape(make_with(age="first_name"), 400, "invalid")
    assert error["fields"]["fields"].startswith("“age” is of the type “Whole number”")
    made = make_with(name="age")
    assert made.status_code == 201, made.content
    assert made.json()["options"]["field_types"] == {"name": "string"}
