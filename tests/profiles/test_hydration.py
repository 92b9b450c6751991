from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from core.ui.wording import NBSP
from events.models import Event
from groups.models import Group
from pipeline import refresh
from profiles import hydration_traces
from profiles.models import HydrationRetry, Profile, ProfilePropertyRule
from tests.accounts.factories import make_user
from tests.api.door import Program
from tests.pipeline.people import event, rule, take
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "select first_name from users where id = {{profile.user_id}}"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    rule("user_id", "integer", is_unique=True)
    return Shop(tmp_path)


def values(user_id: int) -> dict[str, object]:
    found: dict[str, object] = Profile.objects.get(properties__user_id=user_id).properties
    return found


def test_every_rule_is_asked_for_everyone_of_a_batch_in_one_statement(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    shop.column("spent", "float", table="purchases", column="total", key_column="user_id", aggregation="sum")
    shop.column("bought", "integer", table="purchases", column="id", key_column="user_id", aggregation="count")
    result = take(*(event({"user_id": number}) for number in (1, 2, 3)))
    assert values(1) == {"user_id": 1, "first_name": "Alice", "spent": 15.5, "bought": 2}
    assert values(3) == {"user_id": 3, "first_name": "Charlie", "spent": 0.0, "bought": 0}
    assert result.statements == 1


def test_a_rule_may_read_what_another_rule_has_just_given(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    shop.query("greeting", "string", "select 'Hi ' || first_name from users where first_name = {{profile.first_name}}")
    take(event({"user_id": 1}))
    assert values(1)["greeting"] == "Hi Alice"


def test_the_source_wins_over_an_event_and_follows_its_changes(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    take(event({"user_id": 1, "first_name": "Alicia"}))
    assert values(1)["first_name"] == "Alice"
    shop.run("update users set first_name = 'Ally' where id = 1")
    take(event({"user_id": 1}, at=1))
    assert values(1)["first_name"] == "Ally"


def test_a_missing_variable_gives_null_whatever_the_query_would_say(shop: Shop) -> None:
    rule("code")
    shop.query("owner", "string", "select 'nobody' from users where id = 1 and {{profile.code}} is null")
    take(event({"user_id": 1}))
    assert values(1) == {"user_id": 1}


def test_a_row_that_is_gone_makes_its_properties_null(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    take(event({"user_id": 1}))
    shop.run("delete from users where id = 1")
    take(event({"user_id": 1}, at=1))
    assert values(1) == {"user_id": 1}


def test_a_table_that_vanished_pauses_the_rule_with_the_reason_and_keeps_every_value(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    shop.column("spent", "float", table="purchases", column="total", key_column="user_id", aggregation="sum")
    take(event({"user_id": 1}))
    shop.run("drop table users")
    take(event({"user_id": 1}, at=1))
    assert values(1) == {"user_id": 1, "first_name": "Alice", "spent": 15.5}
    paused = ProfilePropertyRule.objects.get(key="first_name")
    assert "users" in paused.paused_reason
    assert ProfilePropertyRule.objects.get(key="spent").paused_reason == ""
    stored = Event.objects.order_by("id").last()
    assert stored is not None
    assert "first_name could not be refreshed" in stored.error


def test_only_the_profiles_at_fault_go_without_an_answer(tmp_path: Path, shop: Shop) -> None:
    query = "select json_extract(age, '$') from users where id = {{profile.user_id}}"
    shop.query("age", "integer", query)
    take(*(event({"user_id": number}) for number in (1, 2, 3)))
    assert values(1) == {"user_id": 1, "age": 41}
    assert values(2) == {"user_id": 2}
    errors = dict(Event.objects.values_list("payload__user_id", "error"))
    assert errors[1] == errors[3] == ""
    assert "age could not be refreshed" in errors[2]
    assert ProfilePropertyRule.objects.get(key="age").paused_reason == ""


def test_more_than_one_row_gives_the_first_and_a_warning_on_the_rule(shop: Shop) -> None:
    shop.query("first_total", "float", "select total from purchases where user_id = {{profile.user_id}} order by id")
    take(event({"user_id": 1}))
    assert values(1)["first_total"] == 10.0
    assert "more than one row" in ProfilePropertyRule.objects.get(key="first_total").warning


def test_a_unique_value_that_another_profile_owns_is_rejected_and_says_whose_it_is(shop: Shop) -> None:
    shop.query("email", "email", "select email from users where id = {{profile.user_id}}", is_unique=True)
    take(event({"user_id": 1}), event({"user_id": 3}))
    owner = Profile.objects.get(properties__user_id=1)
    loser = Profile.objects.get(properties__user_id=3)
    assert owner.properties["email"] == "alice@example.com"
    assert "email" not in loser.properties
    assert loser.property_meta["email"][4:] == ["alice@example.com", f"belongs to another profile, {owner.guid}"]


def test_a_value_of_the_wrong_type_is_kept_as_rejected(shop: Shop) -> None:
    shop.column("age", "integer", table="users", column="age", key_column="id")
    take(event({"user_id": 2}))
    profile = Profile.objects.get()
    assert profile.properties == {"user_id": 2}
    assert profile.property_meta["age"][4:] == ["old", "not a whole number"]


def take_away(shop: Shop) -> None:
    shop.app.options = {"path": str(shop.path.parent / "nothing" / "shop.db")}
    shop.app.save()


def bring_back(shop: Shop) -> None:
    shop.app.options = {"path": str(shop.path)}
    shop.app.save()


def test_while_an_app_is_down_values_stay_and_it_is_asked_again_later(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    take(event({"user_id": 1}))
    take_away(shop)
    take(event({"user_id": 1}, at=1))
    assert values(1) == {"user_id": 1, "first_name": "Alice"}
    assert HydrationRetry.objects.count() == 1
    shop.run("update users set first_name = 'Ally' where id = 1")
    bring_back(shop)
    refresh.refresh([Profile.objects.get().guid])
    assert values(1)["first_name"] == "Ally"
    assert not HydrationRetry.objects.exists()
    assert not Group.objects.exists()


def test_who_became_part_of_someone_else_is_not_asked_again_but_that_other_is(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    take_away(shop)
    take(event({"_anonymous_id": "phone"}), event({"user_id": 1}, at=1))
    assert HydrationRetry.objects.count() == 2
    take(event({"user_id": 1, "_anonymous_id": "phone"}, at=2))
    alice = Profile.objects.get(merged_into=None)
    assert HydrationRetry.objects.get().profile_id == alice.pk
    HydrationRetry.objects.update(next_at=alice.created_at)
    bring_back(shop)
    assert refresh.retry_due() == 1
    assert values(1)["first_name"] == "Alice"
    assert not HydrationRetry.objects.exists()


def test_a_source_that_is_back_when_two_become_one_leaves_nobody_to_be_asked_again(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    take_away(shop)
    take(event({"_anonymous_id": "phone"}), event({"user_id": 1}, at=1))
    bring_back(shop)
    take(event({"user_id": 1, "_anonymous_id": "phone"}, at=2))
    assert values(1)["first_name"] == "Alice"
    assert not HydrationRetry.objects.exists()


def test_variables_are_bound_never_pasted(shop: Shop) -> None:
    rule("nick")
    shop.query("found", "string", "select first_name from users where first_name = '{{profile.nick}}'")
    take(event({"user_id": 1, "nick": "x' or '1'='1"}))
    assert "found" not in values(1)


def test_what_was_asked_is_kept_with_times_and_the_events_page_tells_it(shop: Shop, client: Client) -> None:
    shop.query("first_name", "string", NAME)
    take(*(event({"user_id": number}) for number in (1, 2)))
    stored = Event.objects.order_by("id")[0]
    trace = hydration_traces.find(stored.xid)
    assert trace is not None
    assert (trace.people, trace.count, len(trace.statements)) == (2, 1, 1)
    assert "first_name" in trace.statements[0]["text"]
    client.force_login(make_user("Alice"))
    page = client.get(reverse("events:show", args=[stored.pk])).content.decode().replace(NBSP, " ")
    assert "1 statement for 2 people at once" in page
    hydration_traces.forget(older_than=timedelta(days=1))
    assert hydration_traces.find(stored.xid) is not None
    hydration_traces.forget(older_than=timedelta(0))
    assert hydration_traces.find(stored.xid) is None


def test_why_a_rule_could_not_be_asked_stays_with_it(shop: Shop) -> None:
    shop.query("first_name", "string", NAME)
    shop.run("alter table users rename to people")
    take(event({"user_id": 1}))
    broken = ProfilePropertyRule.objects.get(key="first_name")
    assert "users" in broken.last_error
    assert broken.last_error_at is not None
    program = Program("profiles:read")
    headers = {"Authorization": f"Bearer {program.token}"}
    answer = program.client.get("/api/v1/rules/first_name/coverage/", headers=headers)
    assert answer.json()["last_error"] == broken.last_error
