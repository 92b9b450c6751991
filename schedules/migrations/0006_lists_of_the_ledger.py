"""For the lists that people look at first: who would be removed, and who was refused.

What is neither costs nothing: a row that is owed a value and accepted is in none of them. And what the planner has to
know: one export may hold everyone while another one owes everyone.
"""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("schedules", "0005_erasing")]

    operations = [
        migrations.RunSQL(
            """
            create index export_record_removals on export_record (schedule_id, profile_id)
             where next_at is not null and owed_key is null;
            create index export_record_rejected on export_record (schedule_id, profile_id)
             where next_at is null and error <> '';
            create statistics export_record_standing (mcv) on schedule_id, state from export_record;
            """,
            "drop statistics export_record_standing; drop index export_record_removals, export_record_rejected",
        ),
    ]
