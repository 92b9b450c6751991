"""A product that has been in use for a year, written with plain SQL: for benchmarks of what people look at.

N profiles with ten properties and two identities, 5 N events of six types over a year in their weekly partitions,
twenty groups with their logs, two exports and five imports with their runs and ledger, a subscription with its
deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps_connectors import apps_store
from apps_connectors.models import App
from benchmarks.harness import app_options, connect_to, indexes_afterwards, run_sql
from core.accounts import keys
from core.accounts.actors import SYSTEM
from core.accounts.models import ApiKey, Role, User
from core.work import partitions
from core.work.models import Work
from core.work.partitions import WEEK
from groups import groups_store
from groups.models import Group
from profiles.rules import NewRule, create_rule
from schedules.models import Run, Schedule, ScheduleField, ScheduleGroup
from schedules.outbound.models import OutboundCursor, Subscription

WEEKS = 53
EVENTS_EACH = 5
MANY_GROUPS = 20
MOST_RUNS = 10_000
_RULES = (
    ("user_id", "integer"),
    ("email", "email"),
    ("first_name", "string"),
    ("last_name", "string"),
    ("locale", "string"),
    ("ltv", "float"),
    ("visits", "integer"),
    ("vip", "boolean"),
    ("signed_up", "date"),
    ("last_purchase_at", "date"),
)
_LARGE = ("profile", "profile_identity", "profile_change", "event", "group_member", "group_membership_change",
          "export_record", "sent_log", "outbound_delivery")  # fmt: skip
_STORED_TIME = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
# A UUIDv7 of the time `at`, with what the number `n` gives as its random part.
_UUID7 = (
    "(lpad(to_hex((extract(epoch from {at}) * 1000)::bigint), 12, '0') || '7' || substr(md5({n}::text), 1, 3) || 'b'"
    " || substr(md5({n}::text), 4, 15))::uuid"
)


@dataclass(frozen=True, slots=True)
class Filled:
    """One of each kind, for addresses; `user` is an admin.

    `busy` did a tenth as much as all others together, `merged` became part of them; `plan` is a run that would change
    everyone.
    """

    user: User
    guid: UUID
    event_id: UUID
    ids: dict[str, int]
    busy: UUID
    merged: UUID
    plan: int


def fill(profiles: int, *, source: str) -> Filled:
    """Fill this benchmark's database; what can be asked about. Imports read from the database `source`."""
    now = timezone.now()
    for weeks in range(0, WEEKS + 3, 3):
        partitions.ensure(now - weeks * WEEK)
    user = User.objects.create(email="bench@example.com", name="Alice", role=Role.ADMIN)
    key, _ = keys.create_key("bench", scopes=["events:write"], actor=SYSTEM)
    rules = {name: create_rule(NewRule(name, kind, is_unique=name in {"user_id", "email"}), actor=SYSTEM).pk
             for name, kind in _RULES}  # fmt: skip
    app = apps_store.create_app("postgres", "Warehouse", app_options(source), actor=SYSTEM)
    _fill_source(source)
    with indexes_afterwards(_LARGE):
        _fill_profiles(profiles, rules)
        _fill_events(profiles, key)
        groups = _fill_groups(profiles)
        schedules = _fill_schedules(app, rules["email"], groups)
        run = _fill_runs(min(MOST_RUNS, max(30, profiles // 100)), schedules, now)
        subscription = _fill_outbound(profiles, schedules[-1], run.pk)
        plan = _fill_plan(schedules[5], profiles)
        busy, merged = _fill_busy_person(profiles)
    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze)")
    guid, event_id = _ask("select profile_id, id from event where profile_id is not null order by id desc limit 1")
    ids = {"group_id": groups[0].pk, "rule_id": rules["locale"], "app_id": app.pk, "schedule_id": schedules[-1].pk,
           "run_id": run.pk, "subscription_id": subscription.pk, "person_id": user.pk, "key_id": key.pk}  # fmt: skip
    return Filled(user, guid, event_id, ids, busy, merged, plan)


def _fill_source(name: str) -> None:
    """A small database: how quick a source answers is not what is asked here."""
    source = connect_to(name)
    run_sql(source, "create table users (id bigint primary key, email text, updated_at timestamptz default now())",
            "insert into users select n, 'person' || n || '@example.com' from generate_series(1, 100) n",
            "create table t (email text primary key)")  # fmt: skip
    source.close()


def _fill_profiles(count: int, rules: dict[str, int]) -> None:
    _run(
        "create table bench_person (n bigint primary key, guid uuid, at timestamptz)",
        f"insert into bench_person select n, {_UUID7.format(at='at', n='n')}, at from generate_series(1, {count}) n,"
        f" lateral (select now() - interval '365 days' * (1 - n::float / {count})) t(at)",
        "insert into profile (guid, properties, property_meta, hydrated_at, created_at, updated_at) select guid,"
        " jsonb_build_object('user_id', n, 'email', 'person' || n || '@example.com', 'first_name',"
        "  (array['Noor', 'Hannah', 'Grace', 'Samir', 'Yuki'])[1 + n % 5], 'last_name', 'Family ' || n % 5000,"
        "  'locale', (array['en-us', 'de-de', 'fr-fr', 'en-gb'])[1 + n % 4], 'ltv', (n * 7919 % 100000) / 7.0,"
        "  'visits', n * 31 % 1000, 'vip', n % 20 = 0,"
        f" 'signed_up', to_char(at at time zone 'UTC', {_STORED_TIME}), 'last_purchase_at',"
        f"  to_char((now() - make_interval(hours => (n * 7919 % 8760)::int)) at time zone 'UTC', {_STORED_TIME})),"
        " '{}', at, at, at from bench_person",
        f"insert into profile_identity (rule_id, value, profile_id) select {rules['user_id']}, n::text, guid"
        " from bench_person",
        f"insert into profile_identity (rule_id, value, profile_id) select {rules['email']},"
        " 'person' || n || '@example.com', guid from bench_person",
        "insert into profile_change (at, profile_id, changes, cause) select at, guid,"
        " jsonb_build_object('visits', jsonb_build_array(null, n * 31 % 1000)), 'hydration' from bench_person",
    )


def _fill_events(profiles: int, key: ApiKey) -> None:
    count = EVENTS_EACH * profiles
    _run(
        "insert into event (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, state,"
        f" profile_id) select {_UUID7.format(at='e.at', n='e.n')}, e.n::text,"
        " (array['Purchase', 'Visit', 'Cart', 'Mail', 'Call', 'Refund'])[1 + e.n % 6], e.at, e.at,"
        f" 'api_key', {key.pk}, json_build_object('total', e.n % 200, 'sku', 'item ' || e.n % 40),"
        " case when e.n % 50 = 0 then 'unlinked' else 'processed' end, case when e.n % 50 > 0 then p.guid end"
        f" from (select n, now() - interval '365 days' * (1 - n::float / {count}) as at"
        f" from generate_series(1::bigint, {count}) n) e join bench_person p on p.n = 1 + e.n * 7919 % {profiles}",
        f"insert into event_key (key, event_id) select md5('api_key:{key.pk}:' || message_id)::uuid, id from event"
        " where received_at > now() - interval '7 days'",
    )


def _fill_groups(profiles: int) -> list[Group]:
    groups = []
    for number in range(MANY_GROUPS):
        rules = {"match": "all", "rules": [{"property": "visits", "operator": "greater_than", "value": number * 50}]}
        made = {"kind": "manual"} if number == 1 else {"kind": "calculated", "rules": rules}
        groups.append(groups_store.create_group(f"Group {number}", actor=SYSTEM, **made))
        _run(
            "insert into group_member (group_id, profile_id, created_at)"
            f" select {groups[-1].pk}, guid, at from bench_person where n % {number + 2} = 0",
            "insert into group_size (group_id, day, size) select"
            f" {groups[-1].pk}, current_date - d, {profiles // (number + 2)} from generate_series(1, 30) d",
        )
    Group.objects.update(calculated_version=1, rules_version=1, calculated_at=timezone.now())
    Work.objects.filter(kind="group").delete()
    first = groups[0].pk
    _run(
        "insert into group_membership_change (at, group_id, profile_id, joined, cause)"
        f" select at, {first} + n % {MANY_GROUPS}, guid, n % 3 > 0, 'profile' from bench_person"
    )
    return groups


def _fill_schedules(app: App, email: int, groups: list[Group]) -> list[Schedule]:
    schedules = []
    for number in range(7):
        direction = "import" if number < 5 else "export"
        options = {"table": "users", "id_column": "id"} if number < 5 else {"table": "t", "key_field": "email"}
        schedules.append(
            Schedule.objects.create(
                direction=direction, name=f"Schedule {number}", app=app, options=options, every_minutes=60
            )
        )
        ScheduleField.objects.create(schedule=schedules[-1], rule_id=email, field="email", is_key=direction == "export")
    for schedule in schedules[5:]:
        ScheduleGroup.objects.create(schedule=schedule, group=groups[0], name="Group 0")
    return schedules


def _fill_runs(count: int, schedules: list[Schedule], now: datetime) -> Run:
    """Runs of the last weeks, the last of each schedule an hour ago at most."""
    times = [now - timedelta(minutes=10 * (count - number)) for number in range(count)]
    works = Work.objects.bulk_create(
        Work(kind=schedules[number % 7].direction, subject=f"bench {number}", state="complete", next_at=at,
             done=1000, total=1000, started_at=at, finished_at=at)
        for number, at in enumerate(times)
    )  # fmt: skip
    runs = Run.objects.bulk_create(
        Run(schedule=schedules[number % 7], direction=schedules[number % 7].direction, work=works[number],
            state="failed" if number % 40 == 0 else "complete", trigger="schedule", started_at=at,
            counters={"read": 1000, "events": 900, "selected": 1000, "sent": 900, "rejected": number % 9},
            finished_at=at + timedelta(seconds=number % 97))
        for number, at in enumerate(times)
    )  # fmt: skip
    _run("update run set created_at = started_at")
    return next(run for run in reversed(runs) if run.schedule_id == schedules[-1].pk)


def _fill_outbound(profiles: int, schedule: Schedule, run_id: int) -> Subscription:
    app = apps_store.create_app("webhook", "Receiver", {"url": "http://127.0.0.1:9/"}, actor=SYSTEM)
    subscription = Subscription.objects.create(app=app, name="Every purchase", match="type", value="Purchase")
    OutboundCursor.objects.create(subscription=subscription, mark=0, cluster="", read_at=timezone.now())
    key = "'person' || n || '@example.com'"
    _run(
        "insert into export_record (schedule_id, profile_id, state, key, payload, group_names, claimed_key, attempts,"
        f" accepted_at, error, run_id) select {schedule.pk}, guid,"
        " case when n % 100 = 0 then 'rejected' else 'held' end,"
        f" {key}, jsonb_build_object('email', {key}), '[\"Group 0\"]', {key}, 1, at, '', {run_id} from bench_person",
        "insert into sent_log (at, schedule_id, run_id, profile_id, kind, key, outcome, after, groups_after, text)"
        f" select at, {schedule.pk}, {run_id}, guid, 'created', {key}, 'accepted', jsonb_build_object('email', {key}),"
        f" '[\"Group 0\"]', '' from bench_person where n % 5 = 0",
        "insert into outbound_delivery (event_id, subscription_id, profile_id, event_type, occurred_at, body, state,"
        " warning, created_at, attempts, tries, answered_at, error, reply, log)"
        f" select id, {subscription.pk}, profile_id, type, occurred_at, payload,"
        " case when message_id::bigint % 500 = 0 then 'rejected' else 'accepted' end, '', received_at, 1, 1,"
        f" received_at, '', '', '[]' from event where type = 'Purchase' and profile_id is not null limit {profiles}",
        "insert into audit_entry (at, actor_kind, actor_label, action, subject_kind, subject_id, subject_label)"
        " select now() - make_interval(hours => n), 'system', 'Grouparoo', 'group.update', 'group', '1', 'Group 0'"
        " from generate_series(1, 2000) n",
    )
    return subscription


def _fill_plan(schedule: Schedule, profiles: int) -> int:
    """A dry run of an export whose plan concerns everyone: one in a hundred would be removed, one in ten is new."""
    now = timezone.now()
    work = Work.objects.create(kind="export", subject="bench plan", state="complete", next_at=now, started_at=now)
    removed, created = profiles // 100, profiles // 10
    counters = {"plan_created": created, "plan_updated": profiles - removed - created, "plan_removed": removed,
                "plan_held": profiles - created}  # fmt: skip
    run = Run.objects.create(schedule=schedule, direction="export", work=work, state="complete", trigger="person:1",
                             started_at=now, finished_at=now, counters=counters, options={"plan": True})  # fmt: skip
    key = "'person' || n || '@example.com'"
    held, owed = "n % 10 <> 3", "n % 100 <> 0"
    _run(
        "insert into export_record (schedule_id, profile_id, state, key, payload, group_names, owed_key, owed_payload,"
        " owed_group_names, claimed_key, next_at, attempts, error, run_id)"
        f" select {schedule.pk}, guid, 'planned', case when {held} then {key} end,"
        f" case when {held} then jsonb_build_object('email', {key}) end, case when {held} then '[]'::jsonb end,"
        f" case when {owed} then {key} end, case when {owed} then jsonb_build_object('email', {key}) end,"
        f" case when {owed} then '[\"Group 0\"]'::jsonb end, {key}, '9000-01-01', 0, '', {run.pk} from bench_person"
    )
    return run.pk


def _fill_busy_person(profiles: int) -> tuple[UUID, UUID]:
    """Someone with very many events, and one of three people who became part of them."""
    id_ = _UUID7.format(at="e.at", n="('busy' || e.n)")
    _run(
        "insert into event (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, state,"
        f" profile_id) select {id_}, 'busy' || e.n, 'Visit', e.at, e.at,"
        " 'api_key', 1, json_build_object('page', e.n % 50), 'processed', p.guid"
        f" from (select n, now() - interval '365 days' * random() as at from generate_series(1, {profiles // 10}) n) e,"
        " bench_person p where p.n = 1",
        "update profile set merged_into = (select guid from bench_person where n = 1)"
        " where guid in (select guid from bench_person where n in (2, 3, 4))",
        "delete from group_member where profile_id in (select guid from bench_person where n in (2, 3, 4))",
        'insert into profile_merge (winner_id, loser_id, at, cause, identities, repointed, values, joined, "left",'
        " undone_cause) select w.guid, l.guid, now(), 'person:1', '[]', '[]', '{}', '[]', '[]', ''"
        " from bench_person w, bench_person l where w.n = 1 and l.n in (2, 3, 4)",
    )
    busy, merged = _ask("select max(guid) filter (where n = 1), max(guid) filter (where n = 2) from ("
                        "select n, guid::text from bench_person where n in (1, 2)) p")  # fmt: skip
    return UUID(busy), UUID(merged)


def _run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()
