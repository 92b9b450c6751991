"""Who did what when: for groups that ask what people did."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("events", "0002_payloads_as_they_came")]

    operations = [
        migrations.RunSQL(
            "create index event_type on event (type, occurred_at) include (profile_id)", "drop index event_type"
        )
    ]
