"""Rows become events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from plugins.contracts import Halt, Mark, Page
from schedules.rows import Built, RowPlan, build_events, find_columns, to_json

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAN = RowPlan(
    run_id=7,
    schedule_id=3,
    version=1,
    type="users",
    mapping={"id": "user_id", "email": "email"},
    carry={},
    by_change=True,
    may_create=True,
)


def page(columns: Sequence[str], *rows: tuple[Any, ...], changed: Sequence[datetime | None] = ()) -> Page:
    return Page(columns=tuple(columns), rows=list(rows), mark=Mark(), more=False, changed=changed)


def build(made: Page, plan: RowPlan = PLAN, number: int = 0) -> Built:
    return build_events(made, plan, read_at=NOON, number=number)


def test_mapped_columns_carry_the_name_of_their_property_and_others_their_own() -> None:
    built = build(page(["id", "email", "cart"], (3, "alice@example.com", ["red shirt"])))
    event = built.events[0]
    assert event.payload == {"user_id": 3, "email": "alice@example.com", "cart": ["red shirt"]}
    assert event.saves == frozenset({"user_id", "email"})
    assert json.loads(event.payload_text or "") == event.payload


def test_a_column_named_like_a_property_that_another_column_feeds_is_kept_apart() -> None:
    plan = replace(PLAN, mapping={"id": "user_id", "mail": "email"})
    built = build(page(["id", "mail", "email"], (3, "alice@example.com", "old@example.com")), plan)
    assert built.events[0].payload == {"user_id": 3, "email": "alice@example.com", "row.email": "old@example.com"}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Decimal("12.50"), 12.5),
        (Decimal(12), 12),
        (Decimal("1E+3"), 1000),
        (Decimal("123456789.123456789012345"), "123456789.123456789012345"),
        (Decimal(9007199254740993), 9007199254740993),
        (Decimal("1E+30"), "1E+30"),
        (Decimal("NaN"), "NaN"),
        (float("inf"), "inf"),
        (2**70, str(2**70)),
        (datetime(2026, 3, 1, 12), "2026-03-01T12:00:00+00:00"),
        (datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-03-01T12:00:00+02:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff\xfe", "fffe"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ({"a": [Decimal("0.5"), None]}, {"a": [0.5, None]}),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("half \ud800", "half ?"),
        (True, True),
        (None, None),
    ],
)
def test_values_become_json_without_losing_a_digit(value: Any, stored: Any) -> None:
    assert to_json(value) == stored
    assert type(to_json(value)) is type(stored)
    event = build(page(["id", "email", "x"], (1, "alice@example.com", value))).events[0]
    assert event.payload["x"] == stored


def test_a_column_whose_characters_had_to_be_replaced_is_named() -> None:
    built = build(page(["id", "email", "note"], (1, "a@example.com", "fine"), (2, "b@example.com", "a\0b")))
    assert built.repaired == ["note"]
    assert [event.payload["note"] for event in built.events] == ["fine", "a\N{REPLACEMENT CHARACTER}b"]


def test_the_same_row_has_the_same_message_in_every_run_until_it_changes_or_the_mapping_does() -> None:
    row = (1, "alice@example.com")
    first = build(page(["id", "email"], row)).events[0].message_id
    assert build(page(["id", "email"], row), replace(PLAN, run_id=8), number=40).events[0].message_id == first
    assert build(page(["id", "email"], (1, "a@example.com"))).events[0].message_id != first
    assert build(page(["id", "email"], row), replace(PLAN, version=2)).events[0].message_id != first


def test_rows_of_a_source_that_is_read_whole_are_told_apart_by_run_and_place() -> None:
    plan = replace(PLAN, by_change=False)
    built = build(page(["id", "email"], (1, "x"), (1, "x")), plan, number=10)
    assert [event.message_id for event in built.events] == ["run 7:10", "run 7:11"]


def test_a_row_happened_when_it_changed_or_else_when_it_was_read() -> None:
    earlier = NOON - timedelta(days=3)
    built = build(page(["id", "email"], (1, "x"), (2, "y"), changed=[earlier, None]))
    assert [event.occurred_at for event in built.events] == [earlier, NOON]


def test_a_carried_answer_is_the_value_as_it_was_read() -> None:
    plan = replace(PLAN, carry={"spent": "total"})
    built = build(page(["id", "email", "total"], (1, "x", Decimal("2.50"))), plan)
    assert built.events[0].carried == {"spent": Decimal("2.50")}


def test_columns_are_found_without_case_spaces_and_underscores() -> None:
    assert find_columns(["User ID", "E_Mail"], ["user_id", "email"]) == {"user_id": "User ID", "email": "E_Mail"}


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(Halt, match=r"“email” is not among those that were read \(id, name\)"):
        find_columns(["id", "name"], ["email"])
