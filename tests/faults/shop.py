"""A small shop on servers that a test may break: its source, the product set up to read it, and what must be true.

Everything that the product came to is compared with plain SQL on the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from django.db import OperationalError, connection
from django.db.models import Count

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from core.work.models import UNFINISHED, Work
from events.models import Event, Inbox
from groups import groups_store
from groups.models import Group, GroupMember
from profiles.models import HydrationRetry, Profile, ProfileIdentity
from profiles.rules import NewRule, create_rule
from schedules import runs, schedules_store
from schedules.models import Run, RunState, Schedule
from schedules.schedules_store import ScheduleData
from tests.waiting import wait_until

CUSTOMERS = 16_000  # pages enough that a run is in its middle for a while, though it prepares one ahead
SETTLED_WITHIN = 75.0

_SOURCE = """
    create table customers (
        id int primary key, email text, first_name text, country text, age int, updated_at timestamptz);
    create table purchases (customer_id int, total numeric(10, 2));
    insert into customers
        select i, 'customer' || i || '@example.com', (array['Alice', 'Bob', 'Charlie'])[1 + i % 3],
               (array['US', 'DE', 'FR'])[1 + i / 3 % 3], 18 + i % 60,
               timestamptz '2026-01-01' + i * interval '1 second'
          from generate_series(1, {count}) i;
    insert into purchases
        select i, round((i * 37 + k * 11) % 20000 / 100.0, 2)
          from generate_series(1, {count}) i, generate_series(1, 2) k where i % 7 <> 0;
    create index on customers (updated_at, id);
    create index on purchases (customer_id);
    analyze customers, purchases;
"""

# What the product should know of everyone: the same in one statement.
_PEOPLE = """
    select c.id, c.email, c.first_name, c.country, c.age, p.ltv::float8
      from customers c
      left join (select customer_id, sum(total) ltv from purchases group by 1) p on p.customer_id = c.id
     order by 1
"""
# Everything that may still have to be done, and how the newest run of each direction stands: of one moment, or work
# might pass from a place not looked at yet to one looked at already. An export pauses between two runs; what it has not
# read then, and what it will try again later, counts as well.
_STANDING = """
    select exists (select from work where state = any(%s))
        or exists (select from inbox)
        or exists (select from hydration_retry)
        or exists (select from export_record where next_at is not null)
        or exists (select from profile_change l, export_cursor c where l.xid >= c.mark)
        or exists (select from group_membership_change l, export_cursor c where l.xid >= c.mark),
           (select state from run where direction = 'import' order by id desc limit 1),
           (select state from run where direction = 'export' order by id desc limit 1)
