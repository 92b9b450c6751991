"""Notices that are promised: told when the work ends."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ui", "0001_notices")]

    operations = [
        migrations.AddField(model_name="notice", name="is_promised", field=models.BooleanField(default=False)),
        migrations.AddIndex(model_name="notice", index=models.Index(fields=["subject"], name="notice_subject")),
    ]
