"""The builder's draft: what a person picked for each rule, as frozen objects, and the JSON that it means.

Which fields a rule shows follows from what it asks about and from its operator, by the table of operators alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from groups.operators import Argument, Operator, for_field, for_property
from groups.reading import COUNTS, MAX_CONDITIONS, MAX_DEPTH, PAYLOAD_TYPES
from profiles.types import Rejected, parse_float, parse_integer

RULE, BLOCK, WHERE = "rule", "block", "where"
EVENT_WORDS = {
    "did": gettext_lazy("happened"),
    "did_not": gettext_lazy("did not happen"),
    "at_least": gettext_lazy("at least"),
    "at_most": gettext_lazy("at most"),
    "exactly": gettext_lazy("exactly"),
}
GROUP_WORDS = {"in": gettext_lazy("is in"), "not_in": gettext_lazy("is not in")}
_NUMBERS = ("integer", "float")

Place = tuple[str, ...]  # ("0", "1"), ("0", "1", "where", "0")


@dataclass(frozen=True, slots=True)
class Row:
    """One rule, or one condition on an event, as the form holds it. `wrong` says what to mend."""

    place: Place
    kind: str = ""  # property, profile, group, event; payload for a condition; "" before anything is picked
    key: str = ""  # the property's, the field's or the payload's key; an event's type; a group's id
    type: str = ""  # of the value; "" where there is none
    is_array: bool = False
    is_known: bool = True  # the property or group exists
    operator: str = ""
    value: str = ""
    last: str = ""  # the second value of a range
    amount: str = ""
    unit: str = "days"
    leaves_out: bool = False
    minds_case: bool = False
    asks_all: bool = False
    window: str = "ever"  # of an event: ever, past
    where: tuple[Row, ...] = ()
    wrong: str = ""

    @property
    def id(self) -> str:
        """What the names of its fields end in."""
        return "-".join(self.place)

    @property
    def name(self) -> str:
        """What a screen reader calls it: rule 1.2; condition 1 of rule 1.2."""
        if WHERE in self.place:
            at = self.place.index(WHERE)
            name = gettext("condition %(number)s") % {"number": int(self.place[at + 1]) + 1}
            rule = gettext("rule %(number)s") % {"number": _number(self.place[:at])}
            return gettext("%(condition)s of %(rule)s") % {"condition": name, "rule": rule} if at else name
        return gettext("rule %(number)s") % {"number": _number(self.place)}

    @property
    def subject(self) -> str:
        """The value of its first field."""
        if self.kind == "property":
            return self.key
        return f"profile:{self.key}" if self.kind == "profile" else f"{self.kind}:" if self.kind else ""

    @property
    def operators(self) -> list[tuple[str, str]]:
        """The (key, label) pairs to choose from."""
        if self.kind in ("group", "event"):
            words = GROUP_WORDS if self.kind == "group" else EVENT_WORDS
            return [(key, str(word)) for key, word in words.items()]
        return [(each.key, gettext(each.label)) for each in self._suiting()]

    @property
    def chosen(self) -> Operator | None:
        """The operator of a value, when it can be asked this."""
        return next((each for each in self._suiting() if each.key == self.operator), None)

    @property
    def argument(self) -> str:
        """Which fields of a value it takes: none, text, value, values, range or span."""
        return str(self.chosen.argument) if self.chosen is not None else str(Argument.NONE)

    @property
    def takes_count(self) -> bool:
        """Whether an event is counted against a number."""
        return self.kind == "event" and self.operator in COUNTS

    @property
    def input_type(self) -> str:
        """The kind of field for one value."""
        is_day = self.type == "date" and not any(":" in value for value in (self.value, self.last))
        return "date" if is_day and self.argument in (Argument.VALUE, Argument.RANGE) else "text"

    @property
    def input_mode(self) -> str:
        """Which keyboard a phone shows."""
        return "decimal" if self.type in _NUMBERS and self.argument != Argument.TEXT else "text"

    @property
    def is_negative(self) -> bool:
        """Whether it takes people without a value unless they are left out."""
        return self.kind in ("property", "payload") and self.chosen is not None and self.chosen.is_negative

    @property
    def folds_case(self) -> bool:
        """Whether it compares text, in which capitals may matter."""
        return self.kind in ("property", "payload") and self.chosen is not None and self.chosen.folds_case

    @property
    def asks_items(self) -> bool:
        """Whether it may ask it of every item of an array."""
        return self.is_array and self.chosen is not None and self.chosen.asks_items

    @property
    def payload_type(self) -> str:
        """How a condition compares: text, number, boolean."""
        return next((name for name, type_name in PAYLOAD_TYPES.items() if type_name == self.type), "text")

    @property
    def can_ask_more(self) -> bool:
        """Whether an event may have a further condition."""
        return len(self.where) < MAX_CONDITIONS

    def _suiting(self) -> list[Operator]:
        if not self.type or self.kind in ("group", "event"):
            return []
        fitting = for_field(self.type) if self.kind == "profile" else for_property(self.type, is_array=self.is_array)
        return list(fitting)


@dataclass(frozen=True, slots=True)
class Block:
    """Rules and further blocks of which all, any or none have to match."""

    place: Place
    match: str
    parts: tuple[Row | Block, ...]
    wrong: str = ""

    @property
    def id(self) -> str:
        """What the names of its fields end in."""
        return "-".join(self.place)

    @property
    def suffix(self) -> str:
        """The end of its fields' names, with the hyphen."""
        return f"-{self.id}" if self.place else ""

    @property
    def name(self) -> str:
        """What a screen reader calls it."""
        return gettext("block %(number)s") % {"number": _number(self.place)} if self.place else gettext("the group")

    @property
    def listed(self) -> str:
        """What it holds, for `parts`."""
        return ",".join(RULE if isinstance(part, Row) else BLOCK for part in self.parts)

    @property
    def is_block(self) -> bool:
        """Blocks and rows stand side by side in a template."""
        return True

    @property
    def can_nest(self) -> bool:
        """Whether it may hold a further block."""
        return len(self.place) + 1 < MAX_DEPTH

    def rows(self) -> Iterator[Row]:
        """Every rule below, in order."""
        for part in self.parts:
            if isinstance(part, Row):
                yield part
            else:
                yield from part.rows()