"""
KEYS = ("user_id", "email", "first_name", "country", "age", "ltv")
SPENDERS, GERMANS = "Grown-up spenders", "Germans"
_GROUPS: dict[str, list[dict[str, Any]]] = {
    SPENDERS: [
        {"property": "ltv", "operator": "greater_than", "value": 150},
        {"property": "age", "operator": "greater_than", "value": 30},
    ],
    GERMANS: [{"property": "country", "operator": "equals", "value": "DE"}],
}


def is_member(group: str, person: Mapping[str, Any]) -> bool:
    """Whether a row of the source belongs into a group, in plain Python."""
    if group == GERMANS:
        return bool(person["country"] == "DE")
    return (person.get("ltv") or 0) > 150 and person["age"] > 30


@dataclass
class Shop:
    """The source and the destination by URL, and the product's objects made for them."""

    source: str
    destination: str
    customers: int = CUSTOMERS
    schedule: Schedule = field(init=False)
    export: Schedule = field(init=False)

    def set_up(self) -> None:
        """Fill the source and make Apps, rules, groups and schedules the way a person does."""
        run_sql(self.source, _SOURCE.replace("{count}", str(self.customers)))
        app = apps_store.create_app("postgres", "Warehouse", options_of(self.source), actor=SYSTEM)
        make_rules(app)
        self.groups = {
            name: groups_store.create_group(
                name, kind="calculated", rules={"match": "all", "rules": rules}, actor=SYSTEM
            )
            for name, rules in _GROUPS.items()
        }
        self.schedule = make_import(app)
        self.export = make_export(self.destination, self.groups.values())

    # ------------------------------------------------------------ running

    def start_import(self) -> Run:
        """Start an import run; beat's sweep finds a worker for it."""
        return runs.start_run(self.schedule.pk, trigger="person:1", actor=SYSTEM)

    def wait_for_rows(self, share: float) -> None:
        """Until the import has taken this share of the customers."""
        wait_until(
            lambda: count_of("import", "events") >= share * self.customers,
            what=f"{share:.0%} of the rows are taken",
            within=SETTLED_WITHIN,
        )

    def wait_for_exported(self, share: float) -> None:
        """Until the destination has this share of its people."""
        wanted = share * sum(self.is_exported(person) for person in self.people())
        wait_until(
            lambda: count_of("export", "created") >= wanted,
            what=f"{share:.0%} of the people are exported",
            within=SETTLED_WITHIN,
        )

    def wait_until_settled(self) -> None:
        """Until nothing is left to do: no work, no events, nobody to ask again, nothing to send."""
        wait_until(is_settled, what="everything is done", within=SETTLED_WITHIN)

    # ------------------------------------------------------------ what must be true

    def people(self) -> list[dict[str, Any]]:
        """Everyone as plain SQL on the source says, nulls left out."""
        rows = run_sql(self.source, _PEOPLE)
        return [{key: value for key, value in zip(KEYS, row, strict=True) if value is not None} for row in rows]

    def is_exported(self, person: Mapping[str, Any]) -> bool:
        """Whether the export selects this person."""
        return any(is_member(name, person) for name in _GROUPS)

    def check(self) -> None:
        """Everything the product holds equals plain SQL, and its own books are in order."""
        people = self.people()
        self.check_profiles(people)
        self.check_groups(people)
        self.check_destination(people)
        self.check_events()
        self.check_runs(people)
        check_nothing_is_stuck()

    def check_profiles(self, people: list[dict[str, Any]]) -> None:
        held = [
            {key: value for key, value in values.items() if key in KEYS}
            for values in Profile.objects.values_list("properties", flat=True)
        ]
        assert len(held) == len(people)
        assert sorted(held, key=lambda values: values["user_id"]) == people
        owned = ProfileIdentity.objects.values_list("rule__key").annotate(count=Count("value"))
        assert dict(owned) == {"user_id": len(people), "email": len(people)}

    def check_groups(self, people: list[dict[str, Any]]) -> None:
        users = dict(Profile.objects.values_list("guid", "properties__user_id"))
        for name, group in self.groups.items():
            members = [
                users[guid] for guid in GroupMember.objects.filter(group=group).values_list("profile_id", flat=True)
            ]
            assert sorted(members) == [person["user_id"] for person in people if is_member(name, person)], name

    def check_destination(self, people: list[dict[str, Any]]) -> None:
        columns = "user_id::int, email, first_name, country, age::int, ltv::float8"
        rows = run_sql(self.destination, f"select {columns} from people order by 1")
        wanted = [tuple(person.get(key) for key in KEYS) for person in people if self.is_exported(person)]
        assert [row for row in rows if row not in wanted] == []
        assert [row for row in wanted if row not in rows] == []
        assert len(rows) == len(wanted)

    def check_events(self) -> None:
        """Each row made one event, which belongs to someone."""
        stored = Event.objects.filter(source_kind="schedule") | Event.objects.filter(source_kind="run")
        assert stored.count() == stored.values("message_id").distinct().count() == self.customers
        assert not Event.objects.filter(profile_id__isnull=True).exists()

    def check_runs(self, people: list[dict[str, Any]]) -> None:
        imports, exports = Run.objects.filter(direction="import"), Run.objects.filter(direction="export")
        assert imports.order_by("pk").values_list("state", flat=True).last() == RunState.COMPLETE
        assert exports.order_by("pk").values_list("state", flat=True).last() == RunState.COMPLETE
        assert total(imports, "events") == total(imports, "created") == self.customers
        assert total(imports, "read") == sum(total(imports, key) for key in ("events", "unchanged", "rejected"))
        wanted = sum(self.is_exported(person) for person in people)
        assert total(exports, "created") - total(exports, "removed") == wanted
        assert total(exports, "rejected") == 0


