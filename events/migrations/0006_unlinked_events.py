"""Events that found nobody are found at once, to be looked at again."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0005_replay"),
    ]

    operations = [
        migrations.RunSQL(
            "create index event_unlinked on event (id) where state = 'unlinked'", "drop index event_unlinked"
        ),
    ]
