"""The time of a change of the log is that of the statement which writes it, and so the same for its whole batch.

With a clock that may differ from row to row COPY inserts every row by itself; with one that stands still it fills page
after page.
"""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("profiles", "0006_suppression")]

    operations = [
        migrations.RunSQL(
            "alter table profile_change alter column at set default statement_timestamp()",
            "alter table profile_change alter column at set default clock_timestamp()",
        )
    ]
