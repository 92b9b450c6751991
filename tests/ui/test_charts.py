"""Charts: what they draw, and that the numbers beneath them are those of the database."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from psycopg2.extras import execute_values

from core.lib import uuid7
from core.ui.columns import NARROW, Column, Columns
from events import over_time, tallies
from events.models import EventTally, Inbox
from tests.ui.shop import Shop

NOW = datetime(2026, 3, 10, 14, 20, tzinfo=UTC)


class Tables(HTMLParser):
    """The rows of the tables within figures, as texts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._in_figure = self._in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """A figure, a row or a cell begins."""
        self._in_figure = self._in_figure or tag == "figure"
        if self._in_figure and tag == "tr":
            self.rows.append([])
        if self._in_figure and tag in {"td", "th"}:
            self._in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """A figure or a cell ends."""
        self._in_figure = self._in_figure and tag != "figure"
        self._in_cell = self._in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        """The words of a cell."""
        if self._in_cell:
            self.rows[-1][-1] += data


def read_rows(client: Client, url: str) -> list[list[str]]:
    """What the tables under the charts of a page say."""
    tables = Tables()
    tables.feed(client.get(url).content.decode())
    return [[cell.replace("\u00a0", " ") for cell in row] for row in tables.rows]


def add_events(kinds: Sequence[tuple[str, datetime]]) -> None:
    """Events of these types, that came at these times."""
    rows = [(str(uuid7.make_many(at, 1)[0]), str(uuid4()), kind, at, at) for kind, at in kinds]
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            "insert into event (id, message_id, type, occurred_at, received_at, source_kind, source_id, payload, state)"
            " values %s",
            rows,
            template="(%s, %s, %s, %s, %s, 'api_key', 1, '{}', 'processed')",
        )


def count_by_sql(start: datetime) -> dict[str, int]:
    """The events since then by type, straight from the table."""
    with connection.cursor() as cursor:
        cursor.execute("select type, count(*) from event where received_at >= %s group by 1", [start])
        return dict(cursor.fetchall())


# ---------------------------------------------------------------- what is drawn


def make_chart(*columns: Column, parts: int = 2, usual: float | None = None) -> Columns:
    names = [("sent", 1), ("kept", 2), ("refused", 3)][:parts]
    return Columns("A sentence.", "A <label>", "Run", names, columns, usual=usual)


def heights(drawing: str, look: str) -> list[float]:
    """How tall the parts of a look are, in the drawing for wide screens."""
    wide = drawing[: drawing.index("</svg>")]
    found = re.findall(rf'<line class="{look}"[^>]* y1="([\d.]+)" y2="([\d.]+)"', wide)
    return [float(low) - float(high) for low, high in found]


def test_parts_stand_on_each_other_and_are_as_tall_as_their_numbers() -> None:
    drawing = make_chart(Column("One", "1", [30, 10]), Column("Two", "2", [60, 0])).drawings
    [first, second], [kept] = heights(drawing, "c1"), heights(drawing, "c2")
    assert second == pytest.approx(2 * first, abs=0.2)
    assert first == pytest.approx(3 * kept, abs=0.2)


def test_what_is_little_is_still_seen() -> None:
    drawing = make_chart(Column("One", "1", [100_000, 1])).drawings
    assert heights(drawing, "c2") == [pytest.approx(1.5, abs=0.1)]


def test_a_chart_is_drawn_for_wide_and_for_narrow_screens_and_its_words_are_escaped() -> None:
    drawing = make_chart(Column("<b>", "<i>", [1, 1])).drawings
    assert drawing.count("<svg ") == 2
    assert f'viewBox="0 0 {NARROW.width} {NARROW.height}"' in drawing
    assert "<b>" not in drawing
    assert "<i>" not in drawing
    assert 'aria-label="A &lt;label&gt;"' in drawing


def test_few_labels_stand_under_many_columns_and_the_last_has_one() -> None:
    drawing = make_chart(*(Column(str(day), f"day {day}", [1, 1]) for day in range(30))).drawings
    assert re.findall(r">day (\d+)<", drawing[drawing.index("narrow-only") :]) == ["5", "13", "21", "29"]


