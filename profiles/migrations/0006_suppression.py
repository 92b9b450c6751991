"""Who was erased on request: keyed hashes of their identities, and the profiles whose erasing is under way."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0005_traces"),
    ]

    operations = [
        migrations.CreateModel(
            name="SuppressionKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("secret", models.TextField()),
            ],
            options={
                "db_table": "suppression_key",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="suppression_key_one_row"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Suppression",
            fields=[
                ("digest", models.BinaryField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
            options={
                "db_table": "suppression",
            },
        ),
        migrations.CreateModel(
            name="ErasedProfile",
            fields=[
                ("profile_id", models.UUIDField(primary_key=True, serialize=False)),
                ("erasure_id", models.BigIntegerField(db_index=True)),
            ],
            options={
                "db_table": "erased_profile",
            },
        ),
    ]
