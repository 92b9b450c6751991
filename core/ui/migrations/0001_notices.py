"""Quiet notices: what someone started has ended."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=60)),
                ("look", models.CharField(max_length=4)),
                ("title", models.CharField(max_length=300)),
                ("text", models.CharField(blank=True, max_length=500)),
                ("url", models.CharField(max_length=200)),
                ("at", models.DateTimeField(auto_now=True)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "notice",
                "constraints": [models.UniqueConstraint(fields=("person", "subject"), name="notice_once")],
            },
        ),
    ]