def test_the_table_has_every_number_and_the_sum_the_latest_first() -> None:
    chart = make_chart(Column("One", "1", [30, 10]), Column("Two", "2", [1200, 0]))
    assert chart.rows == [("Two", ["1,200", "0", "1,200"]), ("One", ["30", "10", "40"])]
    assert make_chart(Column("One", "1", [30]), parts=1).rows == [("One", ["30"])]


def test_the_usual_is_a_line_with_its_value() -> None:
    drawing = make_chart(Column("One", "1", [3, 0]), usual=2).drawings
    assert drawing.count('class="usual"') == 2
    assert drawing.count('class="label"') == 2


# ---------------------------------------------------------------- events by type


@pytest.fixture
def day_of_events(db: None) -> Iterator[None]:
    """Eight types over three days, the newest minutes old."""
    ages = {f"type_{place}": [hours * (place + 1) for hours in range(9 - place)] for place in range(8)}
    add_events([(kind, NOW - timedelta(hours=hours, minutes=5)) for kind, all_ in ages.items() for hours in all_])
    yield
    EventTally.objects.all().delete()


@pytest.mark.parametrize("by_day", [False, True])
@pytest.mark.parametrize("is_tallied", [False, True])
def test_the_numbers_are_those_of_the_database(day_of_events: None, by_day: bool, is_tallied: bool) -> None:
    if is_tallied:
        assert tallies.add_up(NOW) > 0
    chart = over_time.chart(NOW, by_day=by_day)
    start = datetime(2026, 2, 9, tzinfo=UTC) if by_day else datetime(2026, 3, 9, 15, tzinfo=UTC)
    wanted = count_by_sql(start)
    shown = {name: sum(column.values[place] for column in chart.columns) for place, (name, _) in enumerate(chart.parts)}
    others = shown.pop("other types")
    assert len(shown) == over_time.MOST_TYPES
    assert shown == {name: wanted[name] for name in shown}
    assert sum(shown.values()) + others == sum(wanted.values())
    assert len(chart.columns) == (30 if by_day else 24)


def test_an_hour_is_tallied_once_it_is_over_and_never_twice(day_of_events: None) -> None:
    tallies.add_up(NOW)
    last = EventTally.objects.order_by("-hour").values_list("hour", flat=True)[0]
    assert last <= NOW - timedelta(hours=2)
    before = list(EventTally.objects.order_by("hour", "type").values_list("hour", "type", "events"))
    assert tallies.add_up(NOW) == 0
    assert list(EventTally.objects.order_by("hour", "type").values_list("hour", "type", "events")) == before


def test_an_hour_of_which_something_waits_is_not_tallied(day_of_events: None) -> None:
    waits_since = NOW - timedelta(hours=5)
    Inbox.objects.create(
        id=uuid7.make_many(waits_since, 1)[0],
        message_id="1",
        type="type_0",
        occurred_at=NOW,
        received_at=NOW,
        source_kind="api_key",
        source_id=1,
        payload={},
    )
    tallies.add_up(NOW)
    assert EventTally.objects.filter(hour__gte=tallies.floor(waits_since)).count() == 0
    assert EventTally.objects.count() > 0


def test_tallies_older_than_a_chart_are_forgotten(db: None) -> None:
    add_events([("old", NOW - timedelta(days=20))])
    tallies.add_up(NOW)
    assert EventTally.objects.count() == 1
    tallies.add_up(NOW + timedelta(days=20))
    assert EventTally.objects.count() == 0


def test_the_migration_tallies_what_came_before_as_the_sweep_would(db: None) -> None:
    now = timezone.now()
    add_events([(f"type_{hours % 3}", now - timedelta(hours=hours, minutes=7)) for hours in range(120)])
    migration = importlib.import_module("events.migrations.0008_event_tallies").Migration
    with connection.cursor() as cursor:
        cursor.execute(migration.operations[1].sql)
    rows = EventTally.objects.filter(hour__lte=now - timedelta(days=1)).order_by("hour", "type")
    by_migration = list(rows.values_list("hour", "type", "events"))
    EventTally.objects.all().delete()
    tallies.add_up(now)
    assert len(by_migration) > 90
    assert by_migration == list(rows.values_list("hour", "type", "events"))


