"""A destination in memory and the world around it: factories for the tests of exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.functions import Now

from apps_connectors import connections
from apps_connectors.models import App as AppRow
from core.accounts.actors import SYSTEM
from core.work.models import UNFINISHED, Work
from groups.models import Group, GroupKind
from plugins import registry
from plugins.base import App, ExportsProfiles, ReadsBack
from plugins.contracts import ACCEPTED, AppSpec, Outcome, OutcomeKind, ProfileExport, SyncMode, Target
from profiles.models import ProfilePropertyRule
from schedules import cursor, exporting, runs, schedules_store
from schedules.models import ExportRecord, Run, Schedule
from tests.factories import make_profiles, make_rule
from tests.waiting import wait_until

Rows = dict[Any, tuple[dict[str, Any], tuple[str, ...]]]


@dataclass
class Shelf:
    """What one table of the destination holds, what was sent to it, and how it is told to answer.

    `answer` is asked for each item before it is written; what it raises is the answer for the whole batch.
    `after` is called when the batch is written, to cut the connection before the answer arrives.
    """

    rows: Rows = field(default_factory=dict)
    calls: list[list[ProfileExport]] = field(default_factory=list)
    finished: int = 0
    backfills: list[bool] = field(default_factory=list)  # of each call, whether it was said to be one
    answer: Callable[[ProfileExport], Outcome] = lambda item: ACCEPTED
    after: Callable[[], None] = lambda: None

    @property
    def sent(self) -> int:
        """How many items arrived in all."""
        return sum(map(len, self.calls))


class Memory(App, ExportsProfiles):
    """Keeps what it is sent, one shelf for each table."""

    spec = AppSpec("memory", "Memory", "Keeps rows for tests.", "box", ("test",), ())
    batch_size = 5
    shelves: ClassVar[dict[str, Shelf]] = {}

    def export(self, target: Target, batch: Sequence[ProfileExport]) -> Sequence[Outcome]:
        shelf = self.shelves[target.options["table"]]
        shelf.calls.append(list(batch))
        shelf.backfills.append(target.is_backfill)
        outcomes = []
        for item in batch:
            outcome = shelf.answer(item)
            if outcome.kind is OutcomeKind.ACCEPTED:
                write(shelf.rows, target, item)
            outcomes.append(outcome)
        shelf.after()
        return outcomes

    def finish(self, target: Target) -> None:
        self.shelves[target.options["table"]].finished += 1


class Careful(Memory, ReadsBack):
    """To which nothing may be sent twice without looking first."""

    spec = AppSpec("careful", "Careful", "Can be read.", "box", ("test",), ())
    idempotent = False

    def read_back(self, target: Target, keys: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        rows = self.shelves[target.options["table"]].rows
        return {key: rows[key][0] for key in keys if key in rows}


def write(rows: Rows, target: Target, item: ProfileExport) -> None:
    """Bring one key of the destination in step; sending the same again changes nothing."""
    old = item.old[target.key_field] if item.old is not None and item.release_old_key else None
    if item.new is None:
        if target.mode is SyncMode.SYNC:
            rows.pop(old, None)
        return
    key = item.new[target.key_field]
    if target.mode is SyncMode.ENRICH and key not in rows and old not in rows:
        return
    rows[key] = (dict(item.new), item.new_groups)
    if old is not None and old != key:
        rows.pop(old, None)


@dataclass
class World:
    """A project with rules, two groups, and an App in memory."""

    app: AppRow
    rules: Mapping[str, ProfilePropertyRule]
    groups: Mapping[str, Group]

    def export(self, table: str = "people", **more: Any) -> Schedule:
        """An export of email (the key) and name of both groups, which carry their names."""
        data = schedules_store.ScheduleData(
            direction="export",
            name=table,
            app_id=self.app.pk,
            options={"table": table, "key_field": "email"},
            fields={"email": "email", "name": "first_name"},
            groups={group.pk: group.name for group in self.groups.values()},
            **more,
        )
        Memory.shelves.setdefault(table, Shelf())
        return schedules_store.create_schedule(data, actor=SYSTEM)

    def people(self, *people: Mapping[str, Any], group: str | None = "vip") -> list[UUID]:
        """Profiles with these properties, members of `group`, as the pipeline would have logged them."""
        guids = make_profiles(people)
        for guid, values in zip(guids, people, strict=True):
            log_change(guid, values)
            if group:
                self.join(guid, group)
        return guids

    def change(self, guid: UUID, **values: Any) -> None:
        """Give a profile these values; None takes one away."""
        change(guid, values)

    def join(self, guid: UUID, group: str) -> None:
        """Make a profile a member, with a line in the log."""
        move_member(guid, self.groups[group].pk, joined=True)

    def leave(self, guid: UUID, group: str) -> None:
        """Take a profile out of a group, with a line in the log."""
        move_member(guid, self.groups[group].pk, joined=False)


def make_world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Install the App type and make what an export needs."""
    loaded = registry._load()
    apps: Mapping[str, type[App]] = {**loaded.apps, "memory": Memory, "careful": Careful}
    monkeypatch.setattr(registry, "_load", lambda: registry._Loaded(apps, loaded.plugins))
    connections.close_all()
    Memory.shelves.clear()
    rules = {
        "email": make_rule("email", "email", is_unique=True, identity_rank=1),
        "first_name": make_rule("first_name"),
    }
    groups = {name: Group.objects.create(name=name, kind=GroupKind.MANUAL) for name in ("vip", "new")}
    return World(AppRow.objects.create(name="Memory", type="memory"), rules, groups)


