"""What a person would click together for the demo shop: Apps, property rules, groups and schedules, made once each.

Everything goes through the product's own functions. What is there already, by its name, stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.core.management.base import CommandError

from apps_connectors import apps_store
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from grouparoo.demo.databases import Names, app_options
from grouparoo.demo.mailchimp import Place
from groups import groups_store
from groups.models import Group, GroupKind
from profiles.models import ProfilePropertyRule
from profiles.rules import NewRule, create_rule
from schedules import schedules_store
from schedules.models import Direction, Schedule
from schedules.outbound.bodies import SubscriptionData
from schedules.outbound.models import Match, Subscription
from schedules.outbound.subscriptions import create_subscription
from schedules.schedules_store import ScheduleData

SOURCE, NEWSLETTER, MAILCHIMP = "Warehouse", "Newsletter", "Mailchimp"
TABLE_EXPORT, MAILCHIMP_EXPORT = f"{NEWSLETTER}:subscribers", f"{MAILCHIMP}:members"
EXPORTS = (TABLE_EXPORT, MAILCHIMP_EXPORT)
SUBSCRIPTION = "Abandoned carts to Mailchimp"
SUBSCRIBERS, SUBSCRIBER_GROUPS = "subscribers", "subscriber_groups"
LAPSED, USA = "Lapsed customers", "USA customers"

# property -> its type and the column of `users`
USER_COLUMNS: Mapping[str, tuple[str, str]] = {
    "email": ("email", "email"),
    "first_name": ("string", "first_name"),
    "last_name": ("string", "last_name"),
    "locale": ("string", "locale"),
    "country": ("string", "country"),
    "vip": ("boolean", "vip"),
    "signed_up_at": ("date", "created_at"),
}

# Two sums, each by itself: joined, every purchase would count once for each refund, and nobody without one would count.
LTV = """
select coalesce((select sum(p.total) from purchases p where p.user_id = u.id), 0)
     - coalesce((select sum(r.total) from refunds r where r.user_id = u.id), 0) as ltv
  from users u
 where u.id = {{profile.user_id}}
