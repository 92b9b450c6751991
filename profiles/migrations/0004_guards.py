"""What hydration blanks is counted, for the guard."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0003_merges"),
    ]

    operations = [
        migrations.CreateModel(
            name="HydrationGuard",
            fields=[
                (
                    "rule",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="profiles.profilepropertyrule",
                    ),
                ),
                ("since", models.DateTimeField()),
                ("blanked", models.PositiveIntegerField(default=0)),
                ("total", models.PositiveIntegerField(null=True)),
                ("accepted_until", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "hydration_guard",
            },
        ),
    ]
