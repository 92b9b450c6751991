"""Erasing a person: the work and its proof, and each destination"s answer."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0006_suppression"),
        ("schedules", "0004_plans_and_sent_log"),
        ("work", "0001_initial"),
    ]

    operations = [
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
                    ("erasing", "To be removed: erased on request"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asked_at", models.DateTimeField(auto_now_add=True)),
                ("asked_by", models.CharField(max_length=60)),
                ("steps", models.JSONField(default=dict)),
                ("counts", models.JSONField(default=dict)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "work",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="work.work"),
                ),
            ],
            options={
                "db_table": "erasure",
            },
        ),
        migrations.CreateModel(
            name="ErasureDestination",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("schedule_id", models.BigIntegerField()),
                ("name", models.CharField(max_length=420)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("owed", "Owed"),
                            ("asked", "Being removed"),
                            ("waiting", "Waits"),
                            ("retrying", "To be tried again"),
                            ("cannot", "Needs you"),
                            ("removed", "Removed"),
                            ("by_hand", "Done by hand"),
                        ],
                        default="owed",
                        max_length=8,
                    ),
                ),
                ("run_id", models.BigIntegerField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("settled_by", models.CharField(blank=True, max_length=60)),
                ("reason", models.CharField(blank=True, max_length=500)),
                (
                    "erasure",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="destinations", to="schedules.erasure"
                    ),
                ),
            ],
            options={
                "db_table": "erasure_destination",
                "constraints": [
                    models.UniqueConstraint(fields=("erasure", "schedule_id"), name="erasure_destination_unique")
                ],
            },
        ),
    ]