""".strip()

GROUPS: Mapping[str, Mapping[str, Any]] = {
    LAPSED: {
        "match": "all",
        "rules": [
            {"property": "ltv", "operator": "greater_than", "value": 0},
            {"property": "last_purchase_at", "operator": "more_than_ago", "value": {"amount": 2, "unit": "months"}},
        ],
    },
    USA: {"match": "all", "rules": [{"property": "locale", "operator": "equals", "value": "en-us"}]},
}

# table -> (minutes between two looks, the column that says when a row changed, which columns feed which properties)
IMPORTS: Mapping[str, tuple[int, str, Mapping[str, str]]] = {
    "users": (10, "updated_at", {"id": "user_id", **{column: key for key, (_, column) in USER_COLUMNS.items()}}),
    "carts": (60, "updated_at", {"user_id": "user_id", "abandoned_at": "cart_abandoned_at"}),
    "purchases": (60, "created_at", {"user_id": "user_id"}),
    "refunds": (60, "created_at", {"user_id": "user_id"}),
}


def refuse_other_use(names: Names) -> None:
    """Raise CommandError when the product is in use for something else: the demo is not mixed into it."""
    if not _is_demo(names) and (App.objects.exists() or ProfilePropertyRule.objects.exists()):
        raise CommandError(
            "This installation has Apps or properties of its own, and the demo is not mixed into them: start the demo"
            " with another database (DATABASE_URL) or another folder (GROUPAROO_VAR)."
        )


def configure(names: Names, mailchimp: Place, *, write: Callable[[str], None]) -> None:
    """Make what is missing; a start that was stopped half-way is gone on with."""
    if not _is_demo(names):
        write("Connecting the shop: Apps, properties, groups, schedules and a subscription.")
    source = _ensure_app(SOURCE, "postgres", app_options(names.shop))
    newsletter = _ensure_app(NEWSLETTER, "postgres", app_options(names.newsletter))
    audience = _ensure_app(MAILCHIMP, "mailchimp", mailchimp.app_options())
    _ensure_rules(source)
    groups = _ensure_groups()
    _ensure_imports(source)
    tables = {"table": SUBSCRIBERS, "groups_table": SUBSCRIBER_GROUPS, "create_table": True, "key_field": "email"}
    _ensure_export(TABLE_EXPORT, newsletter, tables, {"email": "email", "first_name": "first_name"}, groups)
    fields = {"FNAME": "first_name", "email_address": "email"}
    members = _ensure_export(MAILCHIMP_EXPORT, audience, {"key_field": "email_address"}, fields, groups)
    _ensure_subscription(members)


def configure_shop(app: App, *, without: Collection[str] = (), export_to: App) -> None:
    """All that one App with the shop's tables needs: properties, groups, imports, and an export of both groups.

    `without` are properties whose columns this shop does not have.
    """
    _ensure_rules(app, without=without)
    groups = _ensure_groups()
    _ensure_imports(app, without=without)
    fields = {"email": "email", "first_name": "first_name"}
    _ensure_export(f"{export_to}: received", export_to, {"key_field": "email"}, fields, groups)


def _is_demo(names: Names) -> bool:
    return App.objects.filter(name=SOURCE, type="postgres", options__database=names.shop).exists()


def import_name(table: str) -> str:
    """The schedule that reads a table of the shop."""
    return f"{SOURCE}:{table}"


def _ensure_app(name: str, type_: str, options: Mapping[str, Any]) -> App:
    """The App, at the address that the server has now: what the demo brings with it moves with its folder."""
    app = App.objects.filter(name=name).first()
    if app is None:
        app = apps_store.create_app(type_, name, options, actor=SYSTEM)
    elif any(app.options.get(key) != value for key, value in options.items() if key not in ("password", "api_key")):
        app = apps_store.update_app(app.pk, options=options, actor=SYSTEM)
    if app.tested_at is None and not (result := apps_store.test_app(app.pk)).ok:
        raise CommandError(f"The demo's App “{name}” cannot be reached: {result.message}")
    return app


def _ensure_rules(app: App, *, without: Collection[str] = ()) -> None:
    """`user_id` tells people apart and comes with every row; all else is asked of the shop, or comes with a cart."""
    known = set(ProfilePropertyRule.objects.values_list("key", flat=True))
    for new in _rules(app):
        if new.key not in known and new.key not in without:
            create_rule(new, actor=SYSTEM)


def _rules(app: App) -> list[NewRule]:
    purchases = {"table": "purchases", "key_column": "user_id"}
    last_purchase = {**purchases, "column": "created_at", "aggregation": "max"}
    purchase_count = {**purchases, "column": "id", "aggregation": "count"}
    return [
        NewRule("user_id", "integer", is_unique=True, identity_rank=1),
        *[
            NewRule(
                key,
                type_name,
                is_unique=key == "email",
                identity_rank=2 if key == "email" else None,
                app=app,
                column={"table": "users", "column": column, "key_column": "id"},
                column_key="user_id",
            )
            for key, (type_name, column) in USER_COLUMNS.items()
        ],
        NewRule("ltv", "float", label="Lifetime value", app=app, query=LTV),
        NewRule("last_purchase_at", "date", app=app, column=last_purchase, column_key="user_id"),
        NewRule("purchase_count", "integer", app=app, column=purchase_count, column_key="user_id"),
        NewRule("cart_abandoned_at", "date"),
    ]


def _ensure_groups() -> dict[str, Group]:
    found = {group.name: group for group in Group.objects.filter(name__in=GROUPS)}
    for name, rules in GROUPS.items():
        if name not in found:
            found[name] = groups_store.create_group(name, kind=GroupKind.CALCULATED, rules=rules, actor=SYSTEM)
    return found


def _ensure_imports(app: App, *, without: Collection[str] = ()) -> None:
    known = set(Schedule.objects.values_list("name", flat=True))
    for table, (minutes, changed, fields) in IMPORTS.items():
        if import_name(table) in known:
            continue
        data = ScheduleData(
            direction=Direction.IMPORT,
            name=import_name(table),
            app_id=app.pk,
            options={"table": table, "changed_column": changed, "id_column": "id"},
            fields={column: key for column, key in fields.items() if key not in without},
            every_minutes=minutes,
        )
        schedules_store.create_schedule(data, actor=SYSTEM)


def _ensure_export(
    name: str, app: App, options: Mapping[str, Any], fields: Mapping[str, str], groups: Mapping[str, Group]
) -> Schedule:
    """Both groups go out, whenever someone's data or groups have changed."""
    found = Schedule.objects.filter(name=name).first()
    if found is not None:
        return found
    data = ScheduleData(
        direction=Direction.EXPORT,
        name=name,
        app_id=app.pk,
        options=options,
        fields=fields,
        groups={groups[name].pk: name for name in GROUPS},
        after_changes=True,
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def _ensure_subscription(members: Schedule) -> None:
    """Whoever Mailchimp knows by the export and leaves a cart: it hears of that, with what the export says of them."""
    if Subscription.objects.filter(name=SUBSCRIPTION).exists():
        return
    data = SubscriptionData(
        name=SUBSCRIPTION,
        app_id=members.app_id,
        match=Match.KEY,
        value="cart_abandoned_at",
        follows=members.pk,
    )
    create_subscription(data, actor=SYSTEM)
