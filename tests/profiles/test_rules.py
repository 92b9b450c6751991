from __future__ import annotations

from pathlib import Path

import pytest
from django.db.models import ProtectedError

from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry
from core.lib.errors import InvalidInput
from profiles import ruleset
from profiles.models import ProfilePropertyRule, RuleVariable
from profiles.rules import NewRule, change_retrieval, create_rule
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "select first_name from users where id = {{profile.user_id}}"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    create_rule(NewRule("user_id", "integer", is_unique=True), actor=SYSTEM)
    return Shop(tmp_path)


@pytest.mark.parametrize("key", ["", "User", "1st", "_meta", "with space", "ärger", "x" * 61])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput, match="A key has lower-case letters"):
        create_rule(NewRule(key, "string"), actor=SYSTEM)


def test_the_same_key_twice_is_refused() -> None:
    create_rule(NewRule("plan", "string"), actor=SYSTEM)
    with pytest.raises(InvalidInput, match="already a property plan"):
        create_rule(NewRule("plan", "string"), actor=SYSTEM)


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="choose one of string, integer"):
        create_rule(NewRule("plan", "text"), actor=SYSTEM)


def test_several_values_cannot_be_unique() -> None:
    with pytest.raises(InvalidInput, match="cannot be unique"):
        create_rule(NewRule("plan", "string", is_unique=True, is_array=True), actor=SYSTEM)


def test_a_variable_that_names_no_property_is_refused(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="There is no property nickname"):
        shop.query("first_name", "string", "select first_name from users where nick = {{profile.nickname}}")


@pytest.mark.parametrize(
    "query",
    [
        "delete from users where id = {{profile.user_id}}",
        "select 1 where 1 = {{profile.user_id}}; drop table users",
        "selec first_name from users where id = {{profile.user_id}}",
        "select first_name from users where id = {{profile.user_id}",
        "select first_name from users where id = {{user_id}}",
        "select first_name from users",
    ],
)
def test_what_is_not_one_reading_select_about_a_person_is_refused(shop: Shop, query: str) -> None:
    with pytest.raises(InvalidInput):
        shop.query("first_name", "string", query)
    assert not ProfilePropertyRule.objects.filter(key="first_name").exists()


def test_a_rule_that_reads_itself_is_refused(shop: Shop) -> None:
    with pytest.raises(InvalidInput, match="which is the property itself"):
        shop.query("first_name", "string", "select first_name from users where id = {{profile.first_name}}")


def test_a_circle_is_refused_and_named(shop: Shop) -> None:
    shop.query("a", "string", NAME)
    shop.query("b", "string", "select first_name from users where id = {{profile.a}}")
    rule = shop.query("c", "string", "select first_name from users where id = {{profile.b}}")
    first = ProfilePropertyRule.objects.get(key="a")
    circle = NewRule("a", "string", app=shop.app, query="select first_name from users where id = {{profile.c}}")
    with pytest.raises(InvalidInput, match="a → c → b → a"):
        change_retrieval(first, circle, actor=SYSTEM)
    first.refresh_from_db()
    assert first.query == NAME
    assert list(RuleVariable.objects.filter(rule=first).values_list("reads__key", flat=True)) == ["user_id"]
    assert rule.read_by.count() == 0


def test_rules_are_asked_in_the_order_of_what_they_read(shop: Shop) -> None:
    shop.query("a", "string", NAME)
    shop.query("b", "string", "select first_name from users where first_name = {{profile.a}}")
    shop.query("other", "string", NAME)
    layers = [[rule.key for rule in layer] for layer in ruleset.load().layers]
    assert layers == [["a", "other"], ["b"]]


def test_a_property_that_is_read_cannot_be_deleted(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    with pytest.raises(ProtectedError):
        ProfilePropertyRule.objects.get(key="user_id").delete()


def test_a_column_rule_needs_a_unique_property_and_its_parts(shop: Shop) -> None:
    create_rule(NewRule("plan", "string"), actor=SYSTEM)
    with pytest.raises(InvalidInput, match="plan is not unique"):
        shop.column("age", "integer", key_rule="plan", table="users", column="age", key_column="id")
    with pytest.raises(InvalidInput, match="Say the table"):
        shop.column("age", "integer", column="age", key_column="id")
    with pytest.raises(InvalidInput, match="which column decides what is most recent"):
        shop.column("last", "date", table="purchases", column="at", key_column="user_id", aggregation="most_recent")
    with pytest.raises(InvalidInput, match="median is not an aggregation"):
        shop.column("mid", "float", table="purchases", column="total", key_column="user_id", aggregation="median")


def test_every_change_is_in_the_audit_log_and_makes_a_new_state_of_the_rules(shop: Shop) -> None:
    before = ruleset.current_version()
    rule = shop.query("first_name", "string", NAME)
    entry = AuditEntry.objects.order_by("id").last()
    assert entry is not None
    assert (entry.action, entry.subject_label) == ("rule.create", str(rule))
    assert ruleset.current_version() > before
