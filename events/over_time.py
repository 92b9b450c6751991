"""The chart of the page of events: how many of which type came, by hour of a day or by day of a month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import dateformat, timezone
from django.utils.translation import gettext, ngettext

from core.ui.columns import OTHERS, Column, Columns
from core.ui.wording import counted, number, short_day
from events import tallies
from events.tallies import HOUR, Tally

BY_DAY = "30-days"  # in the address; anything else is by hour
DAYS, HOURS = 30, 24
MOST_TYPES = 6


def chart(now: datetime, *, by_day: bool) -> Columns:
    """Events by type: of the last 24 hours, or of the last 30 days of the project's time zone."""
    buckets = _days(now) if by_day else _hours(now)
    span = gettext("%(count)s days") if by_day else gettext("%(count)s hours")
    span %= {"count": DAYS if by_day else HOURS}
    if by_day:
        label = gettext("Events by type and day, of the last %(span)s")
    else:
        label = gettext("Events by type and hour, of the last %(span)s")
    events = tallies.count_since(buckets[0], now)
    found = _put_into(events, by_day=by_day)
    totals = Counter({kind: sum(each[kind] for each in found.values()) for kind in {each.type for each in events}})
    named = [kind for kind, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:MOST_TYPES]]
    parts = [(kind or gettext("without a type"), place) for place, kind in enumerate(named, 1)]
    if len(totals) > MOST_TYPES:
        parts.append((gettext("other types"), OTHERS))
    columns = [_column(bucket, found.get(bucket, Counter()), named, len(parts), by_day=by_day) for bucket in buckets]
    sentence = _sentence(totals, span)
    return Columns(
        sentence,
        label % {"span": span},
        gettext("Day") if by_day else gettext("Hour"),
        parts,
        columns if totals else (),
    )


def _hours(now: datetime) -> list[datetime]:
    return [tallies.floor(now) - HOUR * back for back in range(HOURS - 1, -1, -1)]


def _days(now: datetime) -> list[datetime]:
    """Midnights, in the project's time zone."""
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]


def _put_into(counted: Sequence[Tally], *, by_day: bool) -> Mapping[datetime, Counter[str]]:
    """Counters by hour, or by midnight: an hour belongs to the day in which it begins."""
    found: dict[datetime, Counter[str]] = {}
    for each in counted:
        bucket = timezone.localtime(each.hour).replace(hour=0, minute=0) if by_day else each.hour
        found.setdefault(bucket, Counter())[each.type] += each.events
    return found


def _column(bucket: datetime, count: Counter[str], named: Sequence[str], parts: int, *, by_day: bool) -> Column:
    local = timezone.localtime(bucket)
    values = [count[kind] for kind in named]
    rest = [count.total() - sum(values)] if parts > len(named) else []
    name = f"{dateformat.format(local, 'l')}, {short_day(local)}" if by_day else f"{local:%H:%M}"
    return Column(name, short_day(local) if by_day else name, [*values, *rest])


def _sentence(totals: Counter[str], span: str) -> str:
    if not totals:
        return gettext("No event came in the last %(span)s.") % {"span": span}
    kind, most = totals.most_common(1)[0]
    all_events = totals.total()
    told = counted(ngettext("%(count)s event", "%(count)s events", all_events), all_events)
    if len(totals) > 1:
        text = gettext("%(events)s in the last %(span)s, of %(types)s types; %(most)s of them %(type)s.")
    elif kind:
        text = gettext("%(events)s in the last %(span)s, all of them %(type)s.")
    else:
        text = gettext("%(events)s in the last %(span)s.")
    known = {"events": told, "span": span, "types": len(totals), "most": number(most)}
    return text % {**known, "type": kind or gettext("without a type")}
