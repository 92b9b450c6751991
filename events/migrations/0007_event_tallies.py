"""How many events of each type came in each hour."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0006_unlinked_events")]

    operations = [
        migrations.CreateModel(
            name="EventTally",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "hour", "type", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("type", models.TextField()),
                ("events", models.PositiveIntegerField()),
            ],
            options={"db_table": "event_tally"},
        ),
    ]
