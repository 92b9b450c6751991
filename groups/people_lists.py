"""Lists of people from outside and to outside: values out of a CSV, and the members of a group as a CSV. Reads only."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from core.lib.errors import InvalidInput
from core.ui.csv_lines import make_line
from groups.models import Group
from groups.queries import list_members
from plugins.csv.destination import write_cell
from plugins.csv.formats import decode_western
from profiles.finding import MOST_LINES
from profiles.models import Profile, ProfilePropertyRule

_PAGE = 2_000
_DELIMITERS = ",;\t|"


def values_of_csv(raw: bytes, rules: Sequence[ProfilePropertyRule]) -> list[str]:
    """The values that name people: the column whose heading is a unique property or guid, or else the first column.

    UTF-8 or Latin-1; comma, semicolon, tab or bar. Raises InvalidInput for what is no such list.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = decode_western(raw)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InvalidInput(
            gettext("This file cannot be read as a CSV: %(error)s.") % {"error": error}, {"file": str(error)}
        ) from error
    if len(rows) > MOST_LINES + 1:
        raise InvalidInput(
            gettext("At most %(most_lines)s lines at once, please.") % {"most_lines": f"{MOST_LINES:,}"},
            {"file": gettext("It has too many lines.")},
        )
    headings = {name.lower() for rule in rules if rule.is_unique for name in (rule.key, rule.label) if name} | {"guid"}
    column = next((at for at, name in enumerate(rows[0]) if name.strip().lower() in headings), None) if rows else None
    named = rows if column is None else rows[1:]
    return [row[column or 0] for row in named if len(row) > (column or 0)]


def stream_members(group: Group, rules: Sequence[ProfilePropertyRule]) -> Iterator[str]:
    """The lines of a CSV of the members with these properties; some thousand people are in memory at a time.

    Cells that a spreadsheet takes for formulas are made harmless.
    """
    yield make_line(["guid", "joined_at", *(rule.key for rule in rules)])
    after: UUID | None = None
    while page := list_members(group.pk, after=after, limit=_PAGE):
        after = page[-1][0]
        known = Profile.objects.in_bulk([guid for guid, _ in page])
        for guid, joined in page:
            values: Mapping[str, Any] = known[guid].properties if guid in known else {}
            cells = [write_cell(values.get(rule.key), is_phone=rule.type == "phone_number") for rule in rules]
            yield make_line([str(guid), joined.isoformat(), *cells])
