"""Schedules, runs and the export ledger."""

from __future__ import annotations

import django.db.models.constraints
import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("apps_connectors", "0001_initial"),
        ("groups", "0001_initial"),
        ("profiles", "0001_initial"),
        ("work", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("direction", models.CharField(choices=[("import", "Import"), ("export", "Export")], max_length=6)),
                ("name", models.CharField(max_length=200)),
                ("options", models.JSONField(default=dict)),
                ("every_minutes", models.PositiveIntegerField(null=True)),
                ("cron", models.CharField(blank=True, max_length=100)),
                ("after_changes", models.BooleanField(default=False)),
                ("enabled", models.BooleanField(default=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("high_water_mark", models.JSONField(null=True)),
                (
                    "mode",
                    models.CharField(
                        choices=[
                            ("sync", "Create, update and remove"),
                            ("additive", "Never remove"),
                            ("enrich", "Update only"),
                        ],
                        default="sync",
                        max_length=10,
                    ),
                ),
                ("everyone", models.BooleanField(default=False)),
                ("mapping_version", models.PositiveIntegerField(default=1)),
                ("halted_reason", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="schedules", to="apps_connectors.app"
                    ),
                ),
            ],
            options={
                "db_table": "schedule",
            },
        ),
        migrations.CreateModel(
            name="ExportCursor",
            fields=[
                (
                    "schedule",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="cursor",
                        serialize=False,
                        to="schedules.schedule",
                    ),
                ),
                ("mark", models.BigIntegerField()),
                ("cluster", models.CharField(max_length=60)),
                ("mapping_version", models.PositiveIntegerField(default=0)),
            ],
            options={
                "db_table": "export_cursor",
            },
        ),
        migrations.CreateModel(
            name="ExportRecord",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "profile_id", "schedule_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("profile_id", models.UUIDField()),
                ("schedule_id", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("held", "Up to date"),
                            ("owed", "Owed"),
                            ("sent", "Sent, not answered"),
                            ("rejected", "Rejected"),
                        ],
                        max_length=10,
                    ),
                ),
                ("key", models.TextField(null=True)),
                ("payload", models.JSONField(null=True)),
                ("group_names", models.JSONField(null=True)),
                ("owed_key", models.TextField(null=True)),
                ("owed_payload", models.JSONField(null=True)),
                ("owed_group_names", models.JSONField(null=True)),
                ("claimed_key", models.TextField(null=True)),
                ("may_hold", models.JSONField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_at", models.DateTimeField(null=True)),
                ("attempt_id", models.UUIDField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("accepted_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
                ("run_id", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "export_record",
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)),
                        fields=["schedule_id", "next_at"],
                        name="export_record_due",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        deferrable=django.db.models.constraints.Deferrable["IMMEDIATE"],
                        fields=("schedule_id", "claimed_key"),
                        name="export_record_one_claim",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("direction", models.CharField(choices=[("import", "Import"), ("export", "Export")], max_length=6)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Waiting"),
                            ("running", "Running"),
                            ("complete", "Complete"),
                            ("failed", "Failed"),
                            ("stopped", "Stopped"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("trigger", models.CharField(max_length=60)),
                ("options", models.JSONField(default=dict)),
                ("counters", models.JSONField(default=dict)),
                ("notes", models.JSONField(default=list)),
                ("error", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="schedules.schedule"
                    ),
                ),
                (
                    "work",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="run", to="work.work"
                    ),
                ),
            ],
            options={
                "db_table": "run",
            },
        ),
        migrations.CreateModel(
            name="RunError",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("message", models.CharField(max_length=500)),
                ("count", models.PositiveIntegerField(default=0)),
                ("examples", models.JSONField(default=list)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="errors", to="schedules.run"
                    ),
                ),
            ],
            options={
                "db_table": "run_error",
            },
        ),
        migrations.CreateModel(
            name="ScheduleField",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("field", models.CharField(max_length=200)),
                ("is_key", models.BooleanField(default=False)),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="schedule_fields",
                        to="profiles.profilepropertyrule",
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="fields", to="schedules.schedule"
                    ),
                ),
            ],
            options={
                "db_table": "schedule_field",
            },
        ),
        migrations.CreateModel(
            name="ScheduleGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="exports", to="groups.group"
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="groups", to="schedules.schedule"
                    ),
                ),
            ],
            options={
                "db_table": "schedule_group",
            },
        ),
        migrations.AddIndex(
            model_name="schedule",
            index=models.Index(condition=models.Q(("enabled", True)), fields=["next_at"], name="schedule_due"),
        ),
        migrations.AddConstraint(
            model_name="schedule",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("name"), name="schedule_name_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="schedule",
            constraint=models.CheckConstraint(
                condition=models.Q(("every_minutes__isnull", True), ("cron", ""), _connector="OR"),
                name="schedule_one_rhythm",
            ),
        ),
        migrations.AddConstraint(
            model_name="schedule",
            constraint=models.CheckConstraint(
                condition=models.Q(("every_minutes__isnull", True), ("every_minutes__gte", 1), _connector="OR"),
                name="schedule_every_minute_at_least",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["-created_at"], name="run_newest"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["schedule", "-created_at"], name="run_of_schedule"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["pending", "running"])),
                fields=("schedule",),
                name="run_one_unfinished",
            ),
        ),
        migrations.AddConstraint(
            model_name="runerror",
            constraint=models.UniqueConstraint(fields=("run", "message"), name="run_error_unique"),
        ),
        migrations.AddConstraint(
            model_name="schedulefield",
            constraint=models.UniqueConstraint(fields=("schedule", "field"), name="schedule_field_unique"),
        ),
        migrations.AddConstraint(
            model_name="schedulefield",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_key", True)), fields=("schedule",), name="schedule_field_one_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="schedulegroup",
            constraint=models.UniqueConstraint(fields=("schedule", "group"), name="schedule_group_unique"),
        ),
        migrations.AddConstraint(
            model_name="schedulegroup",
            constraint=models.UniqueConstraint(fields=("schedule", "name"), name="schedule_group_name_unique"),
        ),
        # For the few rows under whose keys another profile may come to stand: on the move, refused, or unanswered.
        migrations.RunSQL(
            """
            create index export_record_moving on export_record (schedule_id, key)
             where key is not null and claimed_key is distinct from key;
            create index export_record_refused on export_record (schedule_id, owed_key)
             where next_at is null and owed_key is not null;
            create index export_record_stray on export_record (schedule_id)
             where may_hold is not null
               and (may_hold #>> '{0,key}' is distinct from claimed_key or may_hold -> 1 is not null);
            """,
            "drop index export_record_moving, export_record_refused, export_record_stray",
        ),
        # Half of each page is left free, so that a row marked as sent stays on its page and no index has to be touched.
        migrations.RunSQL(
            "alter table export_record set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)",
            migrations.RunSQL.noop,
        ),
    ]
