"""How long deliveries of outbound events are kept; so far as long as other logs."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_tracking"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="delivery_retention_days",
            field=models.PositiveIntegerField(db_default=365, default=365),
        ),
        migrations.RunSQL("update project set delivery_retention_days = log_retention_days", migrations.RunSQL.noop),
    ]
