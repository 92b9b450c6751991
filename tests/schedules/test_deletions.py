from __future__ import annotations

import pytest

from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput
from core.work.models import Work, WorkState
from profiles.models import Profile, ProfilePropertyRule
from profiles.rules import NewRule, create_rule
from schedules import deletions
from schedules.models import Run, Schedule
from tests.schedules.shop import Shop, import_all, make_rules, users_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def users(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Schedule:
    monkeypatch.setattr(deletions, "PAGE", 10)
    make_rules()
    schedule = users_schedule(shop.app(), options={"look_for_deleted": True})
    column = {"table": "users", "column": "first_name", "key_column": "id", "aggregation": "exact"}
    create_rule(NewRule("given", "string", app=schedule.app, column=column, column_key="user_id"), actor=SYSTEM)
    shop.add_users(25)
    import_all(schedule)
    assert known() == 25
    look()
    return schedule


def known() -> int:
    return Profile.objects.filter(properties__has_key="given").count()


def look() -> None:
    while deletions.work_slice():
        pass


def test_what_came_from_a_row_that_is_gone_becomes_empty(shop: Shop, users: Schedule) -> None:
    shop.run("delete from users where id in (3, 14, 25)")
    run = import_all(users)
    assert known() == 25
    look()
    assert known() == 22
    gone = Profile.objects.get(properties__user_id=14)
    assert "given" not in gone.properties
    assert gone.properties["email"] == "person14@example.com"
    run.refresh_from_db()
    assert run.counters["deleted"] == 3
    assert run.notes[-1].startswith("3 people have no row in users any more")
    assert Work.objects.filter(kind="deleted").order_by("-id")[0].state == WorkState.COMPLETE


def test_who_was_emptied_is_not_asked_for_each_time(shop: Shop, users: Schedule) -> None:
    shop.run("delete from users where id = 3")
    for expected in (1, None):
        run = import_all(users)
        look()
        assert Run.objects.get(pk=run.pk).counters.get("deleted") == expected


def test_a_table_that_is_suddenly_empty_takes_nothing_away(shop: Shop, users: Schedule) -> None:
    shop.add_users(100, first=26)
    import_all(users)
    look()
    shop.run("delete from users")
    import_all(users)
    look()
    assert known() > 125 - 50
    assert "looks like an accident" in ProfilePropertyRule.objects.get(key="given").paused_reason


def test_a_source_that_is_away_is_asked_again_later(shop: Shop, users: Schedule) -> None:
    import_all(users)
    shop.run("alter table users rename to people")
    look()
    work = Work.objects.filter(kind="deleted").order_by("-id")[0]
    assert work.state == WorkState.RUNNING
    assert work.failures == 1
    assert known() == 25


def test_deleted_rows_are_looked_for_in_tables_alone(shop: Shop) -> None:
    make_rules()
    options = {"table": "", "query": "select id from users", "changed_column": "", "look_for_deleted": True}
    with pytest.raises(InvalidInput, match="table"):
        users_schedule(shop.app(), fields={"id": "user_id"}, options=options)
