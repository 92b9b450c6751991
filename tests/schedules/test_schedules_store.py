"""Making and changing schedules: what is refused, what is remembered, what is due."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps_connectors.models import App
from core.accounts import project
from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry
from core.lib.errors import InvalidInput, NotFound, Refused
from core.work.models import Work
from groups.models import Group, GroupKind
from schedules import runs, schedules_store
from schedules.models import Run, Schedule
from schedules.schedules_store import ScheduleData, create_schedule, delete_schedule, read_data, update_schedule
from tests.schedules.shop import NOON, PEOPLE, Shop, counters, finish, import_all, make_rules, start, users_schedule

TABLE = {"table": "users", "changed_column": "changed_at", "id_column": "id"}


@pytest.fixture
def warehouse(shop: Shop) -> App:
    """The App that reads the shop, with the rules for its people, and a table to export to."""
    make_rules()
    shop.run("drop table if exists crm; create table crm (email text primary key, first_name text, age int)")
    return shop.app()


def make(app: App, **more: Any) -> Schedule:
    data = {"direction": "import", "name": "users", "app_id": app.pk, "options": TABLE, "fields": PEOPLE, **more}
    return create_schedule(ScheduleData(**data), actor=SYSTEM)


def make_export(app: App, **more: Any) -> Schedule:
    group = Group.objects.create(name="USA customers", kind=GroupKind.MANUAL)
    data: dict[str, Any] = {
        "direction": "export",
        "name": "to the shop",
        "options": {"table": "crm", "key_field": "email"},
        "fields": {"email": "email", "first_name": "first_name"},
        "groups": {group.pk: "usa"},
    }
    return make(app, **{**data, **more})


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "  "}, "Give the schedule a name"),
        ({"name": "x" * 201}, "too long"),
        ({"direction": "sideways"}, "import or an export"),
        ({"app_id": 999}, "no such App"),
        ({"every_minutes": 0}, "Every 0 minutes is not possible"),
        ({"every_minutes": 10, "cron": "* * * * *"}, "not both"),
        ({"cron": "often"}, "not a cron line"),
        ({"options": {}}, "Say what to read"),
        ({"options": {"table": "users"}}, "Choose the id column"),
        ({"options": {**TABLE, "query": "select 1"}}, "one thing to read"),
        ({"options": {**TABLE, "lookback": -1}}, "lookback"),
        ({"options": {**TABLE, "may_create": "yes"}}, "true or false"),
        ({"options": {**TABLE, "table": "nobody"}}, "nobody"),
        ({"options": {**TABLE, "changed_column": "changed"}}, "changed"),
        ({"options": {"query": "delete from users", "id_column": "id"}}, "must only read"),
        ({"options": {"query": "select 1 as id; select 2", "id_column": "id"}}, "one"),
        ({"options": {"query": "select * from users where id = {{profile.user_id}}", "id_column": "id"}}, "high_water"),
        ({"fields": {}}, "Choose which columns"),
        ({"fields": {"id": "user_number"}}, "no property “user_number”"),
        ({"fields": {"first_name": "first_name"}}, "who a row is about"),
        ({"fields": {"id": "user_id", "email": "user_id"}}, "Two columns would feed “user_id”"),
        ({"fields": {"mail": "email"}}, "“mail” is not among those that were read"),
    ],
)
def test_an_import_that_cannot_work_is_refused_in_a_sentence(
    warehouse: App, change: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        make(warehouse, **change)
    assert refused.value.fields
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fields": {}}, "which properties to send"),
        ({"groups": {}}, "Choose the groups"),
        ({"groups": {999: "usa"}}, "no group 999"),
        ({"options": {"table": "crm"}}, "Choose the key field"),
        ({"options": {"table": "crm", "key_field": "first_name"}}, "has to be a unique property"),
        ({"mode": "overwrite"}, "Choose one of"),
        ({"fields": {"email": "email", "shoe_size": "first_name"}}, "no field “shoe_size”"),
        ({"fields": {"age": "first_name"}, "options": {"table": "crm", "key_field": "age"}}, "unique property"),
    ],
)
def test_an_export_that_cannot_work_is_refused_in_a_sentence(
    warehouse: App, change: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        make_export(warehouse, **change)
    assert refused.value.fields
    assert not Schedule.objects.exists()


def test_a_name_is_used_once_whatever_its_case(warehouse: App) -> None:
    make(warehouse)
    with pytest.raises(InvalidInput, match="Another schedule has this name"):
        make(warehouse, name="USERS")


def test_an_import_cannot_become_an_export(warehouse: App) -> None:
    schedule = make(warehouse)
    group = Group.objects.create(name="USA customers", kind=GroupKind.MANUAL)
    data = replace(
        read_data(schedule), direction="export", options={"key_field": "email", "table": "crm"},
        fields={"email": "email"}, groups={group.pk: "usa"},
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="cannot become an export"):
        update_schedule(schedule.pk, data, actor=SYSTEM)


# ---------------------------------------------------------------- what is remembered


def test_an_export_remembers_its_key_field_and_what_its_groups_are_called(warehouse: App) -> None:
    schedule = make_export(warehouse)
    assert list(schedule.fields.order_by("field").values_list("field", "rule__key", "is_key")) == [
        ("email", "email", True),
        ("first_name", "first_name", False),
    ]
    assert list(schedule.groups.values_list("name", flat=True)) == ["usa"]


def test_every_change_is_in_the_audit_log(warehouse: App) -> None:
    schedule = make(warehouse)
    update_schedule(schedule.pk, replace(read_data(schedule), every_minutes=10), actor=SYSTEM)
    delete_schedule(schedule.pk, actor=SYSTEM)
    entries = list(AuditEntry.objects.filter(subject_kind="schedule").order_by("id"))
    assert [entry.action for entry in entries] == ["schedule.create", "schedule.update", "schedule.delete"]
    assert (entries[1].before, entries[1].after) == ({"every_minutes": None}, {"every_minutes": 10})


def test_a_changed_mapping_reads_everything_again_and_a_changed_name_does_not(shop: Shop, warehouse: App) -> None:
    schedule = users_schedule(warehouse, fields={"id": "user_id"})
    shop.add_users(30, apart=3600)
    import_all(schedule)
    update_schedule(schedule.pk, replace(read_data(schedule), name="people", every_minutes=5), actor=SYSTEM)
    assert counters(import_all(schedule), "events") == [0]
    update_schedule(schedule.pk, replace(read_data(schedule), fields=PEOPLE), actor=SYSTEM)
    assert counters(import_all(schedule), "read", "events", "created", "changed") == [30, 30, 0, 30]


def test_what_a_run_reads_is_not_changed_under_its_hands(warehouse: App) -> None:
    schedule = make(warehouse)
    start(schedule)
    with pytest.raises(Refused, match="is not finished"):
        update_schedule(schedule.pk, replace(read_data(schedule), fields={"id": "user_id"}), actor=SYSTEM)
    with pytest.raises(Refused, match="is not finished"):
        delete_schedule(schedule.pk, actor=SYSTEM)
    update_schedule(schedule.pk, replace(read_data(schedule), every_minutes=5), actor=SYSTEM)


def test_a_deleted_schedule_is_gone_with_its_runs(shop: Shop, warehouse: App) -> None:
    schedule = make(warehouse)
    shop.add_users(3)
    import_all(schedule)
    assert Work.objects.filter(kind="import").exists()
    delete_schedule(schedule.pk, actor=SYSTEM)
    assert not Run.objects.exists()
    assert not Work.objects.filter(kind="import").exists()
    call_command("check_integrity", stdout=StringIO())
    with pytest.raises(NotFound):
        delete_schedule(schedule.pk, actor=SYSTEM)


# ---------------------------------------------------------------- what is due


def test_a_schedule_every_ten_minutes_starts_at_once_and_then_keeps_its_beat(warehouse: App) -> None:
    schedule = make(warehouse, every_minutes=10)
    first = schedule.next_at
    assert first is not None
    assert runs.start_due() == 1
    schedule.refresh_from_db()
    assert schedule.next_at == first + timedelta(minutes=10)
    assert Run.objects.get().trigger == "schedule"


def test_a_week_of_missed_times_gives_one_run(warehouse: App) -> None:
    schedule = make(warehouse, every_minutes=10)
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=7))
    assert runs.start_due() == 1
    finish(Run.objects.get())
    assert runs.start_due() == 0
    schedule.refresh_from_db()
    assert schedule.next_at is not None
    assert schedule.next_at > timezone.now()


def test_a_cron_line_follows_the_projects_time_zone_and_what_is_due_stays_due(warehouse: App) -> None:
    project.update({"time_zone": "UTC"}, actor=SYSTEM)
    daily, late = make(warehouse, cron="30 6 * * *"), make(warehouse, name="late", cron="30 6 * * *")
    often = make(warehouse, name="often", every_minutes=10)
    due = timezone.now() - timedelta(minutes=1)
    Schedule.objects.filter(pk=late.pk).update(next_at=due)
    assert daily.next_at is not None
    project.update({"time_zone": "Asia/Tokyo"}, actor=SYSTEM)
    at = dict(Schedule.objects.values_list("pk", "next_at"))
    moved = at[daily.pk]
    assert moved is not None
    assert moved.astimezone(UTC).strftime("%H:%M") == "21:30"  # half past six in Tokyo
    assert timezone.now() < moved < timezone.now() + timedelta(days=1)
    assert (at[late.pk], at[often.pk]) == (due, often.next_at)


def test_any_number_of_workers_start_one_run_of_what_was_missed(warehouse: App) -> None:
    make(warehouse, cron="*/5 * * * *")
    Schedule.objects.update(next_at=timezone.now() - timedelta(days=7))

    def sweep(_: int) -> int:
        try:
            return runs.start_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(sweep, range(8))) == 1
    assert Run.objects.count() == 1


def test_a_schedule_that_still_runs_starts_again_once_when_it_has_ended(warehouse: App) -> None:
    make(warehouse, every_minutes=1)
    assert runs.start_due() == 1
    Schedule.objects.update(next_at=timezone.now() - timedelta(minutes=5))
    assert runs.start_due() == 0
    finish(Run.objects.get())
    assert runs.start_due() == 1
    assert runs.start_due() == 0


def test_what_is_disabled_halted_or_paused_does_not_start(warehouse: App) -> None:
    schedule = make(warehouse, every_minutes=1)
    schedules_store.halt(schedule.pk, "The password is wrong.")
    assert runs.start_due() == 0
    schedules_store.resume(schedule.pk, actor=SYSTEM)
    App.objects.update(paused_at=NOON)
    assert runs.start_due() == 0
    with pytest.raises(Refused, match="is paused"):
        start(schedule)
    App.objects.update(paused_at=None)
    update_schedule(schedule.pk, replace(read_data(schedule), enabled=False), actor=SYSTEM)
    assert runs.start_due() == 0
    update_schedule(schedule.pk, replace(read_data(schedule), enabled=True), actor=SYSTEM)
    assert runs.start_due() == 1


def test_exports_wait_while_sending_is_stopped(warehouse: App) -> None:
    make_export(warehouse, every_minutes=1)
    project.update({"sending_stopped": True}, actor=SYSTEM)
    assert runs.start_due() == 0
    project.update({"sending_stopped": False}, actor=SYSTEM)
    assert runs.start_due() == 1


def test_by_hand_only_one_run_at_a_time_can_be_started(warehouse: App) -> None:
    schedule = make(warehouse)
    assert schedule.next_at is None
    run = start(schedule)
    with pytest.raises(Refused, match=f"Run {run.pk} of “users” is not finished"):
        start(schedule)