@dataclass(frozen=True, slots=True)
class Draft:
    """The rules as the form holds them. `focus` is the id of what was added or what stands where something was.

    `where` are conditions on an event itself, for forms that ask them beside the rules about people.
    """

    root: Block
    where: tuple[Row, ...] = ()
    problems: tuple[str, ...] = ()  # those of no single rule
    focus: str = ""

    @property
    def rows(self) -> list[Row]:
        """Every rule, in order."""
        return list(self.root.rows())

    @property
    def is_empty(self) -> bool:
        """Whether nobody has picked anything yet."""
        return not any(row.kind for row in self.root.rows())

    @property
    def wrong(self) -> list[Row | Block]:
        """Everything that needs mending, in order."""
        return [*(row for row in self.where if row.wrong), *_wrong(self.root)]

    @property
    def can_ask_more(self) -> bool:
        """Whether the event may have a further condition."""
        return len(self.where) < MAX_CONDITIONS

    @property
    def problem_count(self) -> int:
        """How many things need mending."""
        return len(self.problems) + len(self.wrong)

    def with_problems(self, fields: Mapping[str, str]) -> Draft:
        """The same with what is wrong beside its rule. `fields` are named as in `groups/reading.py`."""
        messages = {_place_of(name): message for name, message in reversed(list(fields.items()))}
        whole = messages.pop((), "")
        where = tuple(replace(row, wrong=messages.get(row.place, "")) for row in self.where)
        return replace(self, root=_marked(self.root, messages), where=where, problems=(whole,) if whole else ())

    def tree(self) -> dict[str, Any]:
        """The JSON of the rules, as it was filled in: reading it finds what is wrong."""
        return _write_block(self.root)

    def conditions(self) -> list[dict[str, Any]]:
        """The JSON of the conditions on the event itself, as they were filled in."""
        return [_write_row(row) for row in self.where]


