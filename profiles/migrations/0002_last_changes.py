"""The time of each profile's last change can be kept by date, for groups that ask for it."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="rulesetversion",
            name="follows_updates",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
