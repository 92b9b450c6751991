"""Conditions of subscriptions, and what they read."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("groups", "0001_initial"),
        ("profiles", "0001_initial"),
        ("schedules", "0002_outbound_events"),
    ]

    operations = [
        migrations.AddField(model_name="subscription", name="where", field=models.JSONField(default=list)),
        migrations.AddField(model_name="subscription", name="people", field=models.JSONField(null=True)),
        migrations.CreateModel(
            name="SubscriptionRuleUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("leaf", models.CharField(max_length=60)),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscription_rule_uses",
                        to="groups.group",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscription_rule_uses",
                        to="profiles.profilepropertyrule",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rule_uses",
                        to="schedules.subscription",
                    ),
                ),
            ],
            options={"db_table": "subscription_rule_use"},
        ),
        migrations.AddConstraint(
            model_name="subscriptionruleuse",
            constraint=models.UniqueConstraint(fields=("subscription", "leaf"), name="subscription_rule_use_unique"),
        ),
        migrations.AddConstraint(
            model_name="subscriptionruleuse",
            constraint=models.CheckConstraint(
                condition=models.Q(("rule__isnull", True), ("group__isnull", True), _connector="XOR"),
                name="subscription_rule_use_reads_one",
            ),
        ),
    ]
