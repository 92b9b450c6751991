"""Profiles, property rules, and the side tables.

The change log is partitioned by time, so it is made in SQL; `core/work/partitions.py` adds its weeks.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("apps_connectors", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProfileChange",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("xid", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("profile_id", models.UUIDField()),
                ("changes", models.JSONField()),
                ("lost", models.JSONField(null=True)),
                ("cause", models.CharField(max_length=60)),
            ],
            options={
                "db_table": "profile_change",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ProfileProperty",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "profile", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=60)),
                ("type", models.CharField(max_length=20)),
                ("value", models.JSONField()),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "profile_property",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HydrationRetry",
            fields=[
                ("profile_id", models.UUIDField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
                ("next_at", models.DateTimeField(db_index=True)),
                ("attempts", models.PositiveSmallIntegerField(default=1)),
                ("reason", models.TextField(blank=True)),
            ],
            options={"db_table": "hydration_retry"},
        ),
        migrations.CreateModel(
            name="Profile",
            fields=[
                ("guid", models.UUIDField(primary_key=True, serialize=False)),
                ("properties", models.JSONField(default=dict)),
                ("property_meta", models.JSONField(default=dict)),
                ("merged_into", models.UUIDField(null=True)),
                ("hydrated_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "profile",
                "indexes": [models.Index(fields=["created_at"], name="profile_created_at")],
            },
        ),
        migrations.CreateModel(
            name="ProfileDate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "rule_id", "profile_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("rule_id", models.BigIntegerField()),
                ("profile_id", models.UUIDField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "profile_date",
                "indexes": [models.Index(fields=["rule_id", "at"], name="profile_date_at")],
            },
        ),
        migrations.CreateModel(
            name="ProfilePropertyRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=60, unique=True)),
                ("label", models.CharField(max_length=200)),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("string", "String"),
                            ("integer", "Integer"),
                            ("float", "Number"),
                            ("boolean", "True or false"),
                            ("date", "Date"),
                            ("email", "Email address"),
                            ("phone_number", "Phone number"),
                            ("url", "URL"),
                        ],
                        max_length=20,
                    ),
                ),
                ("is_unique", models.BooleanField(default=False)),
                ("is_array", models.BooleanField(default=False)),
                ("identity_rank", models.PositiveSmallIntegerField(null=True)),
                (
                    "retrieval",
                    models.CharField(
                        choices=[("query", "A query"), ("column", "A column"), ("event", "Events")], max_length=10
                    ),
                ),
                ("query", models.TextField(blank=True)),
                ("column", models.JSONField(default=dict)),
                ("column_label", models.CharField(blank=True, max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("ready", "Ready"), ("deleted", "Deleted")],
                        default="ready",
                        max_length=10,
                    ),
                ),
                ("paused_reason", models.TextField(blank=True)),
                ("warning", models.TextField(blank=True)),
                ("is_timed", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "app",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rules",
                        to="apps_connectors.app",
                    ),
                ),
                (
                    "column_key",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="matched_by",
                        to="profiles.profilepropertyrule",
                    ),
                ),
            ],
            options={
                "db_table": "profile_property_rule",
            },
        ),
        migrations.CreateModel(
            name="ProfileIdentity",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "rule", "value", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("value", models.TextField(db_collation="C")),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="identities", to="profiles.profile"
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="profiles.profilepropertyrule",
                    ),
                ),
            ],
            options={
                "db_table": "profile_identity",
            },
        ),
        migrations.CreateModel(
            name="RuleSetVersion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.BigIntegerField()),
            ],
            options={
                "db_table": "rule_set_version",
                "constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="rule_set_version_one_row")],
            },
        ),
        migrations.CreateModel(
            name="RuleVariable",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "reads",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="read_by",
                        to="profiles.profilepropertyrule",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="variables",
                        to="profiles.profilepropertyrule",
                    ),
                ),
            ],
            options={
                "db_table": "rule_variable",
            },
        ),
        migrations.AddConstraint(
            model_name="profilepropertyrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("key__regex", "^[a-z][a-z0-9_]*$")), name="rule_key_form"
            ),
        ),
        migrations.AddConstraint(
            model_name="profilepropertyrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_array", True), ("is_unique", True), _negated=True), name="rule_array_not_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="profilepropertyrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("retrieval", "event"), ("app__isnull", False), _connector="OR"),
                name="rule_needs_app",
            ),
        ),
        migrations.AddConstraint(
            model_name="rulevariable",
            constraint=models.UniqueConstraint(fields=("rule", "reads"), name="rule_variable_unique"),
        ),
        # Room on each page keeps updates of a profile on it (HOT): no index but two has to be touched.
        migrations.RunSQL(
            "alter table profile set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            """
            create table profile_change (
                id bigint generated always as identity,
                xid bigint not null default pg_current_xact_id()::text::bigint,
                at timestamptz not null default clock_timestamp(),
                profile_id uuid not null,
                changes jsonb not null,
                lost jsonb,
                cause varchar(60) not null,
                primary key (id, at)
            ) partition by range (at);
            create table profile_change_default partition of profile_change default;
            create index profile_change_xid on profile_change (xid);
            create index profile_change_profile on profile_change (profile_id, at);
            """,
            "drop table profile_change",
        ),
        # For people and BI tools; the product itself asks it only about given profiles.
        migrations.RunSQL(
            """
            create view profile_property as
            select p.guid as profile_id, r.key, r.type,
                   p.properties -> r.key as value,
                   p.properties ->> r.key as text,
                   coalesce(to_timestamp((p.property_meta -> r.key ->> 2)::bigint / 1e6), p.created_at) as created_at,
                   coalesce(to_timestamp((p.property_meta -> r.key ->> 3)::bigint / 1e6), p.created_at) as updated_at
              from profile p
              join profile_property_rule r on r.state <> 'deleted' and p.properties -> r.key is not null
             where p.merged_into is null
            """,
            "drop view profile_property",
        ),
    ]
