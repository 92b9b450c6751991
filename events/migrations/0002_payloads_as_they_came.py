"""Payloads keep the order of their keys, and processed events can be read in the order of their transactions."""

from __future__ import annotations

from django.db import migrations

import core.lib.ordered_json


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AlterField(model_name="inbox", name="payload", field=core.lib.ordered_json.OrderedJSONField()),
        migrations.AlterField(model_name="event", name="payload", field=core.lib.ordered_json.OrderedJSONField()),
        migrations.RunSQL(
            "alter table event alter column payload type json using payload::json",
            "alter table event alter column payload type jsonb using payload::jsonb",
        ),
        migrations.RunSQL("create index event_xid on event (xid)", "drop index event_xid"),
    ]
