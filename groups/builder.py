"""The group builder's draft: what a person picked for each rule, read from a form and turned into a tree and back.

A field's name ends in the place of its rule: `operator-0-1` belongs to the second rule of the first block,
`key-0-1-where-0` to the first condition on its event. `parts-0` lists what a block holds, such as "rule,block,rule"
(`parts` alone: the outermost block). Which fields a rule shows follows from what it asks about and from its operator,
by the table of operators alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groups.moving_time import UNITS
from groups.operators import Argument, Operator, for_field, for_property
from groups.reading import COUNTS, FIELDS, MATCHES, MAX_CONDITIONS, MAX_DEPTH, MAX_LEAVES, PAYLOAD_TYPES
from groups.reading import kind_of as kind_of_leaf
from profiles.ruleset import Rule
from profiles.types import Rejected, parse_float, parse_integer

RULE, BLOCK = "rule", "block"
WHERE = "where"
_NUMBERS = ("integer", "float")
_SPECIAL = {"group:": "group", "event:": "event"}  # what the first field says beside properties and fields
_EVENT_WORDS = {
    "did": "happened",
    "did_not": "did not happen",
    "at_least": "at least",
    "at_most": "at most",
    "exactly": "exactly",
}
_GROUP_WORDS = {"in": "is in", "not_in": "is not in"}

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
            return f"condition {int(self.place[at + 1]) + 1} of {_numbered(self.place[:at])}"
        return _numbered(self.place)

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
            return list((_GROUP_WORDS if self.kind == "group" else _EVENT_WORDS).items())
        return [(each.key, each.label) for each in self._suiting()]

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
        return f"block {_numbered(self.place).removeprefix('rule ')}" if self.place else "the group"

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
    """The rules as the form holds them. `focus` is the id of what was added or what stands where something was."""

    root: Block
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
        return list(_wrong(self.root))

    @property
    def problem_count(self) -> int:
        """How many things need mending."""
        return len(self.problems) + len(self.wrong)

    def with_problems(self, fields: Mapping[str, str]) -> Draft:
        """The same with what is wrong beside its rule. `fields` are named as in `groups/reading.py`."""
        messages = {_place_of(name): message for name, message in reversed(list(fields.items()))}
        whole = messages.pop((), "")
        return replace(self, root=_marked(self.root, messages), problems=(whole,) if whole else ())

    def tree(self) -> dict[str, Any]:
        """The JSON of the rules, as it was filled in: reading it finds what is wrong."""
        return _write_block(self.root)


def _numbered(place: Place) -> str:
    return f"rule {'.'.join(str(int(each) + 1) for each in place)}"


# ---------------------------------------------------------------- changing the shape


def change(draft: Draft, do: str) -> Draft:
    """What a button does to a draft: add-0, nest-0, where-0-1, remove-0-1. Anything else changes nothing."""
    act, _, id_ = do.partition("-")
    place = tuple(id_.split("-")) if id_ else ()
    if act not in ("add", "nest", "where", "remove"):
        return draft
    if act in ("add", "nest") and len(draft.rows) >= MAX_LEAVES:
        return draft
    root, focus = _changed(draft.root, act, place)
    return Draft(_placed(root, ()), focus=focus)


def _changed(block: Block, act: str, place: Place) -> tuple[Block, str]:
    if place == block.place and act in ("add", "nest"):
        new = (*block.place, str(len(block.parts)))
        part: Row | Block = Row(new) if act == "add" else Block(new, "any", (Row((*new, "0")),))
        focus = part.id if isinstance(part, Row) else part.parts[0].id
        return replace(block, parts=(*block.parts, part)), focus
    parts: list[Row | Block] = []
    focus = ""
    for part in block.parts:
        if part.place == place and act == "remove":
            continue
        if part.place == place[: len(part.place)]:
            part, focus = _changed(part, act, place) if isinstance(part, Block) else _changed_row(part, act, place)
        parts.append(part)
    if not parts:  # an empty block goes, the outermost one keeps a rule to fill in
        parts = [Row((*block.place, "0"))]
    if act == "remove" and len(parts) < len(block.parts):  # what stands there now, or else the last one
        at = min(int(place[-1]), len(parts) - 1)
        focus = "-".join((*block.place, str(at)))
    return replace(block, parts=tuple(parts)), focus


def _changed_row(row: Row, act: str, place: Place) -> tuple[Row, str]:
    if act == "where" and place == row.place and row.can_ask_more:
        new = Row((*row.place, WHERE, str(len(row.where))), kind="payload", type="string")
        return replace(row, where=(*row.where, _settled(new))), new.id
    kept = [each for each in row.where if not (act == "remove" and each.place == place)]
    numbered = tuple(replace(each, place=(*row.place, WHERE, str(at))) for at, each in enumerate(kept))
    return replace(row, where=numbered), row.id


def _placed(block: Block, place: Place) -> Block:
    """The same, with everything numbered anew."""
    parts: list[Row | Block] = []
    for at, part in enumerate(block.parts):
        new = (*place, str(at))
        if isinstance(part, Block):
            parts.append(_placed(part, new))
        else:
            where = tuple(replace(each, place=(*new, WHERE, each.place[-1])) for each in part.where)
            parts.append(replace(part, place=new, where=where))
    return Block(place, block.match, tuple(parts))


# ---------------------------------------------------------------- what is wrong


def _place_of(field: str) -> Place:
    """ "rules.0.1.where.0.value" -> ("0", "1", "where", "0")."""
    place: list[str] = []
    for part in field.split(".")[1:]:
        if not (part.isdecimal() or (part == WHERE and place)):
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


# ---------------------------------------------------------------- from the form


@dataclass(slots=True)
class _Form:
    """What was sent, and how many rules were read of it."""

    given: Mapping[str, str]
    by_key: Mapping[str, Rule]
    groups: Mapping[int, str]
    rows: int = 0

    def text(self, name: str, place: Place) -> str:
        return self.given.get("-".join([name, *place]), "")


def empty_draft() -> Draft:
    """One rule to fill in."""
    return Draft(Block((), "all", (Row(("0",)),)))


def read_draft(given: Mapping[str, str], *, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Draft:
    """What the form sent. What came without an operator it can be asked gets the first it can."""
    return Draft(_read_block(_Form(given, by_key, groups), ()))


def _read_block(form: _Form, place: Place) -> Block:
    parts: list[Row | Block] = []
    for at, kind in enumerate(form.text("parts", place).split(",")[:MAX_LEAVES]):
        below = (*place, str(at))
        if kind == BLOCK and len(below) < MAX_DEPTH:
            parts.append(_read_block(form, below))
        elif form.rows < MAX_LEAVES:
            form.rows += 1
            parts.append(_read_row(form, below))
    match = form.text("match", place)
    return Block(place, match if match in MATCHES else "all", tuple(parts) or (Row((*place, "0")),))


def _read_row(form: _Form, place: Place) -> Row:
    subject = form.text("property", place)
    kind = _SPECIAL.get(subject) or ("profile" if subject.startswith("profile:") else "property" if subject else "")
    key = subject.removeprefix("profile:")
    if kind in ("group", "event"):
        key = form.text(kind, place)
    row = _known(Row(place, kind=kind, key=key), form.by_key, form.groups)
    row = _filled(row, form)
    count = form.text("conditions", place)
    asked = min(int(count), MAX_CONDITIONS) if kind == "event" and count.isdecimal() else 0
    return replace(row, where=tuple(_read_condition(form, (*place, WHERE, str(at))) for at in range(asked)))


def _read_condition(form: _Form, place: Place) -> Row:
    type_name = PAYLOAD_TYPES.get(form.text("type", place), "string")
    return _filled(Row(place, kind="payload", key=form.text("key", place), type=type_name), form)


def _filled(row: Row, form: _Form) -> Row:
    place = row.place
    return _settled(
        replace(
            row,
            operator=form.text("operator", place),
            value=form.text("value", place),
            last=form.text("last", place),
            amount=form.text("amount", place).strip(),
            unit=form.text("unit", place) or "days",
            leaves_out=bool(form.text("leave_out", place)),
            minds_case=bool(form.text("case", place)),
            asks_all=form.text("items", place) == "all",
            window="past" if form.text("window", place) == "past" else "ever",
        )
    )


def _settled(row: Row) -> Row:
    """With an operator that it can be asked."""
    known = [key for key, _ in row.operators]
    return row if row.operator in known or not known else replace(row, operator=known[0])


def _known(row: Row, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Row:
    """With what is known of the thing that it asks about."""
    if row.kind == "property":
        rule = by_key.get(row.key)
        if rule is None:
            return replace(row, is_known=False)
        return replace(row, type=rule.type, is_array=rule.is_array)
    if row.kind == "profile":
        return replace(row, type=FIELDS[row.key][1]) if row.key in FIELDS else replace(row, kind="", key="")
    if row.kind == "group":
        return replace(row, is_known=row.key.isdecimal() and int(row.key) in groups)
    return row


# ---------------------------------------------------------------- from a tree


def draft_of(rules: Mapping[str, Any], *, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Draft:
    """A saved tree as the form shows it."""
    return Draft(_block_of(rules, (), by_key, groups))


def _block_of(node: Mapping[str, Any], place: Place, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Block:
    parts = tuple(
        _block_of(part, (*place, str(at)), by_key, groups)
        if "rules" in part
        else _row_of(part, (*place, str(at)), by_key, groups)
        for at, part in enumerate(node["rules"])
    )
    return Block(place, str(node["match"]), parts)


def _row_of(leaf: Mapping[str, Any], place: Place, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Row:
    kind = kind_of_leaf(leaf)
    row = _known(Row(place, kind=kind, key=str(leaf.get(kind, ""))), by_key, groups)
    row = _with_argument(replace(row, operator=str(leaf.get("operator", ""))), leaf)
    within = leaf.get("within")
    if within is not None:
        row = replace(row, window="past", amount=str(within["amount"]), unit=within["unit"])
    return replace(
        row,
        where=tuple(_condition_of(each, (*place, WHERE, str(at))) for at, each in enumerate(leaf.get("where") or ())),
    )


def _condition_of(given: Mapping[str, Any], place: Place) -> Row:
    row = Row(place, kind="payload", key=given["key"], type=PAYLOAD_TYPES[given.get("type", "text")])
    return _with_argument(replace(row, operator=str(given.get("operator", ""))), given)


def _with_argument(row: Row, leaf: Mapping[str, Any]) -> Row:
    row = replace(
        row,
        leaves_out=leaf.get("include_null") is False,
        minds_case=leaf.get("case_sensitive") is True,
        asks_all=leaf.get("items") == "all",
    )
    value = leaf.get("value")
    if isinstance(value, Mapping):
        return replace(row, amount=str(value.get("amount", "")), unit=str(value.get("unit", "days")))
    if isinstance(value, list) and row.argument == Argument.RANGE and len(value) == 2:
        return replace(row, value=_text(value[0]), last=_text(value[1]))
    if isinstance(value, list):
        return replace(row, value="\n".join(map(_text, value)))
    return replace(row, value="" if value is None else _text(value))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


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


# ---------------------------------------------------------------- what there is to choose


def subjects(rules: Iterable[Rule]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a rule can ask about: (heading, [(value of the first field, label)])."""
    about = sorted(((rule.key, rule.label or rule.key) for rule in rules), key=lambda pair: pair[1].lower())
    fields = [(f"profile:{key}", label) for key, (label, _) in FIELDS.items()]
    others = [("group:", "Another group"), ("event:", "Something they did")]
    return [("What is known of them", about), ("Their profile", fields), ("More", others)]


def units() -> Sequence[str]:
    """Units of time, for relative dates."""
    return UNITS
