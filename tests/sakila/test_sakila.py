"""Sakila's 599 customers from MariaDB, PostgreSQL and SQLite: the product says what plain SQL on the source says.

Each figure is asked in two ways, by a query rule and by a column rule, and compared for every customer; so are the
members of groups, and the rows that arrive at a PostgreSQL table, a MariaDB table and a CSV folder.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from groups import groups_store, recalculation
from groups.models import Group
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import importing, schedules_store
from schedules.models import Run, RunState, Schedule
from schedules.schedules_store import ScheduleData
from tests.sakila.databases import Database
from tests.schedules.destinations import export
from tests.schedules.shop import import_all

CUSTOMERS, TOTAL, RENTALS = 599, 67_416.51, 16_044  # what is known of Sakila, whoever computes it

# by plain SQL on the source: id, email, first name, then total, rentals, last rental
FIGURES = """
    select c.customer_id, lower(c.email), c.first_name,
           (select sum(p.amount) from payment p where p.customer_id = c.customer_id),
           (select count(*) from rental r where r.customer_id = c.customer_id),
           (select max(r.rental_date) from rental r where r.customer_id = c.customer_id)
      from customer c order by c.customer_id
"""

QUERIES = {
    "total": ("float", "select sum(amount) from payment where customer_id = {{profile.customer_id}}"),
    "rentals": ("integer", "select count(*) from rental where customer_id = {{profile.customer_id}}"),
    "last_rental": ("date", "select max(rental_date) from rental where customer_id = {{profile.customer_id}}"),
}
COLUMNS = {
    "total_of_column": ("float", "payment", "amount", "sum"),
    "rentals_of_column": ("integer", "rental", "rental_id", "count"),
    "last_rental_of_column": ("date", "rental", "rental_date", "max"),
    "newest_rental_of_column": ("date", "rental", "rental_date", "most_recent"),
}

# name -> the rules of the group, and the customers in it by plain SQL on the source
GROUPS: Mapping[str, tuple[dict[str, Any], str]] = {
    "Often": (
        {"property": "rentals", "operator": "greater_than", "value": 30},
        "select customer_id from rental group by customer_id having count(*) > 30",
    ),
    "Big": (
        {"property": "total_of_column", "operator": "greater_than", "value": 120},
        "select customer_id from payment group by customer_id having sum(amount) > 120",
    ),
    "Early": (
        {"property": "last_rental", "operator": "before", "value": "2005-08-21"},
        "select customer_id from rental group by customer_id having max(rental_date) < '2005-08-21 00:00:00'",
    ),
}
OFTEN_AND_NOT_BIG = """
    select customer_id from rental group by customer_id having count(*) > 30
    except select customer_id from payment group by customer_id having sum(amount) > 120
