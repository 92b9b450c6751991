from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.work import leases
from pipeline.refresh import go_through_everyone, refresh
from profiles import rules
from profiles.models import HydrationGuard, Profile, ProfilePropertyRule
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 100


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    rows = ", ".join(f"({number}, 'Person {number}')" for number in range(10, 10 + PEOPLE))
    shop.run(f"delete from users; insert into users (id, first_name) values {rows}")
    shop.column("first_name", "string", table="users", column="first_name", key_column="id")
    take(*(event({"user_id": number}) for number in range(10, 10 + PEOPLE)))
    assert known() == PEOPLE
    project.update({"guard_share": 0.2, "guard_minimum": 10}, actor=SYSTEM)
    return shop


def known() -> int:
    return Profile.objects.filter(properties__has_key="first_name").count()


def ask(count: int, *, first: int = 0) -> None:
    everyone = sorted(Profile.objects.values_list("properties__user_id", "pk"))
    refresh([guid for _, guid in everyone[first : first + count]])


def first_name() -> ProfilePropertyRule:
    return ProfilePropertyRule.objects.get(key="first_name")


def test_a_row_that_is_gone_makes_its_properties_null(shop: Shop) -> None:
    shop.run("delete from users where id < 19")
    ask(PEOPLE)
    assert (known(), first_name().paused_reason) == (PEOPLE - 9, "")


def test_a_table_that_is_suddenly_empty_changes_nothing_and_pauses_the_rule(shop: Shop) -> None:
    shop.run("delete from users")
    ask(PEOPLE)
    assert known() == PEOPLE
    assert "100 of 100 people (100 %)" in first_name().paused_reason
    assert "ask for it again" in first_name().paused_reason


@pytest.mark.parametrize(("aggregation", "value_type"), [("sum", "float"), ("count", "integer"), ("sum", "string")])
def test_a_table_that_was_emptied_takes_no_counts_and_sums_away(shop: Shop, aggregation: str, value_type: str) -> None:
    rows = ", ".join(f"({number}, {number})" for number in range(10, 10 + PEOPLE - 5))  # five never bought anything
    shop.run(f"delete from purchases; insert into purchases (user_id, total) values {rows}")
    bought = partial(shop.column, "bought", value_type, table="purchases", column="total", key_column="user_id")
    bought(aggregation=aggregation)
    ask(PEOPLE)
    before = dict(Profile.objects.values_list("pk", "properties__bought"))
    shop.run("delete from purchases where user_id < 15")
    ask(PEOPLE)
    assert ProfilePropertyRule.objects.get(key="bought").paused_reason == ""
    shop.run("delete from purchases")
    ask(PEOPLE)
    assert "source lost the value of 95" in ProfilePropertyRule.objects.get(key="bought").paused_reason
    after = dict(Profile.objects.values_list("pk", "properties__bought"))
    assert sum(after[guid] != value for guid, value in before.items()) == 5


def test_values_that_no_longer_fit_count_as_blank(shop: Shop) -> None:
    rules.update_rule(
        first_name().pk,
        rules.NewRule("first_name", "string", app=shop.app, column=first_name().column, column_key="user_id"),
        actor=SYSTEM,
    )
    shop.run("update users set first_name = ''")
    ask(PEOPLE)
    assert known() == PEOPLE


def test_blanks_are_counted_over_an_hour_of_small_batches(shop: Shop) -> None:
    shop.run("delete from users")
    for first in range(0, PEOPLE, 4):
        ask(4, first=first)
    assert known() == PEOPLE - 20
    assert first_name().paused_reason
    assert HydrationGuard.objects.get().blanked == 20


def test_an_hour_later_counting_begins_anew(shop: Shop) -> None:
    shop.run("delete from users where id < 25")
    ask(15)
    long_ago = HydrationGuard.objects.get().since.replace(year=2020)
    HydrationGuard.objects.update(since=long_ago)
    shop.run("delete from users where id < 35")
    ask(10, first=15)
    assert (known(), first_name().paused_reason) == (PEOPLE - 25, "")


def test_who_has_looked_may_go_on(shop: Shop) -> None:
    shop.run("delete from users where id < 60")
    ask(PEOPLE)
    assert first_name().paused_reason
    rules.resume_rule(first_name(), actor=SYSTEM)
    while leases.run_slice("rehydrate", go_through_everyone):
        pass
    assert (known(), first_name().paused_reason) == (50, "")
