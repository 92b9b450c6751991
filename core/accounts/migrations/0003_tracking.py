"""What userId of tracking clients stands for, and how many anonymous ids one person may have."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_project_database"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="identity_limit",
            field=models.PositiveIntegerField(db_default=500, default=500),
        ),
        migrations.AddField(
            model_name="project",
            name="user_id_key",
            field=models.CharField(db_default="user_id", default="user_id", max_length=60),
        ),
    ]
