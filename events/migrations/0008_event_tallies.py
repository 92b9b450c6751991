"""How many events of each type came in each hour."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0007_rejected_events")]

    operations = [
        migrations.CreateModel(
            name="EventTally",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "hour", "type", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("type", models.TextField()),
                ("events", models.PositiveIntegerField()),
            ],
            options={"db_table": "event_tally"},
        ),
        migrations.RunSQL(
            # what is older than a day has settled, unless something still waits from before
            """
            insert into event_tally (hour, type, events)
            select h.hour, e.type, count(*)
              from (select date_trunc('hour', now()) - make_interval(hours => n) as hour
                      from generate_series(24, 24 * 32) n) h
              join event e on e.id >= (lpad(to_hex((extract(epoch from h.hour) * 1000)::bigint), 12, '0')
                                       || repeat('0', 20))::uuid
                          and e.id < (lpad(to_hex((extract(epoch from h.hour) * 1000)::bigint + 3600000), 12, '0')
                                      || repeat('0', 20))::uuid
             where not exists (select from inbox where received_at < now() - interval '1 day')
             group by 1, 2
            """,
            migrations.RunSQL.noop,
        ),
    ]