def _number(place: Place) -> str:
    return ".".join(str(int(each) + 1) for each in place)


# ---------------------------------------------------------------- what is wrong


def _place_of(field: str) -> Place:
    """ "rules.0.1.where.0.value" -> ("0", "1", "where", "0")."""
    place: list[str] = []
    for part in field.split(".")[1:]:
        if not (part.isdecimal() or part == WHERE):
            break
        place.append(part)
    return tuple(place[:-1] if place and place[-1] == WHERE else place)


def _marked(block: Block, messages: Mapping[Place, str]) -> Block:
    parts: list[Row | Block] = []
    for part in block.parts:
        if isinstance(part, Block):
            parts.append(replace(_marked(part, messages), wrong=messages.get(part.place, "")))
        else:
            where = tuple(replace(each, wrong=messages.get(each.place, "")) for each in part.where)
            parts.append(replace(part, wrong=messages.get(part.place, ""), where=where))
    return replace(block, parts=tuple(parts))


def _wrong(part: Row | Block) -> Iterator[Row | Block]:
    if part.wrong:
        yield part
    for below in part.parts if isinstance(part, Block) else part.where:
        yield from _wrong(below)


# ---------------------------------------------------------------- to a tree


def _write_block(block: Block) -> dict[str, Any]:
    parts = [_write_block(part) if isinstance(part, Block) else _write_row(part) for part in block.parts]
    return {"match": block.match, "rules": parts}


def _write_row(row: Row) -> dict[str, Any]:
    if row.kind == "group":
        return {"group": int(row.key) if row.key.isdecimal() else None, "operator": row.operator}
    if row.kind == "event":
        return _write_event(row)
    if row.kind == "payload":
        return {"key": row.key, "type": row.payload_type, **_write_asked(row)}
    return {"profile" if row.kind == "profile" else "property": row.key, **_write_asked(row)}


def _write_event(row: Row) -> dict[str, Any]:
    leaf: dict[str, Any] = {"event": row.key.strip(), "operator": row.operator}
    if row.takes_count:
        leaf["value"] = _whole(row.value)
    if row.window == "past":
        leaf["within"] = {"amount": _whole(row.amount), "unit": row.unit}
    if row.where:
        leaf["where"] = [_write_row(each) for each in row.where]
    return leaf


def _write_asked(row: Row) -> dict[str, Any]:
    leaf: dict[str, Any] = {"operator": row.operator}
    match row.argument:
        case Argument.TEXT:
            leaf["value"] = row.value
        case Argument.VALUE:
            leaf["value"] = _read_value(row.value, row)
        case Argument.VALUES:
            leaf["value"] = [_read_value(line.strip(), row) for line in row.value.splitlines() if line.strip()]
        case Argument.RANGE:
            leaf["value"] = [_read_value(row.value, row), _read_value(row.last, row)]
        case Argument.SPAN:
            leaf["value"] = {"amount": _whole(row.amount), "unit": row.unit}
    if row.is_negative and row.leaves_out:
        leaf["include_null"] = False
    if row.folds_case and row.minds_case:
        leaf["case_sensitive"] = True
    if row.asks_items and row.asks_all:
        leaf["items"] = "all"
    return leaf


def _whole(text: str) -> int | str:
    return int(text) if text.strip().isdecimal() else text


def _read_value(text: str, row: Row) -> Any:
    """Numbers and booleans as such, so that saving what was loaded changes nothing; the rest as it was typed."""
    if row.type == "boolean":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if row.type not in _NUMBERS:
        return text
    for parse in (parse_integer, parse_float):
        try:
            number = parse(text)
        except Rejected:
            continue
        return text if number is None else number
    return text