def test_hours_that_were_tallied_are_not_looked_at_again(day_of_events: None) -> None:
    tallies.add_up(NOW)
    with connection.cursor() as cursor:
        cursor.execute("delete from event where received_at < %s", [NOW - timedelta(hours=4)])
    chart = over_time.chart(NOW, by_day=True)
    assert sum(column.total for column in chart.columns) > sum(count_by_sql(NOW - timedelta(days=30)).values())


def test_events_that_never_came_are_told(viewer: Client) -> None:
    page = viewer.get("/events/").content.decode()
    assert "No event came in the last 24 hours." in page
    assert "<figure" in page
    assert "Show the numbers" not in page


def test_the_page_of_events_shows_a_day_or_a_month(viewer: Client, shop: Shop) -> None:
    of_day, of_month = read_rows(viewer, "/events/"), read_rows(viewer, "/events/?over=30-days")
    assert len(of_day) == 1 + 24
    assert len(of_month) == 1 + 30
    start = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=29)
    assert sum(int(row[-1]) for row in of_month[1:]) == sum(count_by_sql(start).values())
    assert of_month[0][1] == "Purchases"


# ---------------------------------------------------------------- runs and properties


def test_a_schedule_shows_how_long_its_runs_took(viewer: Client, shop: Shop) -> None:
    schedule = shop.schedules["users"]
    head, *rows = read_rows(viewer, f"/schedules/{schedule.pk}/")
    with connection.cursor() as cursor:
        cursor.execute(
            "select extract(epoch from finished_at - started_at) from run where schedule_id = %s order by id desc"
            " limit 30",
            [schedule.pk],
        )
        wanted = [f"{round(row[0])} s" for row in cursor.fetchall()]
    assert head == ["Run", "Complete"]
    assert [row[1] for row in rows] == wanted
    assert (
        "It usually takes 5\u00a0s; the last run took 6\u00a0s."
        in viewer.get(f"/schedules/{schedule.pk}/").content.decode()
    )


def test_an_export_shows_what_became_of_its_people(viewer: Client, shop: Shop) -> None:
    schedule = shop.schedules["export"]
    rows = read_rows(viewer, f"/schedules/{schedule.pk}/")
    place = rows.index(["Run", "Sent", "Unchanged", "Rejected", "Together"])
    with connection.cursor() as cursor:
        cursor.execute(
            "select (counters->>'sent')::int, (counters->>'unchanged')::int, (counters->>'rejected')::int from run"
            " where schedule_id = %s and finished_at is not null order by id desc",
            [schedule.pk],
        )
        wanted = [[f"{each:,}" for each in (*row, sum(row))] for row in cursor.fetchall()]
    assert len(wanted) == 12
    assert [row[1:] for row in rows[place + 1 :]] == wanted


def test_a_schedule_that_never_ran_has_no_chart(viewer: Client, shop: Shop) -> None:
    assert "<figure" not in viewer.get(f"/schedules/{shop.schedules['carts'].pk}/").content.decode()


def test_coverage_is_shown_over_all_properties_and_for_one(viewer: Client, shop: Shop) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select round(100.0 * count(*) filter (where properties ? 'last_purchase_at') / count(*), 1) from profile"
        )
        share = f"{cursor.fetchone()[0]} %"
    rows = {row[0]: row[1:] for row in read_rows(viewer, "/properties/")}
    assert rows["Last purchase"] == [share, "0.0 %"]
    assert rows["Phone"] == ["0.0 %", "1.7 %"]
    assert read_rows(viewer, f"/properties/{shop.rules['last_purchase_at'].pk}/")[1:] == [
        ["Last purchase", share, "0.0 %"]
    ]


def test_coverage_says_nothing_while_there_is_nobody(viewer: Client) -> None:
    assert "How much is known" not in viewer.get("/properties/").content.decode()
