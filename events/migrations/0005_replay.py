"""Events that are stored already can wait to be taken once more."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0004_hooks"),
    ]

    operations = [
        migrations.AddField(
            model_name="inbox",
            name="is_replay",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
