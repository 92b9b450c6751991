"""What each batch asked its sources, and why a rule could not be asked last."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0004_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="HydrationTrace",
            fields=[
                ("xid", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("people", models.PositiveIntegerField()),
                ("count", models.PositiveIntegerField()),
                ("statements", models.JSONField()),
            ],
            options={
                "db_table": "hydration_trace",
            },
        ),
        migrations.AddField(
            model_name="profilepropertyrule",
            name="last_error",
            field=models.TextField(blank=True, db_default=""),
        ),
        migrations.AddField(
            model_name="profilepropertyrule",
            name="last_error_at",
            field=models.DateTimeField(null=True),
        ),
    ]
