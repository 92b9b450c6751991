"""The time of a move in the log is that of the statement which writes it: see `profiles/migrations/0007`."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("groups", "0002_other_leaves")]

    operations = [
        migrations.RunSQL(
            "alter table group_membership_change alter column at set default statement_timestamp()",
            "alter table group_membership_change alter column at set default clock_timestamp()",
        )
    ]
