"""A call that took long lets fewer go to its App for a while."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apps_connectors", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="appslot",
            name="slow_until",
            field=models.DateTimeField(null=True),
        ),
    ]
