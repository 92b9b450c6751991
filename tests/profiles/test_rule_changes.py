"""Changing and deleting property rules: what stands against it, and what becomes of the values."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction

from core.accounts.actors import SYSTEM, Actor
from core.accounts.models import AuditEntry
from core.lib.errors import InvalidInput, Refused
from core.ui import notices
from core.work import leases
from core.work.models import Work, WorkState
from groups.groups_store import create_group
from pipeline import refresh
from profiles.models import Profile, ProfileChange, ProfileIdentity, ProfilePropertyRule, RuleState
from profiles.rules import NewRule, create_rule, delete_rule, update_rule
from tests.pipeline.people import event, rule, shop_rules, take
from tests.profiles.shop import Shop
from tests.ui.shop import make_user

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "select first_name from users where id = {{profile.user_id}}"


def work_off() -> None:
    while Work.objects.filter(kind="rehydrate", state__in=["pending", "running"]).exists():
        leases.run_slice("rehydrate", refresh.go_through_everyone)


def changed(made: ProfilePropertyRule, **values: Any) -> NewRule:
    parts = {name: getattr(made, name) for name in ("key", "type", "label", "is_unique", "is_array", "app", "query")}
    return NewRule(**{**parts, **values})


def test_a_new_label_asks_nobody_anything() -> None:
    plan = rule("plan")
    update_rule(plan.pk, changed(plan, label="Tariff"), actor=SYSTEM)
    plan.refresh_from_db()
    assert plan.label == "Tariff"
    assert not Work.objects.filter(kind="rehydrate").exists()
    entry = AuditEntry.objects.latest("id")
    assert (entry.before, entry.after) == ({"label": "Plan"}, {"label": "Tariff"})


def test_the_key_never_changes() -> None:
    plan = rule("plan")
    with pytest.raises(InvalidInput, match="key of a property never changes"):
        update_rule(plan.pk, changed(plan, key="tariff"), actor=SYSTEM)


def test_a_new_type_reads_the_answers_of_the_source_anew(tmp_path: Path) -> None:
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    age = shop.query("age", "string", "select age from users where id = {{profile.user_id}}")
    take(event({"user_id": 1}), event({"user_id": 2}))
    update_rule(age.pk, changed(age, type="integer"), actor=SYSTEM)
    assert Work.objects.get(kind="rehydrate", subject__startswith="everyone:").state == WorkState.PENDING
    work_off()
    values = sorted((p["user_id"], p.get("age")) for p in Profile.objects.values_list("properties", flat=True))
    assert values == [(1, 41), (2, None)]


def test_a_change_while_everyone_is_asked_reaches_those_who_were_asked_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    take(event({"user_id": 1}), event({"user_id": 2}), event({"user_id": 3}))
    monkeypatch.setattr(refresh, "BATCH", 1)
    name = shop.query("first_name", "string", NAME)
    lease = leases.claim("rehydrate")
    assert lease is not None
    assert refresh.go_through_everyone(lease)  # the first of three has been asked
    email = "select email from users where id = {{profile.user_id}}"
    update_rule(name.pk, changed(name, query=email), actor=SYSTEM)
    assert not refresh.go_through_everyone(lease)  # gives way
    work_off()
    found = Profile.objects.order_by("guid").values_list("properties__first_name", flat=True)
    assert list(found) == ["alice@example.com", "bob@example.com", "alice@example.com"]
    states = Work.objects.filter(kind="rehydrate").order_by("id").values_list("state", flat=True)
    assert list(states) == [WorkState.STOPPED, WorkState.COMPLETE]


def test_changes_before_anyone_was_asked_are_one_piece_of_work(tmp_path: Path) -> None:
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    shop.query("first_name", "string", NAME)
    shop.query("age", "string", "select age from users where id = {{profile.user_id}}")
    assert Work.objects.filter(kind="rehydrate").count() == 1


def test_a_change_does_not_wait_for_the_page_that_is_being_written(tmp_path: Path) -> None:
    """Whoever writes a page holds its work and then waits for the rules; whoever changes a rule must not hold the
    rules and then wait for the work."""
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    shop.query("first_name", "string", NAME)
    lease = leases.claim("rehydrate")
    assert lease is not None
    with transaction.atomic():
        lease.hold(mark=None)
        thread = Thread(target=_make_age, args=(shop,))
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert ProfilePropertyRule.objects.filter(key="age").exists()


def test_everyone_who_changed_a_rule_hears_when_all_were_asked_again(tmp_path: Path) -> None:
    alice, bob = make_user(), make_user(email="bob@example.com")
    rule("user_id", "integer", is_unique=True)
    shop = Shop(tmp_path)
    take(event({"user_id": 1}))
    name = shop.query("first_name", "string", NAME)
    update_rule(name.pk, changed(name, query=f"{NAME} and 1 = 1"), actor=Actor.person(alice))
    lease = leases.claim("rehydrate")
    assert lease is not None
    assert refresh.go_through_everyone(lease)
    update_rule(name.pk, changed(name, query=f"{NAME} and 2 = 2"), actor=Actor.person(bob))
    assert not refresh.go_through_everyone(lease)  # gives way to what asks by the newest rules
    assert notices.awaits(alice.pk)
    assert notices.unread(alice.pk) == notices.unread(bob.pk) == []
    work_off()
    assert [told.text[:9] for told in (*notices.unread(alice.pk), *notices.unread(bob.pk))] == ["1\u00a0person;"] * 2
    delete_rule(name.pk, actor=Actor.person(bob))
    work_off()
    assert notices.unread(bob.pk)[0].title == "“First name” is deleted"
    assert not notices.awaits(bob.pk)


def _make_age(shop: Shop) -> None:
    try:
        shop.query("age", "string", "select age from users where id = {{profile.user_id}}")
    finally:
        connection.close()


def test_the_type_stays_where_values_came_in_events_or_identify_people() -> None:
    shop_rules()
    take(event({"user_id": 1, "first_name": "Alice"}))
    name = ProfilePropertyRule.objects.get(key="first_name")
    with pytest.raises(InvalidInput, match="came in events"):
        update_rule(name.pk, changed(name, type="integer"), actor=SYSTEM)
    user_id = ProfilePropertyRule.objects.get(key="user_id")
    with pytest.raises(InvalidInput, match="identifies people by its values"):
        update_rule(user_id.pk, changed(user_id, type="string"), actor=SYSTEM)


def test_a_group_that_could_not_ask_any_more_refuses_a_new_type() -> None:
    age = rule("age", "integer")
    rules = {"match": "all", "rules": [{"property": "age", "operator": "greater_than", "value": 17}]}
    create_group("Grown up", kind="calculated", rules=rules, actor=SYSTEM)
    with pytest.raises(Refused, match="The group Grown up could not ask any more"):
        update_rule(age.pk, changed(age, type="boolean"), actor=SYSTEM)
    age.refresh_from_db()
    assert age.type == "integer"
    update_rule(age.pk, changed(age, type="float"), actor=SYSTEM)


def test_values_that_people_share_keep_a_property_from_becoming_unique() -> None:
    shop_rules()
    take(*[event({"user_id": n, "first_name": name}) for n, name in enumerate(("Alice", "Bob", "Bob", "Charlie"))])
    name = ProfilePropertyRule.objects.get(key="first_name")
    with pytest.raises(Refused, match="2 people share 1 value of it, such as “Bob”"):
        update_rule(name.pk, changed(name, is_unique=True), actor=SYSTEM)
    name.refresh_from_db()
    assert not name.is_unique


def test_a_property_becomes_unique_and_identifies_people_from_then_on() -> None:
    shop_rules()
    take(event({"user_id": 1, "first_name": "Alice"}), event({"user_id": 2, "first_name": "null"}))
    name = ProfilePropertyRule.objects.get(key="first_name")
    update_rule(name.pk, changed(name, is_unique=True), actor=SYSTEM)
    assert list(ProfileIdentity.objects.filter(rule=name).values_list("value", flat=True)) == ["Alice"]
    take(event({"first_name": "Alice", "age": 41}))
    assert Profile.objects.get(properties__user_id=1).properties["age"] == 41
    name.refresh_from_db()
    with pytest.raises(InvalidInput, match="It stays unique"):
        update_rule(name.pk, changed(name, is_unique=False), actor=SYSTEM)


def test_a_rule_in_use_cannot_be_deleted_and_its_users_are_named(tmp_path: Path) -> None:
    user_id = rule("user_id", "integer", is_unique=True)
    Shop(tmp_path).query("first_name", "string", NAME)
    rules = {"match": "all", "rules": [{"property": "user_id", "operator": "exists"}]}
    create_group("Everyone", kind="calculated", rules=rules, actor=SYSTEM)
    with pytest.raises(Refused, match="User id is in use by the group Everyone, the property First name"):
        delete_rule(user_id.pk, actor=SYSTEM)


def test_deleting_takes_the_values_away_and_frees_the_key() -> None:
    shop_rules()
    take(event({"user_id": 1, "email": "alice@example.com", "age": "old"}), event({"user_id": 2, "age": 9}))
    for key in ("email", "age"):
        delete_rule(ProfilePropertyRule.objects.get(key=key).pk, actor=SYSTEM)
    with pytest.raises(InvalidInput, match="age is being deleted"):
        rule("age", "integer")
    assert ProfilePropertyRule.objects.filter(state=RuleState.DELETED).count() == 2
    work_off()
    for properties, meta in Profile.objects.values_list("properties", "property_meta"):
        assert set(properties) == {"user_id"}
        assert not {"email", "age"} & set(meta)
    assert not ProfilePropertyRule.objects.filter(key__in=("email", "age")).exists()
    assert not ProfileIdentity.objects.filter(value="alice@example.com").exists()
    assert [9, None] in [change.get("age") for change in ProfileChange.objects.values_list("changes", flat=True)]
    create_rule(NewRule("age", "integer"), actor=SYSTEM)
