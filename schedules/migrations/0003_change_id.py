from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("schedules", "0002_outbound_events")]

    operations = [
        migrations.AddField(model_name="exportrecord", name="change_id", field=models.UUIDField(null=True)),
    ]
