"""Rows of an import's page become inbound events. Pure, and the hot path of every import: a column at a time.

A row's event holds the whole row: mapped columns under the key of their property, the others under their own name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson

from core.lib.names import fold_name
from events.envelope import InboundEvent
from events.models import SourceKind
from plugins.contracts import Halt, Page

_PLAIN = frozenset({str, int, float, bool, type(None)})
_LARGEST = 2**63 - 1
_EXACT = 2.0**53  # up to here a float holds every integer
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What is the same for every row of a run.

    `mapping` gives the property key of a column. `carry` gives the columns that answer a column rule for the row's
    own profile. `by_change`: the source has a changed column, so a row that an earlier run took unchanged is known by
    its content; `version` counts the changes of the schedule after which it has to be taken again all the same.
    """

    run_id: int
    schedule_id: int
    version: int
    type: str
    mapping: Mapping[str, str]
    carry: Mapping[str, str]
    by_change: bool
    may_create: bool


@dataclass(frozen=True, slots=True)
class Built:
    """The events of a page in the order of its rows, and the columns in which characters had to be replaced."""

    events: list[InboundEvent]
    repaired: list[str]


def build_events(page: Page, plan: RowPlan, *, read_at: datetime, number: int) -> Built:
    """Make the events of one page. `number` is how many rows of the run came before it; `read_at` when it was asked.

    Raises Halt when a mapped column is not there. A page without columns is of a source in which nothing is new.
    """
    if not page.columns:
        return Built([], [])
    names, carried_from = _names(page.columns, plan), _carried_from(page.columns, plan)
    columns, repaired = _storable(page)
    saves = frozenset(plan.mapping.values())
    payloads = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    texts = [orjson.dumps(payload) for payload in payloads]
    if plan.by_change:
        prefix = f"{plan.schedule_id}.{plan.version}:"
        ids = [prefix + blake2b(text, digest_size=16).hexdigest() for text in texts]
    else:
        ids = [f"run {plan.run_id}:{index}" for index in range(number, number + len(texts))]
    times = [at or read_at for at in page.changed] if page.changed else [read_at] * len(texts)
    carried = _carried(page.rows, carried_from)
    return Built(
        [
            InboundEvent(
                message_id=message_id,
                type=plan.type,
                occurred_at=at,
                received_at=read_at,
                source_kind=SourceKind.RUN.value,
                source_id=plan.run_id,
                payload=payload,
                payload_text=text.decode(),
                saves=saves,
                may_create=plan.may_create,
                carried=answers,
                read_at=read_at,
            )
            for message_id, at, payload, text, answers in zip(ids, times, payloads, texts, carried, strict=True)
        ],
        repaired,
    )


def find_columns(columns: Sequence[str], wanted: Iterable[str]) -> dict[str, str]:
    """The column of a page for each wanted name: the same, or the same but for case, spaces and underscores.

    Raises Halt with the columns that are there when one is missing.
    """
    folded = {fold_name(column): column for column in reversed(columns)}
    found = {}
    for name in wanted:
        column = name if name in columns else folded.get(fold_name(name))
        if column is None:
            there = ", ".join(columns) or "none"
            raise Halt(f"The column “{name}” is not among those that were read ({there}): change the schedule.")
        found[name] = column
    return found


# ---------------------------------------------------------------- names


def _names(columns: Sequence[str], plan: RowPlan) -> list[str]:
    keys = {column: plan.mapping[name] for name, column in find_columns(columns, plan.mapping).items()}
    mapped = set(keys.values())
    names: list[str] = []
    for column in columns:
        name = keys.get(column)
        if name is None:  # a column may be named like a property that another column feeds
            name = f"row.{column}" if column in mapped else column
        names.append(name)
    return names


def _carried_from(columns: Sequence[str], plan: RowPlan) -> tuple[tuple[str, ...], tuple[int, ...]]:
    pairs = [(key, columns.index(column)) for key, column in plan.carry.items() if column in columns]
    return tuple(key for key, _ in pairs), tuple(index for _, index in pairs)


def _carried(
    rows: Sequence[tuple[Any, ...]], carried_from: tuple[tuple[str, ...], tuple[int, ...]]
) -> Sequence[dict[str, Any] | None]:
    keys, indexes = carried_from
    if not keys:
        return [None] * len(rows)
    return [dict(zip(keys, [row[index] for index in indexes], strict=True)) for row in rows]


# ---------------------------------------------------------------- values


def _storable(page: Page) -> tuple[list[Sequence[Any]], list[str]]:
    columns: list[Sequence[Any]] = list(zip(*page.rows, strict=True))
    repaired = []
    for index, values in enumerate(columns):
        kinds = set(map(type, values))
        if kinds <= _PLAIN and not _needs_care(values, kinds):
            continue
        only = kinds - {type(None)}
        convert = _CONVERT.get(only.pop(), to_json) if len(only) == 1 else to_json
        columns[index] = [None if value is None else convert(value) for value in values]
        if str in kinds and not _is_clean_text(values):
            repaired.append(page.columns[index])
    return columns, repaired


def _needs_care(values: Sequence[Any], kinds: set[type]) -> bool:
    """Whether a column of plain values holds one that JSON or PostgreSQL cannot: decided for the column as a whole."""
    if str in kinds and not _is_clean_text(values):
        return True
    if float in kinds and not math.isfinite(sum(value for value in values if type(value) is float)):
        return True
    if int in kinds:
        whole = [value for value in values if type(value) is int]
        return max(whole) > _LARGEST or min(whole) < -_LARGEST
    return False


def _is_clean_text(values: Sequence[Any]) -> bool:
    text = "".join([value for value in values if type(value) is str])
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def to_json(value: Any) -> Any:
    """A source's value as one that JSON can hold without losing anything; naive times are UTC."""
    convert = _CONVERT.get(type(value))
    if convert is not None:
        return convert(value)
    for kind, convert in _CONVERT.items():  # a driver's own subclass
        if isinstance(value, kind):
            return convert(value)
    return _text(str(value))


def _text(value: str) -> str:
    """U+0000 and halves of characters cannot be stored; the rest of the text can."""
    return value.replace("\0", _REPLACEMENT).encode("utf-8", "replace").decode()


def _integer(value: int) -> int | str:
    return value if -_LARGEST <= value <= _LARGEST else str(value)


def _float(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    as_float = float(value)
    if as_float.is_integer():
        return int(value) if abs(as_float) < _EXACT and value == int(value) else _large(value)
    return as_float if Decimal(repr(as_float)) == value else str(value)


def _large(value: Decimal) -> int | str:
    whole = abs(value) <= _LARGEST and value == value.to_integral_value()
    return int(value) if whole else str(value)


def _time(value: datetime) -> str:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()


def _bytes(value: bytes | bytearray | memoryview) -> str:
    raw = bytes(value)
    try:
        return _text(raw.decode())
    except UnicodeDecodeError:
        return raw.hex()


_CONVERT: dict[type, Any] = {
    type(None): lambda value: None,
    bool: bool,
    str: _text,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    datetime: _time,
    date: lambda value: value.isoformat(),
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    list: lambda value: [to_json(item) for item in value],
    tuple: lambda value: [to_json(item) for item in value],
    dict: lambda value: {_text(str(key)): to_json(item) for key, item in value.items()},
}
