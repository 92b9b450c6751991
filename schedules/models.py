"""Schedules in both directions, their Runs, and the ledger of what each destination holds.

`Schedule`, `ScheduleField`, `ScheduleGroup` are written by `schedules/schedules_store.py`; `Run` and `RunError` by
`schedules/runs.py`; `ExportRecord` by `schedules/ledger.py`, `SentLog` by `schedules/sent_log.py`, `ExportCursor` by
`schedules/cursor.py`. The models of outbound events are in `schedules/outbound/models.py`, those of erasing a person
in `schedules/erasing/models.py`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext, gettext_lazy

from apps_connectors.models import App
from core.work.models import Work
from groups.models import Group
from profiles.models import ProfilePropertyRule
from schedules.erasing import models as _erasing  # noqa: F401  so that Django finds them
from schedules.outbound import models as _outbound  # noqa: F401


class Direction(models.TextChoices):
    """Which way data flows."""

    IMPORT = "import", gettext_lazy("Import")
    EXPORT = "export", gettext_lazy("Export")


class Mode(models.TextChoices):
    """What an export may do at the destination."""

    SYNC = "sync", gettext_lazy("Create, update and remove")
    ADDITIVE = "additive", gettext_lazy("Never remove")
    ENRICH = "enrich", gettext_lazy("Update only")


class Schedule(models.Model):
    """What to read from or write to an App, and when.

    `options` of an import: table | query | path, changed_column, id_column, may_create, look_for_deleted,
    lookback (seconds).
    `options` of an export: what the plugin asks of a target (table, folder, ...), and `key_field`.
    """

    direction = models.CharField(max_length=6, choices=Direction.choices)
    name = models.CharField(max_length=200)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="schedules")
    options = models.JSONField(default=dict)
    every_minutes = models.PositiveIntegerField(null=True)
    cron = models.CharField(max_length=100, blank=True)  # in the project's time zone; neither: by hand only
    after_changes = models.BooleanField(default=False)  # exports: also right after a change
    enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True)
    # import: how far reading has come, as the plugin's Mark
    high_water_mark = models.JSONField(null=True)
    # export
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.SYNC)
    everyone = models.BooleanField(default=False)
    mapping_version = models.PositiveIntegerField(default=1)  # counts what makes a full diff necessary
    guard_share = models.FloatField(null=True)  # of what the destination holds; null: the project's; 1: never asks
    halted_reason = models.TextField(blank=True)  # a person has to mend something first
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "schedule"
        constraints = [
            models.UniqueConstraint(Lower("name"), name="schedule_name_unique"),
            models.CheckConstraint(condition=Q(every_minutes__isnull=True) | Q(cron=""), name="schedule_one_rhythm"),
            models.CheckConstraint(
                condition=Q(every_minutes__isnull=True) | Q(every_minutes__gte=1), name="schedule_every_minute_at_least"
            ),
        ]
        indexes = [models.Index(fields=["next_at"], condition=Q(enabled=True), name="schedule_due")]

    def __str__(self) -> str:
        return self.name


class ScheduleField(models.Model):
    """Import: `field` (a column) feeds the property. Export: the property feeds `field`."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="fields")
    rule = models.ForeignKey(ProfilePropertyRule, on_delete=models.PROTECT, related_name="schedule_fields")
    field = models.CharField(max_length=200)
    is_key = models.BooleanField(default=False)  # exports: the destination knows the person by this field

    class Meta:
        db_table = "schedule_field"
        constraints = [
            models.UniqueConstraint(fields=["schedule", "field"], name="schedule_field_unique"),
            models.UniqueConstraint(fields=["schedule"], condition=Q(is_key=True), name="schedule_field_one_key"),
        ]

    def __str__(self) -> str:
        return gettext("the schedule %(schedule)s") % {"schedule": self.schedule}


class ScheduleGroup(models.Model):
    """An export sends the members of this group, marked with `name` at the destination."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="groups")
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="exports")
    name = models.CharField(max_length=200)

    class Meta:
        db_table = "schedule_group"
        constraints = [
            models.UniqueConstraint(fields=["schedule", "group"], name="schedule_group_unique"),
            models.UniqueConstraint(fields=["schedule", "name"], name="schedule_group_name_unique"),
        ]

    def __str__(self) -> str:
        return gettext("the schedule %(schedule)s") % {"schedule": self.schedule}


class RunState(models.TextChoices):
    """Where a run stands."""

    PENDING = "pending", gettext_lazy("Waiting")
    RUNNING = "running", gettext_lazy("Running")
    COMPLETE = "complete", gettext_lazy("Complete")
    FAILED = "failed", gettext_lazy("Failed")
    STOPPED = "stopped", gettext_lazy("Stopped")


class Run(models.Model):
    """One execution of a schedule. Its progress, lease and mark are those of its `work`.

    `counters` of an import: read, events, unchanged, created, changed, rejected, skipped
    (rows of people who were erased on request). Of an export: selected, sent,
    created, updated, removed, unchanged, rejected, owed; of one that ended with a plan (see `schedules/plans.py`) also
    plan_created, plan_updated, plan_removed, plan_held.

    `options` of an export: plan (work out what would be sent, and send nothing), exact (the run whose plan is sent),
    again (what is sent although the destination has it: see `schedules/again.py`), erase (the erasure whose person is
    removed, and nothing else is sent).
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="runs")
    direction = models.CharField(max_length=6, choices=Direction.choices)
    work = models.OneToOneField(Work, on_delete=models.PROTECT, related_name="run")
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.PENDING)
    trigger = models.CharField(max_length=60)  # "schedule", "change", "person:3", "upload"
    options = models.JSONField(default=dict)  # of this run alone, such as the uploaded file
    counters = models.JSONField(default=dict)
    notes = models.JSONField(default=list)  # told once, such as "read as Latin-1"
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "run"
        constraints = [
            models.UniqueConstraint(
                fields=["schedule"], condition=Q(state__in=["pending", "running"]), name="run_one_unfinished"
            )
        ]
        indexes = [
            models.Index(fields=["-created_at"], name="run_newest"),
            models.Index(fields=["schedule", "-created_at"], name="run_of_schedule"),
        ]


