"""A shop as the pages should show it: Apps, rules, people, groups, runs, with everything that can be wrong in it.

Written straight into the tables, because these tests are about reading: a run that is half done or a value that was
rejected yesterday cannot be had from the product on demand.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import connection
from psycopg2.extras import Json, execute_values

from apps_connectors.models import App
from core.accounts.models import Project, Role, User
from core.lib import uuid7
from core.lib.clock import to_us
from core.work import partitions
from core.work.models import Work
from groups.models import Group, GroupMember, GroupSize
from profiles.models import Profile, ProfileIdentity, ProfilePropertyRule, RuleVariable
from schedules.models import ExportRecord, Run, RunError, Schedule, ScheduleField, ScheduleGroup

PASSWORD = "correct horse battery"
_FIRST = [
    "Noor",
    "Marcus",
    "Hannah",
    "Chloe",
    "Wendell",
    "Grace",
    "Tomás",
    "Beatriz",
    "Jack",
    "Ingrid",
    "Samir",
    "Lena",
    "Owen",
    "Yuki",
    "Rosa",
    "Ben",
    "Clara",
    "Peter",
]
_LAST = [
    "Aziz",
    "Bell",
    "Oyelaran",
    "Tran",
    "Price",
    "Lindqvist",
    "Ibarra",
    "Moura",
    "Whitlow",
    "Solberg",
    "Haddad",
    "Fischer",
    "Park",
    "Mori",
    "Delgado",
]
TYPES = ("page_viewed", "cart_changed", "signed_up", "newsletter_opened", "refund_asked", "review_written", "logged_in")
_LOCALES = ("en-us", "en-us", "en-us", "de-de", "fr-fr", "en-gb")


@dataclass
class Shop:
    """What was made, by name."""

    now: datetime
    rules: dict[str, ProfilePropertyRule] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    people: list[Profile] = field(default_factory=list)
    running: Run | None = None
    finished: Run | None = None
    failed: Run | None = None
    planned: Run | None = None

    @property
    def evan(self) -> Profile:
        """The person whose page shows every state a value can be in."""
        return self.people[0]


def make_user(role: str = Role.VIEWER, *, email: str = "alice@example.com", name: str = "Alice Okafor") -> User:
    """Someone who can sign in with PASSWORD."""
    user = User(email=email, name=name, role=role)
    user.set_password(PASSWORD)
    user.save()
    return user


def make_shop(*, people: int = 60, with_problems: bool = True) -> Shop:
    """The whole shop. With problems: a failed run, a halted export, a paused rule, an App that does not answer."""
    shop = Shop(now=datetime.now(UTC).replace(microsecond=0))
    partitions.ensure(shop.now)
    Project.objects.update_or_create(pk=1, defaults={"name": "Marlow Outfitters", "time_zone": "America/New_York"})
    _make_apps(shop, with_problems)
    _make_rules(shop, with_problems)
    _make_schedules(shop, with_problems)
    _make_runs(shop, with_problems)
    _make_people(shop, people)
    _make_groups(shop)
    _make_logs(shop)
    _make_ledger(shop)
    _make_plan(shop, with_problems)
    return shop


def _make_apps(shop: Shop, with_problems: bool) -> None:
    said = "Connected to PostgreSQL 18 as reader; 4 tables can be read."
    for name, kind, ok, message in (
        ("Warehouse", "postgres", True, said),
        ("CSV uploads", "csv", None, ""),
        (
            "Newsletter",
            "postgres",
            not with_problems,
            "The password was refused: give the App a new one." if with_problems else said,
        ),
    ):
        tested = None if ok is None else shop.now - timedelta(minutes=4)
        shop.apps[name] = App.objects.create(name=name, type=kind, test_ok=ok, test_message=message, tested_at=tested)


def _make_rules(shop: Shop, with_problems: bool) -> None:
    warehouse, csv = shop.apps["Warehouse"], shop.apps["CSV uploads"]

    def rule(key: str, label: str, type_name: str, *, app: App | None = warehouse, **more: Any) -> None:
        query = more.pop("query", f"select {key} from users where users.id = {{{{profile.user_id}}}}")
        retrieval = "query" if app is warehouse else "event"
        shop.rules[key] = ProfilePropertyRule.objects.create(
            key=key,
            label=label,
            type=type_name,
            app=app,
            retrieval=retrieval,
            query=query if app is warehouse else "",
            **more,
        )

    rule("user_id", "User id", "integer", app=None, is_unique=True, identity_rank=1)
    rule("email", "Email", "email", is_unique=True, identity_rank=2)
    rule("first_name", "First name", "string")
    rule("last_name", "Last name", "string")
    rule("phone", "Phone", "phone_number", app=None)
    rule("locale", "Locale", "string")
    rule("ltv", "Lifetime value", "float", query="select sum(total) from purchases where user_id = {{profile.user_id}}")
    paused = "The column last_purchase_at is gone from purchases." if with_problems else ""
    rule("last_purchase_at", "Last purchase", "date", paused_reason=paused, is_timed=True)
    rule("cart_abandoned_at", "Cart abandoned", "date", app=None)
    rule("newsletter", "Newsletter", "boolean", app=None)
    rule("vip", "VIP", "boolean", app=csv, column_label="VIP")
    for key in ("email", "first_name", "last_name", "locale", "ltv", "last_purchase_at"):
        RuleVariable.objects.create(rule=shop.rules[key], reads=shop.rules["user_id"])


def _make_schedules(shop: Shop, with_problems: bool) -> None:
    minutes = {"users": 10, "carts": 60, "purchases": 60, "refunds": 60}
    for name, every in minutes.items():
        shop.schedules[name] = Schedule.objects.create(
            direction="import",
            name=f"Warehouse: {name}",
            app=shop.apps["Warehouse"],
            every_minutes=every,
            options={"table": name},
            next_at=shop.now + timedelta(minutes=every - 2),
        )
    shop.schedules["export"] = Schedule.objects.create(
        direction="export",
        name="Newsletter: re-engagement",
        app=shop.apps["Newsletter"],
        cron="30 14 * * *",
        options={"table": "contacts", "key_field": "email"},
        next_at=shop.now + timedelta(hours=20),
    )
    ScheduleField.objects.create(
        schedule=shop.schedules["export"], rule=shop.rules["email"], field="email", is_key=True
    )
    shop.schedules["list"] = Schedule.objects.create(
        direction="export",
        name="Newsletter: customer list",
        app=shop.apps["Newsletter"],
        after_changes=True,
        options={"table": "customers", "key_field": "email"},
        halted_reason="It would remove 1,487 of the 6,204 people the Newsletter holds." if with_problems else "",
    )


def _make_runs(shop: Shop, with_problems: bool) -> None:
    for index in range(30):
        counters = {"read": 80 + index, "events": 60, "unchanged": 20 + index, "created": index % 3, "changed": 50}
        _make_run(
            shop, "users", "complete", started=_ago(shop, 600 - index * 10), seconds=4 + index % 3, counters=counters
        )
    for index in range(12):
        counters = {"selected": 5400, "sent": 300 + 90 * (index % 5), "unchanged": 4100 - 40 * index, "rejected": index}
        state, seconds = ("stopped", 200) if index == 7 else ("complete", 24 + index % 4)
        started = _ago(shop, 1440 * (13 - index))
        _make_run(shop, "export", state, started=started, seconds=seconds, counters=counters)
    purchases = {"read": 255, "events": 240, "unchanged": 8, "created": 2, "changed": 200, "rejected": 7}
    shop.finished = _make_run(
        shop, "purchases", "complete", started=_ago(shop, 50), seconds=3, counters=purchases, notes=["Read as Latin-1."]
    )
    for message, count, examples in (
        (
            "The email is not an email address",
            5,
            [{"user_id": 8114, "value": "test@asdf"}, {"user_id": 9, "value": "x"}],
        ),
        ("The row has 4 columns, the head has 5", 2, [{"row": 12}, {"row": 190}]),
    ):
        RunError.objects.create(run=shop.finished, message=message, count=count, examples=examples)
    if with_problems:
        shop.failed = _make_run(
            shop,
            "refunds",
            "failed",
            started=_ago(shop, 20),
            seconds=90,
            counters={"read": 40, "events": 40, "changed": 31},
            error="The Warehouse closed the connection: the server is shutting down. Check that it runs, then retry.",
        )
    sending = {
        "selected": 5595,
        "sent": 1286,
        "created": 64,
        "updated": 1179,
        "removed": 43,
        "unchanged": 3368,
        "rejected": 26,
        "owed": 915,
    }
    shop.running = _make_run(
        shop, "export", "running", started=_ago(shop, 7), seconds=0, counters=sending, done=4680, total=5595
    )


def _make_run(
    shop: Shop,
    schedule: str,
    state: str,
    *,
    started: datetime,
    seconds: int,
    counters: dict[str, int],
    done: int | None = None,
    total: int | None = None,
    error: str = "",
    notes: list[str] | None = None,
) -> Run:
    ended = None if state in {"pending", "running"} else started + timedelta(seconds=seconds)
    whole = total or counters.get("read", 0)
    planned = shop.schedules[schedule]
    work = Work.objects.create(
        kind=planned.direction,
        subject=str(uuid4()),
        state=state,
        next_at=started,
        done=done or whole,
        total=whole,
        started_at=started,
        finished_at=ended,
        lease_until=shop.now + timedelta(hours=1),
    )
    run = Run.objects.create(
        schedule=planned,
        direction=planned.direction,
        work=work,
        state=state,
        trigger="schedule",
        counters=counters,
        notes=notes or [],
        error=error,
        started_at=started,
        finished_at=ended,
    )
    Run.objects.filter(pk=run.pk).update(created_at=started)
    return run


def _make_people(shop: Shop, count: int) -> None:
    dice = random.Random(7)
    for index in range(count):
        made = shop.now - timedelta(days=40) + timedelta(minutes=index * 57600 // max(count, 1))
        evan = index == 0
        first, last = ("Evan", "Calloway") if evan else (dice.choice(_FIRST), dice.choice(_LAST))
        email = "evan@grouparoo.com" if evan else f"{first}.{last}.{index}@example.com".lower().replace("á", "a")
        values: dict[str, Any] = {
            "user_id": 3 + index,
            "email": email,
            "first_name": first,
            "last_name": last,
            "locale": "en-us" if evan else dice.choice(_LOCALES),
            "ltv": 0.0 if evan else round(dice.expovariate(0.01), 2),
        }
        if not evan and dice.random() < 0.7:
            values["last_purchase_at"] = _stored(shop.now - timedelta(days=dice.randrange(200)))
        if evan:
            values |= {"newsletter": True, "cart_abandoned_at": _stored(_midnight(shop.now - timedelta(days=3)))}
        shop.people.append(
            Profile(
                guid=uuid7.make_many(made, 1)[0],
                properties=values,
                property_meta=_meta(shop) if evan else {},
                hydrated_at=shop.now - timedelta(minutes=3 + index),
                created_at=made,
                updated_at=made,
            )
        )
    Profile.objects.bulk_create(shop.people)
    ProfileIdentity.objects.bulk_create(
        ProfileIdentity(rule=shop.rules[key], value=str(person.properties[key]), profile=person)
        for person in shop.people
        for key in ("user_id", "email")
    )


def _meta(shop: Shop) -> dict[str, list[Any]]:
    assert shop.finished is not None
    cart, yesterday = to_us(shop.now - timedelta(minutes=32)), to_us(shop.now - timedelta(hours=20))
    return {
        "cart_abandoned_at": [cart, f"run:{shop.finished.pk}", cart, cart],
        "newsletter": [yesterday, "person:1", yesterday, yesterday],
        "phone": [yesterday, f"run:{shop.finished.pk}", None, None, "555-CALL-ME", "not a phone number"],
    }


def _make_groups(shop: Shop) -> None:
    lapsed = {
        "match": "all",
        "rules": [
            {"property": "ltv", "operator": "greater_than", "value": 0},
            {"property": "last_purchase_at", "operator": "more_than_ago", "value": {"amount": 2, "unit": "months"}},
        ],
    }
    usa = {"match": "all", "rules": [{"property": "locale", "operator": "equals", "value": "en-us"}]}
    dice = random.Random(11)
    for name, kind, rules, share in (
        ("Lapsed customers", "calculated", lapsed, 0.4),
        ("USA customers", "calculated", usa, 0.6),
        ("Spring dinner guests", "manual", None, 0.1),
    ):
        group = Group.objects.create(
            name=name, kind=kind, rules=rules, calculated_version=1, calculated_at=shop.now - timedelta(days=2)
        )
        shop.groups[name] = group
        members = [
            person
            for person in shop.people
            if (person is shop.evan and name != "Lapsed customers") or dice.random() < share
        ]
        GroupMember.objects.bulk_create(
            GroupMember(
                group=group, profile_id=person.pk, created_at=max(person.created_at, shop.now - timedelta(days=9))
            )
            for person in members
        )
        size = len(members)
        today = shop.now.date()
        GroupSize.objects.bulk_create(
            GroupSize(group=group, day=today - timedelta(days=day), size=max(0, size - day // 3 + dice.randrange(3)))
            for day in range(30, 0, -1)
            if kind == "calculated"
        )
    for name in ("Lapsed customers", "USA customers"):
        ScheduleGroup.objects.create(schedule=shop.schedules["export"], group=shop.groups[name], name=name)


def _make_logs(shop: Shop) -> None:
    assert shop.finished is not None
    evan, run = shop.evan, shop.finished.pk
    changes = [
        (evan.created_at, evan.pk, {"user_id": [None, 3], "email": [None, "evan@grouparoo.com"]}, None, f"run:{run}"),
        (shop.now - timedelta(hours=20), evan.pk, {"newsletter": [None, True]}, None, "person:1"),
        (
            shop.now - timedelta(minutes=32),
            evan.pk,
            {"locale": ["fr-fr", "en-us"]},
            {"first_name": ["Ewan", to_us(shop.now - timedelta(days=9)), "hydration"]},
            "hydration",
        ),
    ]
    changes += [
        (shop.now - timedelta(minutes=5 + index), person.pk, {"ltv": [0, person.properties["ltv"]]}, None, "hydration")
        for index, person in enumerate(shop.people[1:30])
    ]
    moves = [
        (
            shop.now - timedelta(minutes=9 * index),
            shop.groups["Lapsed customers"].pk,
            person.pk,
            index % 3 != 0,
            ("profile", "time", "rules")[index % 3],
        )
        for index, person in enumerate(shop.people[1:40])
    ]
    moves.append((shop.now - timedelta(hours=3), shop.groups["USA customers"].pk, evan.pk, True, "profile"))
    events = [
        _event(shop, person, at=shop.now - timedelta(minutes=index), run=run)
        for index, person in enumerate(shop.people)
    ]
    events.append(_event(shop, None, at=shop.now - timedelta(minutes=2), run=run))
    for place, kind in enumerate(TYPES):  # what programs sent in the days before
        events += [
            _event(shop, person, at=shop.now - timedelta(minutes=1500 + (97 + 31 * place) * index), run=run, kind=kind)
            for index, person in enumerate(shop.people[place::2])
        ]
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            "insert into profile_change (at, profile_id, changes, lost, cause) values %s",
            [(at, str(pk), Json(changed), lost and Json(lost), cause) for at, pk, changed, lost, cause in changes],
        )
        execute_values(
            cursor,
            "insert into group_membership_change (at, group_id, profile_id, joined, cause) values %s",
            [(at, group, str(pk), joined, cause) for at, group, pk, joined, cause in moves],
        )
        execute_values(
            cursor,
            "insert into event (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload,"
            " state, profile_id, error) values %s",
            events,
        )


def _event(shop: Shop, person: Profile | None, *, at: datetime, run: int, kind: str = "purchases") -> tuple[Any, ...]:
    id_ = uuid7.make_many(at, 1)[0]
    state, error = ("processed", "") if person else ("unlinked", "No value in it identifies a person.")
    pk = str(person.pk) if person else None
    return (str(id_), str(id_), kind, at, at, "run", run, Json({"user_id": 3}), state, pk, error)


def _make_ledger(shop: Shop) -> None:
    export = shop.schedules["export"].pk
    ExportRecord.objects.create(
        schedule_id=export,
        profile_id=shop.evan.pk,
        state="held",
        key="evan@grouparoo.com",
        payload={},
        group_names=["USA customers"],
        claimed_key="evan@grouparoo.com",
        accepted_at=shop.now - timedelta(minutes=6),
    )
    ExportRecord.objects.create(
        schedule_id=export,
        profile_id=shop.people[1].pk,
        state="rejected",
        claimed_key="x",
        error="The email looks fake or invalid.",
    )


def _make_plan(shop: Shop, with_problems: bool) -> None:
    """A run that ended with its plan, and what was sent of someone before."""
    schedule, run = shop.schedules["list"], shop.running
    assert run is not None
    counters = {"selected": 6, "unchanged": 2, "owed": 4, "plan_created": 1, "plan_updated": 1, "plan_removed": 2}
    shop.planned = _make_run(
        shop,
        "list",
        "stopped" if with_problems else "complete",
        started=_ago(shop, 12),
        seconds=2,
        counters=counters | {"plan_held": 6},
        error=schedule.halted_reason,
    )
    key = "lower(properties ->> 'email')"
    held = f"jsonb_build_object('email', {key}, 'FNAME', 'Nour', 'LNAME', null)"
    wanted = (
        f"jsonb_build_object('email', {key}, 'FNAME', properties -> 'first_name', 'LNAME', properties -> 'last_name')"
    )
    with connection.cursor() as cursor:
        for place, (has_old, has_new) in enumerate([(True, True), (False, True), (True, False), (True, False)], 2):
            cursor.execute(
                "insert into export_record (schedule_id, profile_id, state, key, payload, group_names, owed_key,"
                " owed_payload, owed_group_names, claimed_key, attempts, next_at, accepted_at, error, run_id)"
                f" select %s, guid, 'planned', case when %s then {key} end, case when %s then {held} end,"
                f" case when %s then '[\"Newsletter\"]'::jsonb end, case when %s then {key} end,"
                f' case when %s then {wanted} end, case when %s then \'["Big spenders", "Newsletter"]\'::jsonb end,'
                f" {key}, 0, '9000-01-01Z', case when %s then now() - interval '80 days' end, '', %s"
                " from profile where guid = %s",
                [schedule.pk, *[has_old] * 3, *[has_new] * 3, has_old, shop.planned.pk, shop.people[place].pk],
            )
        for kind, outcome, text in (("created", "accepted", ""), ("updated", "reject", "400 The email looks fake.")):
            cursor.execute(
                "insert into sent_log (at, schedule_id, run_id, profile_id, kind, key, outcome, before, after,"
                " groups_before, groups_after, text)"
                f" select now() - interval '3 days', %s, %s, guid, %s, {key}, %s,"
                f" case when %s = 'updated' then {held} end, {wanted}, null, '[\"Newsletter\"]', %s"
                " from profile where guid = %s",
                [run.schedule_id, run.pk, kind, outcome, kind, text, shop.evan.pk],
            )


def _ago(shop: Shop, minutes: int) -> datetime:
    return shop.now - timedelta(minutes=minutes)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _stored(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
