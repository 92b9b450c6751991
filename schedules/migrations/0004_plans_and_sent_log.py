"""Plans of exports, the guard of each schedule, and the log of what was sent.

The log is partitioned by time, so it is made in SQL; `core/work/partitions.py` adds its weeks.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("schedules", "0003_outbound_in_full"),
    ]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="guard_share",
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name="exportrecord",
            name="change_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AlterField(
            model_name="exportrecord",
            name="state",
            field=models.CharField(
                choices=[
                    ("held", "Up to date"),
                    ("planned", "Planned, not sent"),
                    ("owed", "Owed"),
                    ("sent", "Sent, not answered"),
                    ("rejected", "Rejected"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="SentLog",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("schedule_id", models.BigIntegerField()),
                ("run_id", models.BigIntegerField()),
                ("profile_id", models.UUIDField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("created", "Created"), ("updated", "Updated"), ("removed", "Removed")], max_length=7
                    ),
                ),
                ("key", models.TextField()),
                ("outcome", models.CharField(max_length=8)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("groups_before", models.JSONField(null=True)),
                ("groups_after", models.JSONField(null=True)),
                ("text", models.TextField()),
            ],
            options={
                "db_table": "sent_log",
                "managed": False,
            },
        ),
        migrations.RunSQL(
            """
            create table sent_log (
                id bigint generated always as identity,
                at timestamptz not null default clock_timestamp(),
                schedule_id bigint not null,
                run_id bigint not null,
                profile_id uuid not null,
                kind varchar(7) not null,
                key text not null,
                outcome varchar(8) not null,
                before jsonb,
                after jsonb,
                groups_before jsonb,
                groups_after jsonb,
                text text not null
            ) partition by range (at);
            create table sent_log_default partition of sent_log default;
            create index sent_log_profile on sent_log (profile_id, at);
            create index sent_log_at on sent_log using brin (at) with (pages_per_range = 32);
            """,
            "drop table sent_log",
        ),
    ]
