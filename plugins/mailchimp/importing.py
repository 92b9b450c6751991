"""Reading the members of an audience in the order of their last change, those who left and bounced among them.

A row is a member; rows come in the order of (last_changed, email_address), archived members in their place. Mailchimp
sorts by the time alone, which it knows in whole seconds, and finds pages by counting. So

- a page is only trusted up to the second before its last, and the next one begins at that last second;
- where one second holds more members than a page, all of them are read at once, and once more when the total says that
  somebody has changed meanwhile and moved the others;
- whether "since" takes in the second itself is not told, so every question begins a second earlier and what is too much
  is left out.

Whoever changes while a run reads comes again at the end; the schedule's lookback brings what a second got after it had
been read. Members without an address, whom Mailchimp knows by telephone alone, are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from plugins.base import ImportsRecords
from plugins.contracts import Halt, Mark, Page, RecordSource, Retry
from plugins.mailchimp.app import MailchimpApp
from plugins.mailchimp.calling import THREADS, check_list_id
from plugins.mailchimp.changes import KEY_FIELD
from plugins.mailchimp.members import CHANGED_COLUMN, MEMBER_FIELDS, columns_of, read_time, row_of
from plugins.mailchimp.reading import KINDS, PAGE, MemberPage, read_page, with_all_tags

_SECOND = timedelta(seconds=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_READINGS = 5  # of a crowded second that does not stand still
_AHEAD_SECONDS = 30.0  # members read ahead are not handed out when they are older than this


class Place(NamedTuple):
    """Where a member stands in the order of reading."""

    changed: datetime
    email: str


class _Member(NamedTuple):
    place: Place
    found: Mapping[str, Any]


@dataclass(slots=True)
class _Reading:
    """Members that are on their way from `mark` on."""

    list_id: str
    mark: Mark
    members: Iterator[_Member]
    waiting: list[_Member] = field(default_factory=list)  # read to see whether there is more
    began: float = field(default_factory=time.monotonic)


class MailchimpImports(MailchimpApp, ImportsRecords):
    """The importing part of the plugin."""

    _reading: _Reading | None = None

    def read_page(self, source: RecordSource, *, after: Mark | None, limit: int) -> Page:
        list_id = _list_of(source)
        merge_fields = self.merge_fields(list_id)
        reading, self._reading = self._reading, None
        if not _goes_on(reading, list_id, after):
            reading = _Reading(list_id, after or Mark(), self._members(list_id, _place_of(after)))
        assert reading is not None  # noqa: S101  `_goes_on` looked
        found = [*reading.waiting, *islice(reading.members, limit + 1 - len(reading.waiting))]
        handed, reading.waiting = found[:limit], found[limit:]
        if handed:
            reading.mark = _mark_at(handed[-1].place)
        if reading.waiting:
            self._reading = reading
        rows = [row_of(with_all_tags(self, list_id, each.found), merge_fields) for each in handed]
        self.line.rest()
        return Page(
            columns=tuple(column.name for column in columns_of(merge_fields)),
            rows=[tuple(row.values()) for row in rows],
            mark=reading.mark,
            more=bool(reading.waiting),
            changed=[each.place.changed for each in handed] if source.changed_column else (),
        )

    def count(self, source: RecordSource, *, after: Mark | None) -> int | None:
        """Exact where fewer than a thousand members changed in the second of the mark."""
        list_id, start = _list_of(source), _place_of(after)
        total = 0
        for kind in KINDS:
            page = self._read(list_id, kind, since=start.changed, fields=(KEY_FIELD, CHANGED_COLUMN))
            total += page.total - sum(not _is_behind(member, start) for member in _placed(page))
        return total

    def rewind(self, mark: Mark, *, lookback: float) -> Mark:
        if mark.changed is None:
            return mark
        return Mark(changed=_write(_place_of(mark).changed - timedelta(seconds=lookback)))

    # ------------------------------------------------------------ in order

    def _members(self, list_id: str, start: Place) -> Iterator[_Member]:
        kinds = (self._members_of_kind(list_id, kind, start) for kind in KINDS)
        return merge(*kinds, key=lambda member: member.place)

    def _members_of_kind(self, list_id: str, kind: Mapping[str, str], start: Place) -> Iterator[_Member]:
        since = start.changed
        while True:
            page = self._read(list_id, kind, since=since)
            members = _placed(page)
            if page.total <= len(page.members):
                yield from (member for member in members if _is_behind(member, max(start, Place(since, ""))))
                return
            last = members[-1].place.changed if members else since
            if last > since:
                whole = [member for member in members if since <= member.place.changed < last]
                since = last
            else:
                whole = self._read_second(list_id, kind, since)
                since += _SECOND
            yield from (member for member in whole if _is_behind(member, start))

    def _read_second(self, list_id: str, kind: Mapping[str, str], second: datetime) -> list[_Member]:
        """All members that changed in one second, of which there are more than a page holds."""

        def read(offset: int) -> MemberPage:
            return self._read(list_id, kind, since=second, before=second + _SECOND, offset=offset)

        for _ in range(_READINGS):
            pages = [read(0)]
            with ThreadPoolExecutor(THREADS) as pool:
                pages += pool.map(read, range(PAGE, pages[0].total, PAGE))
            ids = {str(member["id"]) for page in pages for member in page.members}
            if {page.total for page in pages} == {len(ids)}:
                found = {member.place: member for page in pages for member in _placed(page)}
                return [found[place] for place in sorted(found) if place.changed == second]
        raise Retry("Too many members of the audience change just now to read them in order.", after=30)

    def _read(
        self,
        list_id: str,
        kind: Mapping[str, str],
        *,
        since: datetime,
        before: datetime | None = None,
        offset: int = 0,
        fields: Sequence[str] = MEMBER_FIELDS,
    ) -> MemberPage:
        asked: dict[str, Any] = {**kind, "sort_field": CHANGED_COLUMN, "sort_dir": "ASC", "offset": offset}
        if since > _BEGINNING:
            asked["since_last_changed"] = _write(since - _SECOND)
        if before is not None:
            asked["before_last_changed"] = _write(before)
        return read_page(self, list_id, asked, fields=fields)


# ---------------------------------------------------------------- sources and marks


def _list_of(source: RecordSource) -> str:
    if not source.table:
        raise Halt("The schedule names no audience to read.")
    if source.changed_column not in ("", CHANGED_COLUMN):
        raise Halt(f"Mailchimp tells what changed by {CHANGED_COLUMN} alone: choose it as the changed column, or none.")
    if source.id_column not in ("", KEY_FIELD):
        raise Halt(f"Mailchimp knows a member by the address: choose {KEY_FIELD} as the id column.")
    return check_list_id(source.table)


def _goes_on(reading: _Reading | None, list_id: str, after: Mark | None) -> bool:
    if reading is None or (reading.list_id, reading.mark) != (list_id, after):
        return False
    return time.monotonic() - reading.began < _AHEAD_SECONDS


def _placed(page: MemberPage) -> list[_Member]:
    """The members of a page that have an address, in order."""
    members = [
        _Member(Place(read_time(str(found.get(CHANGED_COLUMN) or "")) or _BEGINNING, found[KEY_FIELD].lower()), found)
        for found in page.members
        if found.get(KEY_FIELD)
    ]
    return sorted(members, key=lambda member: member.place)


def _is_behind(member: _Member, place: Place) -> bool:
    """Whether a member comes behind a place; a place without an address stands before all of its second."""
    return member.place > place


def _place_of(mark: Mark | None) -> Place:
    if mark is None or mark.changed is None:
        return Place(_BEGINNING, "")
    found = read_time(mark.changed)
    if found is None:
        raise Halt(f"“{mark.changed}” is no time from which the audience could be read on.")
    return Place(found, mark.id or "")


def _mark_at(place: Place) -> Mark:
    return Mark(changed=_write(place.changed), id=place.email)


def _write(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