def change(guid: UUID, values: Mapping[str, Any]) -> None:
    """Set properties of a profile in one transaction with the line in the change log, as the pipeline does."""
    with connection.cursor() as statement:
        statement.execute(
            "update profile set properties = jsonb_strip_nulls(properties || %s::jsonb) where guid = %s",
            [json.dumps(dict(values)), guid],
        )
    log_change(guid, values)


def log_change(guid: UUID, values: Mapping[str, Any]) -> None:
    """A line in the change log."""
    with connection.cursor() as statement:
        statement.execute(
            "insert into profile_change (profile_id, changes, cause) values (%s, %s::jsonb, 'test')",
            [guid, json.dumps({key: [None, value] for key, value in values.items()})],
        )


def move_member(guid: UUID, group_id: int, *, joined: bool) -> None:
    """Move a profile in or out of a group, with a line in the log."""
    with connection.cursor() as statement:
        if joined:
            statement.execute(
                "insert into group_member (group_id, profile_id, created_at) values (%s, %s, now())"
                " on conflict do nothing",
                [group_id, guid],
            )
        else:
            statement.execute("delete from group_member where group_id = %s and profile_id = %s", [group_id, guid])
        statement.execute(
            "insert into group_membership_change (group_id, profile_id, joined, cause) values (%s, %s, %s, 'test')",
            [group_id, guid, joined],
        )


# ---------------------------------------------------------------- running


def wait_for_horizon() -> None:
    """Return when everything in the logs may be read: the server's own housekeeping writes too, for moments."""
    with connection.cursor() as statement:
        statement.execute(
            "select greatest((select max(xid) from profile_change), (select max(xid) from group_membership_change), 0)"
        )
        newest = statement.fetchone()[0]
    wait_until(lambda: cursor.read_horizon() > newest, what="all that is in the logs may be read")


def start(schedule: Schedule) -> Run:
    """A new run of the schedule, when it can read all that was written before."""
    wait_for_horizon()
    return runs.start_run(schedule.pk, trigger="test", actor=SYSTEM)


def work(run: Run, *, waits: int = 0) -> Run:
    """Work on export runs until there is nothing to do just now; `waits` times, waiting work is made due."""
    for left in range(waits, -1, -1):
        while exporting.work_slice():
            pass
        if left:
            make_due()
    run.refresh_from_db()
    return run


def export(schedule: Schedule, *, waits: int = 0) -> Run:
    """Run an export to its end."""
    return work(start(schedule), waits=waits)


def make_due() -> None:
    """As if enough time had passed: for work that waits, rows to be tried again, and leases of workers that died."""
    Work.objects.filter(state__in=UNFINISHED).update(next_at=Now(), lease_until=None)
    ExportRecord.objects.filter(state="owed").update(next_at=Now())
    with connection.cursor() as statement:
        statement.execute("update export_record set sent_at = sent_at - interval '1 hour' where state = 'sent'")


def adds_up(run: Run) -> bool:
    """Whether the run's counters make sense together and with the ledger."""
    counters = {name: run.counters.get(name, 0) for name in _COUNTERS}
    total = counters["sent"] + counters["unchanged"] + counters["rejected"] + counters["owed"]
    parts = counters["created"] + counters["updated"] + counters["removed"]
    owed = ExportRecord.objects.filter(schedule_id=run.schedule_id, state__in=["planned", "owed", "sent"]).count()
    agrees = counters["owed"] == owed or run.state == "stopped"  # before it had looked
    return counters["selected"] == total and counters["sent"] == parts and agrees


_COUNTERS = ("selected", "sent", "unchanged", "rejected", "owed", "created", "updated", "removed")
