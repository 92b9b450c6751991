"""Subscriptions to events, and the ledger of what each was sent."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

import core.lib.ordered_json


class Migration(migrations.Migration):
    dependencies = [
        ("apps_connectors", "0001_initial"),
        ("groups", "0001_initial"),
        ("profiles", "0001_initial"),
        ("schedules", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                (
                    "match",
                    models.CharField(
                        choices=[
                            ("type", "Events of a type"),
                            ("key", "Events that have a value under a key"),
                            ("every", "Every event of a person"),
                        ],
                        max_length=5,
                    ),
                ),
                ("value", models.CharField(blank=True, max_length=200)),
                ("options", models.JSONField(default=dict)),
                ("state", models.CharField(choices=[("on", "On"), ("paused", "Paused")], default="on", max_length=6)),
                ("paused_reason", models.TextField(blank=True)),
                ("paused_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="apps_connectors.app",
                    ),
                ),
                (
                    "follows",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="followed_by_subscriptions",
                        to="schedules.schedule",
                    ),
                ),
            ],
            options={
                "db_table": "subscription",
            },
        ),
        migrations.CreateModel(
            name="OutboundCursor",
            fields=[
                (
                    "subscription",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="cursor",
                        serialize=False,
                        to="schedules.subscription",
                    ),
                ),
                ("mark", models.BigIntegerField()),
                ("cluster", models.CharField(max_length=60)),
                ("read_at", models.DateTimeField()),
                ("rests_until", models.DateTimeField(null=True)),
                ("waits", models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                "db_table": "outbound_cursor",
            },
        ),
        migrations.CreateModel(
            name="OutboundDelivery",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "event_id", "subscription_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event_id", models.UUIDField()),
                ("subscription_id", models.BigIntegerField()),
                ("profile_id", models.UUIDField()),
                ("event_type", models.TextField()),
                ("occurred_at", models.DateTimeField()),
                ("body", core.lib.ordered_json.OrderedJSONField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting for the profile's data"),
                            ("owed", "Owed"),
                            ("sent", "Sent, not answered"),
                            ("retrying", "To be tried again"),
                            ("halted", "Halted"),
                            ("accepted", "Accepted"),
                            ("rejected", "Rejected"),
                            ("given_up", "Given up"),
                            ("skipped", "Skipped"),
                        ],
                        max_length=8,
                    ),
                ),
                ("warning", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
                ("waits_since", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("attempt_id", models.UUIDField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("tries", models.PositiveIntegerField(default=0)),
                ("tried_since", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
                ("reply", models.TextField(blank=True)),
                ("log", models.JSONField(default=list)),
            ],
            options={
                "db_table": "outbound_delivery",
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)),
                        fields=["subscription_id", "event_id"],
                        name="outbound_delivery_due",
                    ),
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)),
                        fields=["subscription_id", "profile_id", "event_id"],
                        name="outbound_delivery_order",
                    ),
                    models.Index(fields=["profile_id", "event_id"], name="outbound_delivery_profile"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SubscriptionGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="groups.group"
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="groups", to="schedules.subscription"
                    ),
                ),
            ],
            options={
                "db_table": "subscription_group",
            },
        ),
        migrations.CreateModel(
            name="SubscriptionProperty",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="profiles.profilepropertyrule",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="properties",
                        to="schedules.subscription",
                    ),
                ),
            ],
            options={
                "db_table": "subscription_property",
            },
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("name"), name="subscription_name_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("match", "every"), models.Q(("value", ""), _negated=True), _connector="XOR"),
                name="subscription_has_value",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscriptiongroup",
            constraint=models.UniqueConstraint(fields=("subscription", "group"), name="subscription_group_unique"),
        ),
        migrations.AddConstraint(
            model_name="subscriptionproperty",
            constraint=models.UniqueConstraint(fields=("subscription", "rule"), name="subscription_property_unique"),
        ),
        # Marking rows as sent touches no index, when there is room on their page.
        migrations.RunSQL(
            "alter table outbound_delivery set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)",
            migrations.RunSQL.noop,
        ),
    ]
