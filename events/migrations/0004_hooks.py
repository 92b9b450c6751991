"""Addresses for tools' webhooks, and the last calls while they are being set up."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apps_connectors", "0001_initial"),
        ("events", "0003_events_by_type"),
    ]

    operations = [
        migrations.CreateModel(
            name="Hook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("secret_hash", models.CharField(max_length=64)),
                ("secrets", models.TextField()),
                ("mapping", models.JSONField(default=dict)),
                ("signature", models.CharField(default="none", max_length=20)),
                ("signature_header", models.CharField(blank=True, max_length=100)),
                ("listening_until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "app",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="hook", to="apps_connectors.app"
                    ),
                ),
            ],
            options={
                "db_table": "hook",
            },
        ),
        migrations.CreateModel(
            name="HookCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("body", models.TextField()),
                ("answer", models.TextField()),
                (
                    "hook",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="calls", to="events.hook"
                    ),
                ),
            ],
            options={
                "db_table": "hook_call",
            },
        ),
    ]
