from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry
from profiles.models import Profile, ProfilePropertyRule
from profiles.rules import NewRule, create_rule
from profiles.trying import try_rule
from tests.factories import make_profiles
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "select first_name from users where id = {{profile.user_id}}"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    return Shop(tmp_path)


def draft(shop: Shop, key: str = "first_name", kind: str = "string", **more: Any) -> NewRule:
    return NewRule(key, kind, app=shop.app, **more)


def test_a_query_is_tried_on_a_person_and_writes_nothing(shop: Shop) -> None:
    [alice] = make_profiles([{"user_id": 1}])
    before = AuditEntry.objects.count()
    trial = try_rule(draft(shop, query=NAME), guid=alice)
    assert (trial.raw, trial.value, trial.is_ok) == ("Alice", "Alice", True)
    assert trial.variables == {"user_id": 1}
    assert len(trial.statements) == 1
    assert "first_name" in trial.statements[0].text
    assert not ProfilePropertyRule.objects.filter(key="first_name").exists()
    assert Profile.objects.get().properties == {"user_id": 1}
    assert AuditEntry.objects.count() == before


def test_without_a_person_the_newest_who_has_what_it_reads_is_taken(shop: Shop) -> None:
    bob, _ = make_profiles([{"user_id": 2}, {}])
    assert try_rule(draft(shop, query=NAME)).guid == bob


def test_a_value_that_does_not_fit_the_type_says_why(shop: Shop) -> None:
    make_profiles([{"user_id": 2}])
    trial = try_rule(draft(shop, "age", "integer", query="select age from users where id = {{profile.user_id}}"))
    assert (trial.raw, trial.value, trial.rejected) == ("old", None, "not a whole number")
    assert not trial.is_ok


def test_a_column_rule_is_tried_with_its_aggregation(shop: Shop) -> None:
    make_profiles([{"user_id": 1}])
    column = {"table": "purchases", "column": "total", "key_column": "user_id", "aggregation": "sum"}
    trial = try_rule(draft(shop, "ltv", "float", column=column, column_key="user_id"))
    assert trial.value == 15.5


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("select nope from users where id = {{profile.user_id}}", "query", "nope"),
        ("delete from users where id = {{profile.user_id}}", "query", "must only read"),
        ("select first_name from users where id = {{profile.number}}", "query", "There is no property number"),
        ("select first_name from users", "query", "reads no property"),
        ("select first_name from users where id = {{user_id}}", "query", "is not a variable"),
    ],
)
def test_what_is_wrong_is_said_beside_its_part(shop: Shop, query: str, field: str, message: str) -> None:
    make_profiles([{"user_id": 1}])
    trial = try_rule(draft(shop, query=query))
    assert message in trial.fields[field]
    assert message in trial.error


def test_a_circle_is_found_before_it_is_saved(shop: Shop) -> None:
    make_profiles([{"user_id": 1}])
    first = shop.query("a", "string", NAME)
    shop.query("b", "string", "select first_name from users where first_name = {{profile.a}}")
    circle = draft(shop, "a", query="select first_name from users where first_name = {{profile.b}}")
    assert "in a circle: a → b → a" in try_rule(circle, rule_id=first.pk).error


def test_someone_without_the_key_is_not_asked_for(shop: Shop) -> None:
    [nobody] = make_profiles([{}])
    trial = try_rule(draft(shop, query=NAME), guid=nobody)
    assert "has no User id" in trial.note
    assert trial.statements == ()


def test_an_app_that_is_gone_is_an_answer_not_a_crash(shop: Shop) -> None:
    make_profiles([{"user_id": 1}])
    shop.path.unlink()
    assert try_rule(draft(shop, query=NAME)).error


def test_a_property_of_events_shows_what_is_known() -> None:
    make_profiles([{"plan": "gold"}])
    trial = try_rule(NewRule("plan", "string"))
    assert (trial.value, "arrive in events" in trial.note) == ("gold", True)


def test_with_nobody_there_it_says_so(shop: Shop) -> None:
    assert try_rule(draft(shop, query=NAME)).error == "There is nobody to try it on yet."
