"""Leaves of rules that read other groups, events and fields of the profile itself."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("groups", "0001_initial"),
        ("profiles", "0002_last_changes"),
    ]

    operations = [
        migrations.AddField(
            model_name="groupruleuse",
            name="event_type",
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name="groupruleuse",
            name="field",
            field=models.CharField(blank=True, max_length=20),
        ),
        migrations.AddField(
            model_name="groupruleuse",
            name="reads",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="read_by", to="groups.group"
            ),
        ),
        migrations.AlterField(
            model_name="groupruleuse",
            name="rule",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="group_uses",
                to="profiles.profilepropertyrule",
            ),
        ),
        migrations.AddConstraint(
            model_name="groupruleuse",
            constraint=models.CheckConstraint(
                condition=models.Q(("group", models.F("reads")), _negated=True), name="group_reads_others"
            ),
        ),
    ]