def check_nothing_is_stuck() -> None:
    """No work, event or profile waits for anyone."""
    assert not Work.objects.filter(state__in=UNFINISHED).exists()
    assert not Run.objects.filter(state__in=[RunState.PENDING, RunState.RUNNING]).exists()
    assert not Inbox.objects.exists()
    assert not HydrationRetry.objects.exists()
    assert run_on_product("select count(*) from export_record where next_at is not null") == [(0,)]


def is_settled() -> bool:
    """Whether nothing is left to do; a database that is away has not settled."""
    try:
        [(has_work, imported, exported)] = run_on_product(_STANDING, list(UNFINISHED))
    except OperationalError:
        connection.close()
        return False
    return not has_work and (imported == RunState.FAILED or exported == RunState.COMPLETE)


def count_of(direction: str, counter: str) -> int:
    """A counter over all runs of a direction, while they go on."""
    try:
        return total(Run.objects.filter(direction=direction), counter)
    except OperationalError:
        connection.close()
        return 0


def total(of: Any, counter: str) -> int:
    """A counter summed over runs."""
    return sum(counters.get(counter, 0) for counters in of.values_list("counters", flat=True))


# ---------------------------------------------------------------- the parts of the set-up


def make_rules(app: App) -> None:
    """`user_id` from the row, four column rules, and a query rule over purchases."""
    create_rule(NewRule("user_id", "integer", is_unique=True, identity_rank=1), actor=SYSTEM)
    for key, type_name in (("email", "email"), ("first_name", "string"), ("country", "string"), ("age", "integer")):
        column = {"table": "customers", "column": key, "key_column": "id"}
        create_rule(
            NewRule(key, type_name, is_unique=key == "email", app=app, column=column, column_key="user_id"),
            actor=SYSTEM,
        )
    query = "select sum(total) from purchases where customer_id = {{profile.user_id}}"
    create_rule(NewRule("ltv", "float", app=app, query=query), actor=SYSTEM)


def make_import(app: App) -> Schedule:
    """The customers by their time of change."""
    data = ScheduleData(
        direction="import",
        name="Customers",
        app_id=app.pk,
        options={"table": "customers", "changed_column": "updated_at", "id_column": "id"},
        fields={"id": "user_id", **{key: key for key in ("email", "first_name", "country", "age")}},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def make_export(database: str, groups: Iterable[Group]) -> Schedule:
    """Both groups to a table of another database, right after changes."""
    app = apps_store.create_app("postgres", "Destination", options_of(database), actor=SYSTEM)
    data = ScheduleData(
        direction="export",
        name="People",
        app_id=app.pk,
        options={"table": "people", "create_table": True, "key_field": "user_id"},
        fields={key: key for key in KEYS},
        groups={group.pk: group.name for group in groups},
        after_changes=True,
        guard_share=1.0,  # what a fault brought about is mended for many at once, and nobody is there to be asked
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def options_of(url: str) -> dict[str, Any]:
    """The options of a `postgres` App for this database."""
    dsn = psycopg2.extensions.parse_dsn(url)
    return {"host": dsn["host"], "port": 5432, "database": dsn["dbname"], "user": dsn["user"]}


def run_sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run and commit statements on a plain connection; the rows of the last one."""
    with closing(psycopg2.connect(url)) as plain:
        plain.autocommit = True
        with plain.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def run_on_product(statement: str, *params: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement on the product's own database."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
