"""Rejected events are found at once: there are few among millions, and their senders read no answers."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0006_unlinked_events"),
    ]

    operations = [
        migrations.RunSQL(
            "create index event_rejected on event (id) where state = 'rejected'", "drop index event_rejected"
        ),
    ]
