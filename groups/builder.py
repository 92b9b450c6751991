"""The rows of the group builder: what a person picked for each rule, read from a form and turned into a tree and back.

A row's fields are named `property-0`, `operator-0`, `value-0` and so on; `rows` says how many there are. Which fields a
row shows follows from its property and operator, by the table of operators alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from groups.moving_time import UNITS
from groups.operators import Argument, Operator, find, for_property
from groups.reading import MAX_LEAVES
from profiles.ruleset import Rule
from profiles.types import Rejected, parse_float, parse_integer

_NUMBERS = ("integer", "float")


@dataclass(frozen=True, slots=True)
class Row:
    """One rule as the form holds it; `last` is the second value of a range. `wrong` says what to mend."""

    place: int
    key: str = ""
    operator: str = ""
    value: str = ""
    last: str = ""
    amount: str = ""
    unit: str = "days"
    leaves_out: bool = False
    minds_case: bool = False
    rule: Rule | None = None
    wrong: str = ""

    @property
    def operators(self) -> list[tuple[str, str]]:
        """The (key, label) pairs to choose from."""
        if self.rule is None:
            return []
        return [(each.key, each.label) for each in for_property(self.rule.type, is_array=self.rule.is_array)]

    @property
    def chosen(self) -> Operator | None:
        """The operator, when the property can be asked it."""
        found = find(self.operator, self.rule.type) if self.rule is not None else None
        suits = found is not None and self.rule is not None and found.suits(self.rule.type, is_array=self.rule.is_array)
        return found if suits else None

    @property
    def argument(self) -> str:
        """Which fields it takes: none, text, values, range or span."""
        return str(self.chosen.argument) if self.chosen is not None else str(Argument.NONE)

    @property
    def input_type(self) -> str:
        """The kind of field for one value."""
        is_day = (
            self.rule is not None and self.rule.type == "date" and not any(":" in v for v in (self.value, self.last))
        )
        return "date" if is_day and self.argument in (Argument.VALUE, Argument.RANGE) else "text"

    @property
    def input_mode(self) -> str:
        """Which keyboard a phone shows."""
        is_number = self.rule is not None and self.rule.type in _NUMBERS and self.argument != Argument.TEXT
        return "decimal" if is_number else "text"

    @property
    def is_negative(self) -> bool:
        """Whether it takes people without a value unless they are left out."""
        return self.chosen is not None and self.chosen.is_negative

    @property
    def folds_case(self) -> bool:
        """Whether it compares text, in which capitals may matter."""
        return self.chosen is not None and self.chosen.folds_case

    @property
    def name(self) -> str:
        """What a screen reader calls the row."""
        return f"rule {self.place + 1}"


@dataclass(frozen=True, slots=True)
class Draft:
    """The rules as the form holds them."""

    match: str
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = field(default=())  # those of no single row

    @property
    def is_empty(self) -> bool:
        """Whether nobody has picked anything yet."""
        return not any(row.key for row in self.rows)

    @property
    def problem_count(self) -> int:
        """How many things need mending."""
        return len(self.problems) + sum(bool(row.wrong) for row in self.rows)

    def with_problems(self, fields: Mapping[str, str]) -> Draft:
        """The same with what is wrong beside its row. `fields` are named as in `groups/tree.py`."""
        by_place: dict[int, str] = {}
        others = []
        for name, message in fields.items():
            parts = name.split(".")
            if parts[0] == "rules" and len(parts) > 1 and parts[1].isdecimal():
                by_place.setdefault(int(parts[1]), message)
            else:
                others.append(message)
        rows = tuple(replace(row, wrong=by_place.get(row.place, "")) for row in self.rows)
        return Draft(self.match, rows, tuple(others))

    def added(self) -> Draft:
        """With one more row."""
        rows = (*self.rows, Row(len(self.rows))) if len(self.rows) < MAX_LEAVES else self.rows
        return Draft(self.match, rows)

    def without(self, place: int) -> Draft:
        """Without one row; there is always one left to fill in."""
        rows = [row for row in self.rows if row.place != place] or [Row(0)]
        return Draft(self.match, tuple(replace(row, place=index) for index, row in enumerate(rows)))

    def tree(self) -> dict[str, Any]:
        """The JSON of the rules, as it was filled in: reading it finds what is wrong."""
        return {"match": self.match, "rules": [_write(row) for row in self.rows]}


def empty_draft() -> Draft:
    """One row to fill in."""
    return Draft("all", (Row(0),))


def read_draft(given: Mapping[str, str], *, by_key: Mapping[str, Rule]) -> Draft:
    """What the form sent. A property that came without an operator it can be asked gets the first it can."""
    count = given.get("rows", "")
    rows = [_read(given, place, by_key) for place in range(min(int(count), MAX_LEAVES) if count.isdecimal() else 0)]
    match = given.get("match", "all")
    return Draft(match if match in ("all", "any") else "all", tuple(rows) or (Row(0),))


def draft_of(rules: Mapping[str, Any], *, by_key: Mapping[str, Rule]) -> Draft:
    """A saved tree as the form shows it."""
    leaves: Sequence[Mapping[str, Any]] = rules.get("rules", [])
    rows = tuple(_of_leaf(leaf, place, by_key) for place, leaf in enumerate(leaves))
    return Draft(str(rules.get("match", "all")), rows or (Row(0),))


def properties(rules: Iterable[Rule]) -> list[tuple[str, str]]:
    """The (key, label) pairs of what can be asked about, by name."""
    return sorted(((rule.key, rule.label or rule.key) for rule in rules), key=lambda pair: pair[1].lower())


def units() -> tuple[str, ...]:
    """Units of time, for relative dates."""
    return UNITS


def _read(given: Mapping[str, str], place: int, by_key: Mapping[str, Rule]) -> Row:
    def text(name: str) -> str:
        return given.get(f"{name}-{place}", "").strip()

    row = Row(
        place=place,
        key=text("property"),
        operator=text("operator"),
        value=text("value"),
        last=text("last"),
        amount=text("amount"),
        unit=text("unit") or "days",
        leaves_out=f"leave_out-{place}" in given,
        minds_case=f"case-{place}" in given,
        rule=by_key.get(text("property")),
    )
    if row.rule is not None and row.chosen is None:
        row = replace(row, operator=row.operators[0][0])
    return row


def _of_leaf(leaf: Mapping[str, Any], place: int, by_key: Mapping[str, Rule]) -> Row:
    row = Row(
        place=place,
        key=str(leaf.get("property", "")),
        operator=str(leaf.get("operator", "")),
        leaves_out=leaf.get("include_null") is False,
        minds_case=leaf.get("case_sensitive") is True,
        rule=by_key.get(str(leaf.get("property", ""))),
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


def _write(row: Row) -> dict[str, Any]:
    leaf: dict[str, Any] = {"property": row.key, "operator": row.operator}
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
            leaf["value"] = {"amount": int(row.amount) if row.amount.isdecimal() else row.amount, "unit": row.unit}
    if row.is_negative and row.leaves_out:
        leaf["include_null"] = False
    if row.folds_case and row.minds_case:
        leaf["case_sensitive"] = True
    return leaf


def _read_value(text: str, row: Row) -> Any:
    """Numbers as numbers, so that saving what was loaded changes nothing; the rest as it was typed."""
    if row.rule is None or row.rule.type not in _NUMBERS:
        return text
    for parse in (parse_integer, parse_float):
        try:
            number = parse(text)
        except Rejected:
            continue
        return text if number is None else number
    return text
