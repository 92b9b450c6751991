"""Groups, their members, and the log of joining and leaving.

The log is partitioned by time, so it is made in SQL; `core/work/partitions.py` adds its weeks.
"""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("profiles", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="GroupMembershipChange",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("xid", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("group_id", models.BigIntegerField()),
                ("profile_id", models.UUIDField()),
                ("joined", models.BooleanField()),
                ("cause", models.CharField(max_length=60)),
            ],
            options={
                "db_table": "group_membership_change",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Group",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("kind", models.CharField(choices=[("manual", "Manual"), ("calculated", "Calculated")], max_length=10)),
                ("rules", models.JSONField(null=True)),
                ("rules_version", models.PositiveIntegerField(default=1)),
                ("calculated_version", models.PositiveIntegerField(default=0)),
                ("calculated_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "profile_group",
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"), name="profile_group_name_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupMember",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "group", "profile_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("profile_id", models.UUIDField()),
                ("created_at", models.DateTimeField()),
                (
                    "group",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="groups.group",
                    ),
                ),
            ],
            options={
                "db_table": "group_member",
                "indexes": [models.Index(fields=["profile_id"], name="group_member_profile")],
            },
        ),
        migrations.CreateModel(
            name="GroupRuleUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("leaf", models.CharField(max_length=60)),
                ("swept_until", models.DateTimeField(null=True)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rule_uses", to="groups.group"
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="group_uses",
                        to="profiles.profilepropertyrule",
                    ),
                ),
            ],
            options={
                "db_table": "group_rule_use",
                "constraints": [models.UniqueConstraint(fields=("group", "leaf"), name="group_rule_use_unique")],
            },
        ),
        migrations.CreateModel(
            name="GroupSize",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("size", models.BigIntegerField()),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sizes", to="groups.group"
                    ),
                ),
            ],
            options={
                "db_table": "group_size",
                "constraints": [models.UniqueConstraint(fields=("group", "day"), name="group_size_unique")],
            },
        ),
        migrations.RunSQL(
            """
            create table group_membership_change (
                id bigint generated always as identity,
                xid bigint not null default pg_current_xact_id()::text::bigint,
                at timestamptz not null default clock_timestamp(),
                group_id bigint not null,
                profile_id uuid not null,
                joined boolean not null,
                cause varchar(60) not null,
                primary key (id, at)
            ) partition by range (at);
            create table group_membership_change_default partition of group_membership_change default;
            create index group_membership_change_xid on group_membership_change (xid);
            create index group_membership_change_group on group_membership_change (group_id, at);
            create index group_membership_change_profile on group_membership_change (profile_id, at);
            """,
            "drop table group_membership_change",
        ),
    ]