class RunError(models.Model):
    """What went wrong in a run, grouped by message, with a count and a few examples."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="errors")
    message = models.CharField(max_length=500)
    count = models.PositiveIntegerField(default=0)
    examples = models.JSONField(default=list)  # at most five, each an object

    class Meta:
        db_table = "run_error"
        constraints = [models.UniqueConstraint(fields=["run", "message"], name="run_error_unique")]


class ExportCursor(models.Model):
    """How far an export has read the change logs: every transaction below `mark` is taken.

    `cluster` names the database server the mark belongs to: transaction numbers of another one mean nothing here, so
    on a mismatch the export compares everyone. The same when `mapping_version` is not the schedule's.
    """

    schedule = models.OneToOneField(Schedule, on_delete=models.CASCADE, primary_key=True, related_name="cursor")
    mark = models.BigIntegerField()
    cluster = models.CharField(max_length=60)
    mapping_version = models.PositiveIntegerField(default=0)  # 0: nothing was compared yet

    class Meta:
        db_table = "export_cursor"


class RecordState(models.TextChoices):
    """Where one profile stands at one destination."""

    HELD = "held", gettext_lazy("Up to date")
    PLANNED = "planned", gettext_lazy("Planned, not sent")
    OWED = "owed", gettext_lazy("Owed")
    SENT = "sent", gettext_lazy("Sent, not answered")
    REJECTED = "rejected", gettext_lazy("Rejected")
    ERASING = "erasing", gettext_lazy("To be removed: erased on request")


class ExportRecord(models.Model):
    """The ledger: for each export and profile what the destination accepted last and what it is owed now.

    `key`, `payload`, `group_names` are what was accepted (key null: the destination holds nothing from us).
    `owed_*` are what is owed (owed_key null while state is owed: a removal). `claimed_key` is the key this profile
    stands for from now on, unique within a schedule: no two profiles ever claim one key.

    `next_at` is set while something is owed. What is only planned is due in a far year: a run that sends releases it.

    `may_hold` lists what the destination may hold besides, for which this profile answers: what a call left that was
    never answered, or what stands under a key taken over from another profile. Each is {key, payload, groups}. While
    it is set nothing counts as up to date, whatever the values say; an accepted answer clears it.

    Of someone who is being erased a removal is owed, whatever the mode: `erasing`, until a run of the erasure takes it.
    """

    pk = models.CompositePrimaryKey("profile_id", "schedule_id")  # so that it serves a profile's page too
    profile_id = models.UUIDField()
    schedule_id = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=RecordState.choices)
    key = models.TextField(null=True)
    payload = models.JSONField(null=True)
    group_names = models.JSONField(null=True)
    owed_key = models.TextField(null=True)
    owed_payload = models.JSONField(null=True)
    owed_group_names = models.JSONField(null=True)
    claimed_key = models.TextField(null=True)
    may_hold = models.JSONField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True)
    attempt_id = models.UUIDField(null=True)
    change_id = models.UUIDField(null=True)  # of what is owed: the same however often it is sent
    sent_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    run_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "export_record"
        constraints = [
            models.UniqueConstraint(
                fields=["schedule_id", "claimed_key"],
                name="export_record_one_claim",
                deferrable=models.Deferrable.IMMEDIATE,
            )
        ]
        # No index reads `state`: so marking rows as sent touches none (HOT). `next_at` is set while something is owed.
        indexes = [
            models.Index(
                fields=["schedule_id", "next_at"], condition=Q(next_at__isnull=False), name="export_record_due"
            ),
        ]


class SentKind(models.TextChoices):
    """What an export did, or tried to do, about one person."""

    CREATED = "created", gettext_lazy("Created")
    UPDATED = "updated", gettext_lazy("Updated")
    REMOVED = "removed", gettext_lazy("Removed")


class SentLog(models.Model):
    """What exports sent of each person, and what was answered. Append only, partitioned by time.

    `before` and `after` are payloads with the group names beside them. `outcome` is one of the contract's.
    """

    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    schedule_id = models.BigIntegerField()
    run_id = models.BigIntegerField()
    profile_id = models.UUIDField()
    kind = models.CharField(max_length=7, choices=SentKind.choices)
    key = models.TextField()
    outcome = models.CharField(max_length=8)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    groups_before = models.JSONField(null=True)
    groups_after = models.JSONField(null=True)
    text = models.TextField()

    class Meta:
        db_table = "sent_log"
        managed = False
