"""Who is told of problems, and the problems they were told of."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AlertRecipients",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("emails", models.JSONField(default=list)),
                ("webhook_url", models.CharField(blank=True, max_length=2000)),
                ("secrets", models.TextField(blank=True)),
                ("base_url", models.CharField(blank=True, max_length=300)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "alert_recipients",
                "constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="alert_recipients_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("schedule_halted", "A schedule stopped: credentials, a missing table, the guard"),
                            ("subscription_halted", "Outbound events stopped"),
                            ("run_failed", "A run failed"),
                            ("schedule_late", "A schedule did not run for twice its rhythm"),
                            ("app_silent", "An App does not answer its test"),
                            ("property_paused", "A property is not asked for any more"),
                        ],
                        max_length=30,
                    ),
                ),
                ("subject", models.CharField(max_length=60)),
                ("title", models.CharField(max_length=300)),
                ("text", models.TextField(blank=True)),
                ("url", models.CharField(max_length=200)),
                ("channels", models.JSONField(default=list)),
                ("opened_at", models.DateTimeField()),
                ("recovered_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "incident",
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("recovered_at__isnull", True)),
                        fields=("kind", "subject"),
                        name="incident_one_open",
                    )
                ],
            },
        ),
    ]
