"""What people do at Mailchimp comes back as properties: they leave groups, and no export brings them back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps_connectors import apps_store, connections
from apps_connectors.models import App
from core.accounts.actors import SYSTEM
from groups import groups_store
from groups.models import Group, GroupMember
from plugins.mailchimp.changes import hash_email
from plugins.mailchimp.standin.server import Standin, merge_fields, run_standin
from profiles.models import Profile
from profiles.rules import NewRule, create_rule
from schedules import deletions, schedules_store
from schedules.models import Run, RunState, Schedule
from schedules.schedules_store import ScheduleData
from tests.pipeline.people import event, rule, take
from tests.plugins.mailchimp.conftest import LIST, options_for
from tests.plugins.mailchimp.exports import put_member, status, tags
from tests.schedules.destinations import export
from tests.schedules.shop import import_all
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ALICE, BOB, CHARLIE = (f"{name}@example.com" for name in ("alice", "bob", "charlie"))


@dataclass
class World:
    """A project whose customers go to Mailchimp, and whose members come back."""

    standin: Standin
    app: App
    still: Group
    out: Schedule
    back: Schedule

    def go_round(self) -> tuple[Run, Run]:
        """Read what changed at Mailchimp, then send what is owed."""
        imported, exported = import_all(self.back), export(self.out)
        assert exported.state == RunState.COMPLETE, exported.error
        return imported, exported

    def statuses(self) -> Mapping[str, Any]:
        """What profiles hold, by address."""
        found = Profile.objects.values_list("properties", flat=True)
        return {values["email"]: values.get("mailchimp_status") for values in found}

    def subscribed(self) -> set[str]:
        """Who is in the group of those who are still subscribed."""
        members = GroupMember.objects.filter(group=self.still).values_list("profile_id", flat=True)
        return set(Profile.objects.filter(pk__in=list(members)).values_list("properties__email", flat=True))

    def writes(self) -> list[str]:
        """The calls since the last look that wrote something."""
        found = [call for call in self.standin.calls if not call.startswith("GET")]
        self.standin.calls.clear()
        return found


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    with run_standin(tmp_path / "mailchimp.sqlite") as running:
        running.store.add_list(LIST, "Newsletter", merge_fields(FNAME="text"))
        yield running
        connections.close_all()


@pytest.fixture
def world(standin: Standin) -> World:
    app = apps_store.create_app("mailchimp", "Mailchimp", options_for(standin), actor=SYSTEM)
    rule("email", "email", is_unique=True, identity_rank=1)
    rule("first_name")
    column = {"table": LIST, "column": "status", "key_column": "email_address"}
    new = NewRule(key="mailchimp_status", type="string", app=app, column=column, column_key="email")
    create_rule(new, actor=SYSTEM)
    everyone = make_group("Customers", {"property": "email", "operator": "exists"})
    is_subscribed = {"property": "mailchimp_status", "operator": "equals", "value": "subscribed"}
    still = make_group("Still subscribed", is_subscribed)
    return World(standin, app, still, make_export(app, everyone, still), make_import(app))


def make_group(name: str, condition: Mapping[str, Any]) -> Group:
    return groups_store.create_group(
        name, kind="calculated", rules={"match": "all", "rules": [condition]}, actor=SYSTEM
    )


def make_export(app: App, *groups: Group, name: str = "To Mailchimp") -> Schedule:
    data = ScheduleData(
        direction="export",
        name=name,
        app_id=app.pk,
        options={"key_field": "email_address"},
        fields={"email_address": "email", "FNAME": "first_name"},
        groups={group.pk: group.name for group in groups},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def make_import(app: App) -> Schedule:
    data = ScheduleData(
        direction="import",
        name="From Mailchimp",
        app_id=app.pk,
        options={
            "table": LIST,
            "changed_column": "last_changed",
            "id_column": "email_address",
            "may_create": False,
            "event_type": "mailchimp_member",
        },
        fields={"email_address": "email"},
    )
    return schedules_store.create_schedule(data, actor=SYSTEM)


def test_whoever_leaves_or_bounces_at_mailchimp_leaves_the_group_and_is_never_subscribed_again(world: World) -> None:
    take(*(event({"email": email, "first_name": "X"}) for email in (ALICE, BOB, CHARLIE)))
    export(world.out)
    world.go_round()
    assert world.statuses() == dict.fromkeys((ALICE, BOB, CHARLIE), "subscribed")
    assert world.subscribed() == {ALICE, BOB, CHARLIE}
    assert tags(world.standin, ALICE) == ["Customers", "Still subscribed"]

    put_member(world.standin, ALICE, status="unsubscribed", reason="Too many emails")
    put_member(world.standin, BOB, status="cleaned")
    world.writes()
    world.go_round()
    assert world.statuses() == {ALICE: "unsubscribed", BOB: "cleaned", CHARLIE: "subscribed"}
    assert world.subscribed() == {CHARLIE}
    assert {call.split("/")[4] for call in world.writes()} == {hash_email(ALICE), hash_email(BOB)}
    assert (status(world.standin, ALICE), tags(world.standin, ALICE)) == ("unsubscribed", ["Customers"])
    assert (status(world.standin, BOB), tags(world.standin, BOB)) == ("cleaned", ["Customers"])

    # A change of theirs in the shop goes out all the same, and changes nothing about what they chose.
    take(*(event({"email": email, "first_name": "Y"}, at=9) for email in (ALICE, BOB, CHARLIE)))
    world.go_round()
    assert [status(world.standin, email) for email in (ALICE, BOB, CHARLIE)] == [
        "unsubscribed",
        "cleaned",
        "subscribed",
    ]


def wait_for_the_next_second() -> None:
    """Mailchimp notes changes by the second: who comes back within one is told exactly as before they left."""
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second, what="its clock goes on")


def test_an_export_of_those_who_are_still_subscribed_lets_the_others_be_until_they_come_back_themselves(
    world: World,
) -> None:
    world.out = make_export(world.app, world.still, name="The subscribed")
    take(event({"email": ALICE, "first_name": "Alice"}))
    put_member(world.standin, ALICE)
    world.go_round()
    assert tags(world.standin, ALICE) == ["Still subscribed"]
    put_member(world.standin, ALICE, status="unsubscribed")
    world.go_round()
    assert (status(world.standin, ALICE), tags(world.standin, ALICE)) == ("unsubscribed", [])
    world.writes()
    world.go_round()
    assert world.writes() == []
    wait_for_the_next_second()
    put_member(world.standin, ALICE, status="subscribed")
    world.go_round()
    assert (status(world.standin, ALICE), tags(world.standin, ALICE)) == ("subscribed", ["Still subscribed"])


def test_what_comes_back_makes_no_export_and_no_export_makes_the_next_import_change_anything(world: World) -> None:
    take(event({"email": ALICE, "first_name": "Alice"}))
    export(world.out)
    world.go_round()
    world.writes()
    for _ in range(3):
        imported, exported = world.go_round()
        assert world.writes() == []
        assert not exported.counters.get("owed")
        assert not imported.counters.get("changed")
    put_member(world.standin, ALICE, merge_fields={"FNAME": "Alicia"}, vip=True)
    world.go_round()
    assert world.writes() == [], "what is not mapped is nobody's business"
    assert Profile.objects.get().properties["first_name"] == "Alice"


def test_an_import_of_members_answers_their_rules_without_asking_for_each(world: World) -> None:
    emails = [f"person{number}@example.com" for number in range(30)]
    take(*(event({"email": email, "first_name": "X"}) for email in emails))
    export(world.out)
    world.standin.calls.clear()
    import_all(world.back)
    assert set(world.statuses().values()) == {"subscribed"}
    singles = [call for call in world.standin.calls if call.startswith(f"GET /lists/{LIST}/members/")]
    assert singles == []


def test_members_nobody_knows_make_no_one_unless_the_schedule_says_so(world: World) -> None:
    put_member(world.standin, ALICE)
    import_all(world.back)
    assert not Profile.objects.exists()
    options = {**world.back.options, "may_create": True}
    fields = {"email_address": "email", "FNAME": "first_name"}
    data = ScheduleData("import", "All", world.app.pk, options=options, fields=fields)
    import_all(schedules_store.create_schedule(data, actor=SYSTEM))
    assert world.statuses() == {ALICE: "subscribed"}


def test_whoever_was_deleted_for_good_at_mailchimp_is_noticed_where_the_schedule_looks_for_it(world: World) -> None:
    take(event({"email": ALICE}), event({"email": BOB}))
    for email in (ALICE, BOB):
        put_member(world.standin, email)
    options = {**world.back.options, "look_for_deleted": True}
    data = ScheduleData("import", "All", world.app.pk, options=options, fields={"email_address": "email"})
    schedule = schedules_store.create_schedule(data, actor=SYSTEM)
    for expected in ("subscribed", None):
        import_all(schedule)
        while deletions.work_slice():
            pass
        assert world.statuses() == {ALICE: expected, BOB: "subscribed"}
        world.standin.store.forget(LIST, hash_email(ALICE))
