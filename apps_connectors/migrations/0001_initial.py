"""Apps and the slots that bound the calls to each."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="App",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("type", models.CharField(max_length=60)),
                ("options", models.JSONField(default=dict)),
                ("secrets", models.TextField(blank=True)),
                ("parallel_calls", models.PositiveSmallIntegerField(default=4)),
                ("paused_at", models.DateTimeField(null=True)),
                ("tested_at", models.DateTimeField(null=True)),
                ("test_ok", models.BooleanField(null=True)),
                ("test_message", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "app",
                "constraints": [
                    models.UniqueConstraint(django.db.models.functions.text.Lower("name"), name="app_name_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="AppSlot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveSmallIntegerField()),
                ("token", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                (
                    "app",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="slots", to="apps_connectors.app"
                    ),
                ),
            ],
            options={
                "db_table": "app_slot",
                "constraints": [models.UniqueConstraint(fields=("app", "number"), name="app_slot_unique")],
            },
        ),
    ]
