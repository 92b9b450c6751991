"""Drafts from the builder's form and from saved trees, and what there is to choose.

A field's name ends in the place of its rule: `operator-0-1` belongs to the second rule of the first block,
`key-0-1-where-0` to the first condition on its event. `parts-0` lists what a block holds, such as "rule,block,rule"
(`parts` alone: the outermost block).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext

from groups.builder.draft import BLOCK, WHERE, Block, Draft, Place, Row
from groups.moving_time import UNITS
from groups.operators import Argument
from groups.reading import FIELDS, MATCHES, MAX_CONDITIONS, MAX_DEPTH, MAX_LEAVES, PAYLOAD_TYPES, kind_of
from profiles.ruleset import Rule

_SPECIAL = {"group:": "group", "event:": "event"}  # what the first field says beside properties and fields


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
    form = _Form(given, by_key, groups)
    return Draft(_read_block(form, ()), _read_conditions(form, ()))


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
    return replace(row, where=_read_conditions(form, place)) if kind == "event" else row


def _read_conditions(form: _Form, place: Place) -> tuple[Row, ...]:
    count = form.text("conditions", place)
    asked = min(int(count[:4]), MAX_CONDITIONS) if count.isdecimal() else 0
    return tuple(_read_condition(form, (*place, WHERE, str(at))) for at in range(asked))


def _read_condition(form: _Form, place: Place) -> Row:
    type_name = PAYLOAD_TYPES.get(form.text("type", place), "string")
    return _filled(Row(place, kind="payload", key=form.text("key", place), type=type_name), form)


def _filled(row: Row, form: _Form) -> Row:
    place = row.place
    return settled(
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


def settled(row: Row) -> Row:
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


def draft_of(
    rules: Mapping[str, Any] | None,
    *,
    where: Sequence[Mapping[str, Any]] = (),
    by_key: Mapping[str, Rule],
    groups: Mapping[int, str],
) -> Draft:
    """A saved tree, and saved conditions on an event itself, as the form shows them. None: a rule to fill in."""
    root = _block_of(rules, (), by_key, groups) if rules else empty_draft().root
    return Draft(root, tuple(_condition_of(each, (WHERE, str(at))) for at, each in enumerate(where)))


def _block_of(node: Mapping[str, Any], place: Place, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Block:
    parts = tuple(
        _block_of(part, (*place, str(at)), by_key, groups)
        if "rules" in part
        else _row_of(part, (*place, str(at)), by_key, groups)
        for at, part in enumerate(node["rules"])
    )
    return Block(place, str(node["match"]), parts)


def _row_of(leaf: Mapping[str, Any], place: Place, by_key: Mapping[str, Rule], groups: Mapping[int, str]) -> Row:
    kind = kind_of(leaf)
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


# ---------------------------------------------------------------- what there is to choose


def subjects(rules: Iterable[Rule], *, with_events: bool = True) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a rule can ask about: (heading, [(value of the first field, label)])."""
    about = sorted(((rule.key, rule.label or rule.key) for rule in rules), key=lambda pair: pair[1].lower())
    fields = [(f"profile:{key}", gettext(label)) for key, (label, _) in FIELDS.items()]
    others = (
        [("group:", gettext("Another group")), ("event:", gettext("Something they did"))]
        if with_events
        else [("group:", gettext("A group"))]
    )
    return [(gettext("What is known of them"), about), (gettext("Their profile"), fields), (gettext("More"), others)]


def units() -> Sequence[str]:
    """Units of time, for relative dates."""
    return UNITS
