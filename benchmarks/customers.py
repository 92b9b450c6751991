"""The customers that benchmarks work on: a source made in SQL, and the product set up to read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps_connectors import apps_store
from apps_connectors.models import App
from benchmarks.harness import app_options, run_sql
from core.accounts.actors import SYSTEM
from groups import groups_store
from groups.models import Group
from profiles.rules import NewRule, create_rule
from schedules import schedules_store
from schedules.models import Schedule
from schedules.schedules_store import ScheduleData

PURCHASES_EACH = 3

# property key, its type, the column of `customers`
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("email", "email", "email"),
    ("first_name", "string", "first_name"),
    ("last_name", "string", "last_name"),
    ("country", "string", "country"),
    ("city", "string", "city"),
    ("age", "integer", "age"),
    ("score", "float", "score"),
    ("newsletter", "boolean", "newsletter"),
    ("signed_up_at", "date", "signed_up_at"),
    ("language", "string", "language"),
)

_SOURCE = (
    """
    create table customers (
        id bigint primary key, email text, first_name text, last_name text, country text, city text, age int,
        score double precision, newsletter boolean, signed_up_at timestamptz, language text, updated_at timestamptz
    )""",
    """
    create table purchases (
        id bigint generated always as identity primary key, customer_id bigint, total numeric(10, 2),
        bought_at timestamptz
    )""",
)

_CUSTOMERS = """
    insert into customers
    select i, 'customer' || i || '@example.com', (array['Alice','Bob','Charlie','Dana','Erin'])[1 + i %% 5],
           'Name ' || i %% 977, (array['US','DE','FR','GB','NO'])[1 + (i / 3) %% 5], 'City ' || i %% 499, 18 + i %% 70,
           (i %% 1000) / 7.0, i %% 3 = 0, timestamptz '2020-01-01' + i %% 1500 * interval '1 day',
           (array['en','de','fr'])[1 + i %% 3], timestamptz '2026-01-01' + i * interval '1 millisecond'
      from generate_series(1, %s) i"""

_PURCHASES = f"""
    insert into purchases (customer_id, total, bought_at)
    select i, round(((i * 37 + k * 11) %% 20000) / 100.0, 2),
        timestamptz '2025-01-01' + (i + k) %% 500 * interval '1 day'
      from generate_series(1, %s) i, generate_series(1, {PURCHASES_EACH}) k"""

_INDEXES = ("create index on customers (updated_at, id)", "create index on purchases (customer_id)")


def fill_source(source: Any, count: int) -> None:
    """Make `count` customers with three purchases each, indexed and analyzed, on a plain connection."""
    run_sql(source, *_SOURCE)
    run_sql(source, _CUSTOMERS, args=[count])
    run_sql(source, _PURCHASES, args=[count])
    run_sql(source, *_INDEXES)
    run_sql(source, "analyze customers", "analyze purchases")


def make_app(database: str) -> App:
    """The source as the product knows it."""
    return apps_store.create_app("postgres", "Warehouse", app_options(database), actor=SYSTEM)


def make_rules(app: App) -> None:
    """`user_id` from the row, ten column rules, and one query rule over purchases."""
    create_rule(NewRule("user_id", "integer", is_unique=True, identity_rank=1), actor=SYSTEM)
    for key, type_name, column in COLUMNS:
        spec = {"table": "customers", "column": column, "key_column": "id"}
        create_rule(
            NewRule(key, type_name, is_unique=key == "email", app=app, column=spec, column_key="user_id"), actor=SYSTEM
        )
    query = "select sum(total) from purchases where customer_id = {{profile.user_id}}"
    create_rule(NewRule("ltv", "float", app=app, query=query), actor=SYSTEM)


def make_groups() -> Sequence[Group]:
    """Three calculated groups."""
    trees = {
        "Grown-up spenders": [
            {"property": "ltv", "operator": "greater_than", "value": 100},
            {"property": "age", "operator": "greater_than", "value": 30},
        ],
        "Germans": [{"property": "country", "operator": "equals", "value": "DE"}],
        "Readers": [
            {"property": "newsletter", "operator": "is_true"},
            {"property": "language", "operator": "is_any_of", "value": ["en", "fr"]},
        ],
    }
    return [
        groups_store.create_group(name, kind="calculated", rules={"match": "all", "rules": rules}, actor=SYSTEM)
        for name, rules in trees.items()
    ]


def make_import(app: App) -> Schedule:
    """Read the customers by their time of change."""
    return schedules_store.create_schedule(
        ScheduleData(
            direction="import",
            name="Warehouse: customers",
            app_id=app.pk,
            options={"table": "customers", "changed_column": "updated_at", "id_column": "id"},
            fields={"id": "user_id", **{column: key for key, _, column in COLUMNS}},
        ),
        actor=SYSTEM,
    )


def make_export(database: str) -> Schedule:
    """Send everyone with six fields to a table of another database, right after each change."""
    app = apps_store.create_app("postgres", "Destination", app_options(database), actor=SYSTEM)
    keys = ("user_id", "email", "first_name", "country", "age", "ltv")
    return schedules_store.create_schedule(
        ScheduleData(
            direction="export",
            name="Destination: people",
            app_id=app.pk,
            options={"table": "people", "create_table": True, "key_field": "user_id"},
            fields={key: key for key in keys},
            everyone=True,
            after_changes=True,
        ),
        actor=SYSTEM,
    )