"""


@pytest.fixture(autouse=True)
def _several_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "PAGE_SIZE", 250)


# ---------------------------------------------------------------- figures


def test_every_figure_of_every_customer_equals_plain_sql(sakila: Database) -> None:
    run = import_customers(set_up(sakila))
    assert (run.counters["read"], run.counters["created"], run.errors.count()) == (CUSTOMERS, CUSTOMERS, 0)
    expected = figures(sakila)
    found = profiles()
    assert found.keys() == expected.keys()
    for customer, (email, first_name, total, rentals, last) in expected.items():
        values = found[customer]
        assert (values["email"], values["first_name"]) == (email, first_name)
        assert values["total"] == values["total_of_column"] == total
        assert values["rentals"] == values["rentals_of_column"] == rentals
        lasts = {values[key] for key in ("last_rental", "last_rental_of_column", "newest_rental_of_column")}
        assert {in_utc(text) for text in lasts} == {last}
    assert len(found) == CUSTOMERS
    assert sum(values["total"] for values in found.values()) == pytest.approx(TOTAL, abs=0.005)
    assert sum(values["rentals"] for values in found.values()) == RENTALS


def test_a_new_rental_and_payment_change_the_figures_of_that_customer_alone(
    in_postgres: Callable[[str], Database], transactional_db: None
) -> None:
    sakila = in_postgres("sakila_changing")
    sakila.load()
    schedule = set_up(sakila)
    import_customers(schedule)
    before = profiles()
    with closing(sakila.connect()) as source, source, source.cursor() as cursor:
        cursor.execute("insert into rental values (20000, '2006-03-01 10:00', 1, 148, null, 1, now())")
        cursor.execute("insert into payment values (20000, 148, 1, 20000, 4.99, '2006-03-01 10:00')")
        cursor.execute("update customer set last_update = '2006-03-01 10:00' where customer_id = 148")
    import_customers(schedule)
    after = profiles()
    old, new = before.pop(148), after.pop(148)
    assert after == before
    assert (new["total"], new["total_of_column"]) == (round(old["total"] + 4.99, 2),) * 2
    assert (new["rentals"], new["rentals_of_column"]) == (old["rentals"] + 1,) * 2
    lasts = {new[key] for key in ("last_rental", "last_rental_of_column", "newest_rental_of_column")}
    assert {in_utc(text) for text in lasts} == {datetime(2006, 3, 1, 10, tzinfo=UTC)}


# ---------------------------------------------------------------- groups


def test_members_equal_plain_sql_whether_groups_come_before_or_after_the_people(sakila: Database) -> None:
    schedule = set_up(sakila)
    make_groups()
    import_customers(schedule)
    make_groups(" later")
    both = [GROUPS["Often"][0], {"property": "total", "operator": "less_than_or_equal", "value": 120}]
    make_group("Often, not big", {"match": "all", "rules": both})
    recalculate()
    for name, (_, query) in GROUPS.items():
        expected = {customer for (customer,) in sakila.ask(query)}
        assert 0 < len(expected) < CUSTOMERS
        assert members(name) == members(f"{name} later") == expected, name
    assert members("Often, not big") == {customer for (customer,) in sakila.ask(OFTEN_AND_NOT_BIG)} != set()


# ---------------------------------------------------------------- exports


@pytest.mark.mariadb
def test_exported_rows_equal_plain_sql(
    sakila: Database,
    in_postgres: Callable[[str], Database],
    in_mariadb: Callable[[str], Database],
    folder: Path,
) -> None:
    schedule = set_up(sakila)
    groups = make_groups()
    import_customers(schedule)
    recalculate()
    expected = {name: {customer for (customer,) in sakila.ask(query)} for name, (_, query) in GROUPS.items()}
    sent = set().union(*expected.values())
    people = {customer: values for customer, values in figures(sakila).items() if customer in sent}
    pairs = {(customer, name) for name, customers in expected.items() for customer in customers}
    for destination in (in_postgres("sakila_out"), in_mariadb("sakila_out")):
        run = export(make_export(destination.app_type, destination.options, groups))
        assert (run.state, run.counters["sent"], run.errors.count()) == (RunState.COMPLETE, len(sent), 0)
        rows = destination.ask("select id, email, name, total, rentals, last_rental from people")
        assert {row[0]: (*row[1:3], round(row[3], 2), row[4], in_utc(row[5])) for row in rows} == people
        assert len(rows) == len(sent)
        assert set(destination.ask("select id, group_name from people_groups")) == pairs
    run = export(make_export("csv", {"folder": str(folder)}, groups))
    assert run.state == RunState.COMPLETE
    for name, customers in expected.items():
        with (folder / f"{name}.csv").open(newline="") as file:
            found = {int(row["id"]): in_file(row) for row in csv.DictReader(file)}
        assert found == {customer: people[customer] for customer in customers}


# ---------------------------------------------------------------- the product, set up


def set_up(sakila: Database) -> Schedule:
    """The App, its rules, and the schedule that reads the customers."""
    app = apps_store.create_app(sakila.app_type, "Sakila", sakila.options, actor=SYSTEM)
    create_rule(NewRule("customer_id", "integer", is_unique=True), actor=SYSTEM)
    for key in ("email", "first_name", "last_name"):
        make_column_rule(app, key, "email" if key == "email" else "string", "customer", key, "exact")
    for key, (type_name, query) in QUERIES.items():
        create_rule(NewRule(key, type_name, app=app, query=query), actor=SYSTEM)
    for key, (type_name, table, column, aggregation) in COLUMNS.items():
        make_column_rule(app, key, type_name, table, column, aggregation)
    options = {"table": "customer", "changed_column": "last_update", "id_column": "customer_id"}
    fields = {key: key for key in ("customer_id", "email", "first_name", "last_name")}
    data = ScheduleData(direction="import", name="customers", app_id=app.pk, options=options, fields=fields)
    return schedules_store.create_schedule(data, actor=SYSTEM)


def make_column_rule(app: App, key: str, type_name: str, table: str, column: str, aggregation: str) -> None:
    spec = {"table": table, "column": column, "key_column": "customer_id", "aggregation": aggregation}
    if aggregation == "most_recent":
        spec["sort_column"] = column
    unique = key == "email"
    create_rule(NewRule(key, type_name, is_unique=unique, app=app, column=spec, column_key="customer_id"), actor=SYSTEM)


def make_groups(suffix: str = "") -> dict[str, Group]:
    """The groups, each of one rule."""
    return {name: make_group(name + suffix, {"match": "all", "rules": [rule]}) for name, (rule, _) in GROUPS.items()}


def make_group(name: str, rules: dict[str, Any]) -> Group:
    return groups_store.create_group(name, kind="calculated", rules=rules, actor=SYSTEM)


def make_export(app_type: str, options: Mapping[str, Any], groups: Mapping[str, Group]) -> Schedule:
    """The groups with six fields to a new App."""
    app = apps_store.create_app(app_type, f"To {app_type}", options, actor=SYSTEM)
    tables = {"table": "people", "groups_table": "people_groups", "create_table": True}
    fields = {"id": "customer_id", "name": "first_name"}
    fields |= {key: key for key in ("email", "total", "rentals", "last_rental")}
    data = ScheduleData(
        direction="export",
        name=f"to {app_type}",
        app_id=app.pk,
        options={"key_field": "id", **({} if app_type == "csv" else tables)},
        fields=fields,
        groups={group.pk: name for name, group in groups.items()},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


# ---------------------------------------------------------------- what is there


def import_customers(schedule: Schedule) -> Run:
    """A run of the schedule, to its end."""
    return import_all(schedule)


def recalculate() -> None:
    while recalculation.recalculate_some():
        pass
    assert not recalculation.is_due()


def figures(sakila: Database) -> dict[int, tuple[Any, ...]]:
    """By customer: email, first name, total, rentals, last rental."""
    return {row[0]: (row[1], row[2], round(float(row[3]), 2), row[4], in_utc(row[5])) for row in sakila.ask(FIGURES)}


def profiles() -> dict[int, dict[str, Any]]:
    """The properties of everyone, by customer; amounts rounded to cents."""
    found = {}
    for values in Profile.objects.values_list("properties", flat=True):
        amounts = {key: round(values[key], 2) for key in ("total", "total_of_column")}
        found[values["customer_id"]] = {**values, **amounts}
    return found


def members(name: str) -> set[int]:
    """The customers in a group."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select (p.properties ->> 'customer_id')::int from group_member m join profile p on p.guid = m.profile_id"
            " where m.group_id = %s",
            [Group.objects.get(name=name).pk],
        )
        return {row[0] for row in cursor.fetchall()}


def in_utc(value: datetime | str) -> datetime:
    """A source's time without a zone, or a destination's with one."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def in_file(row: Mapping[str, str]) -> tuple[Any, ...]:
    """A line of a CSV file, as `figures` has it."""
    total, rentals = round(float(row["total"]), 2), int(row["rentals"])
    return (row["email"], row["name"], total, rentals, in_utc(row["last_rental"]))
