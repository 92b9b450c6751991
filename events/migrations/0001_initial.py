"""The inbox, the events and their keys.

Events are partitioned by the week of their id, so the table is made in SQL; `core/work/partitions.py` adds its weeks.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("message_id", models.TextField()),
                ("type", models.TextField()),
                ("occurred_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                (
                    "source_kind",
                    models.CharField(
                        choices=[
                            ("run", "Import run"),
                            ("api_key", "API key"),
                            ("person", "Person"),
                            ("webhook", "Webhook"),
                        ],
                        max_length=10,
                    ),
                ),
                ("source_id", models.BigIntegerField()),
                ("payload", models.JSONField()),
                (
                    "state",
                    models.CharField(
                        choices=[("processed", "Processed"), ("unlinked", "Unlinked"), ("rejected", "Rejected")],
                        max_length=10,
                    ),
                ),
                ("profile_id", models.UUIDField(null=True)),
                ("error", models.TextField()),
                ("xid", models.BigIntegerField()),
            ],
            options={
                "db_table": "event",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="EventKey",
            fields=[
                ("key", models.UUIDField(primary_key=True, serialize=False)),
                ("event_id", models.UUIDField()),
            ],
            options={
                "db_table": "event_key",
            },
        ),
        migrations.CreateModel(
            name="Inbox",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("message_id", models.TextField()),
                ("type", models.TextField()),
                ("occurred_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                (
                    "source_kind",
                    models.CharField(
                        choices=[
                            ("run", "Import run"),
                            ("api_key", "API key"),
                            ("person", "Person"),
                            ("webhook", "Webhook"),
                        ],
                        max_length=10,
                    ),
                ),
                ("source_id", models.BigIntegerField()),
                ("payload", models.JSONField()),
                ("token", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "db_table": "inbox",
            },
        ),
        migrations.RunSQL(
            """
            create table event (
                id uuid primary key,
                message_id text not null,
                type text not null,
                occurred_at timestamptz not null,
                received_at timestamptz not null,
                source_kind varchar(10) not null,
                source_id bigint not null,
                payload jsonb not null,
                state varchar(10) not null,
                profile_id uuid,
                error text not null default '',
                xid bigint not null default pg_current_xact_id()::text::bigint
            ) partition by range (id);
            create table event_default partition of event default;
            create index event_profile on event (profile_id, id);
            """,
            "drop table event",
        ),
    ]
