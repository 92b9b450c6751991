"""Profiles can become part of others; anonymous ids are identities without a property."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("profiles", "0002_last_changes"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProfileMerge",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("winner_id", models.UUIDField(db_index=True)),
                ("loser_id", models.UUIDField(db_index=True)),
                ("at", models.DateTimeField()),
                ("cause", models.CharField(max_length=60)),
                ("identities", models.JSONField(default=list)),
                ("repointed", models.JSONField(default=list)),
                ("values", models.JSONField(default=dict)),
                ("joined", models.JSONField(default=list)),
                ("left", models.JSONField(default=list)),
                ("undone_at", models.DateTimeField(null=True)),
                ("undone_cause", models.CharField(blank=True, max_length=60)),
            ],
            options={
                "db_table": "profile_merge",
            },
        ),
        migrations.AlterField(
            model_name="profileidentity",
            name="rule",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="profiles.profilepropertyrule",
            ),
        ),
        migrations.AddIndex(
            model_name="profile",
            index=models.Index(
                condition=models.Q(("merged_into__isnull", False)), fields=["merged_into"], name="profile_merged_into"
            ),
        ),
    ]
