"""Rows about people whom nobody knows are taken column by column: to the same end as the long way."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.accounts.actors import SYSTEM
from core.lib.clock import to_us
from events.envelope import InboundEvent
from events.models import Event, EventState
from groups import groups_store
from groups.models import GroupMember
from pipeline import newcomers
from pipeline.items import BatchResult
from profiles.models import Profile, ProfileChange, ProfileDate, ProfileIdentity
from tests.pipeline.people import NOON, event, forget_everything, rule, take
from tests.profiles.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

READ_AT = NOON + timedelta(hours=5)
GROUPS = {
    "Grown-ups": {"match": "all", "rules": [{"property": "age", "operator": "greater_than", "value": 40}]},
    "New": {
        "match": "all",
        "rules": [{"property": "since", "operator": "in_the_past", "value": {"amount": 3650, "unit": "days"}}],
    },
}
ASKED = ("first_name", "email", "age")


@pytest.fixture(autouse=True)
def _rules(tmp_path: Path) -> None:
    """As an import from a table has them: what comes with the row is asked for as well, and more besides."""
    rule("user_id", "integer", is_unique=True, identity_rank=1)
    shop = Shop(tmp_path)
    for key, type_name, more in (
        ("first_name", "string", {}),
        ("email", "email", {"is_unique": True, "identity_rank": 2}),
        ("age", "integer", {}),
    ):
        shop.column(key, type_name, table="users", column=key, key_column="id", rule=more)
    shop.query("spent", "float", "select sum(total) from purchases where user_id = {{profile.user_id}}")
    rule("plan")
    rule("since", "date")
    for name, tree in GROUPS.items():
        groups_store.create_group(name, kind="calculated", rules=tree, actor=SYSTEM)


def row(number: int, values: dict[str, Any], *, at: int = 0, carries: bool = True) -> InboundEvent:
    """One row as an import makes it; unless it `carries` their answers, its properties are asked for."""
    return event(
        values,
        at=at,
        message_id=f"row {number}",
        saves=frozenset({"user_id", "email", "plan", "since"}),
        carried={key: values[key] for key in ASKED} if carries else None,
        read_at=READ_AT if carries else None,
        received_at=READ_AT,
    )


def plain(number: int) -> dict[str, Any]:
    """What a row without any trouble says."""
    return {
        "user_id": number,
        "email": f" User{number}@Example.com ",
        "first_name": f"Name {number}",
        "age": 20 + number,
        "plan": "gold",
        "since": "2026-01-01",
        "shoe": 40,
    }


def in_trouble(chance: random.Random, number: int, *, most: int) -> dict[str, Any]:
    """A row that goes the long way, or nearly."""
    changes: list[dict[str, Any]] = [
        {"email": None},
        {"email": "not an address"},
        {"email": f"user{chance.randrange(most)}@example.com"},  # somebody else's, perhaps somebody known
        {"email": "Test@test.com"},  # identifies nobody
        {"user_id": chance.randrange(most)},
        {"user_id": "unknown"},
        {"user_id": None, "email": ""},
        {"age": "old"},
        {"since": "never"},
        {"plan": None},
        {"plan": 7},
    ]
    return plain(number) | chance.choice(changes)


def page(chance: random.Random, *, first: int, trouble: float, carries: bool) -> list[InboundEvent]:
    """A page of forty rows, some of which are in trouble, some changed after they were read."""
    rows = []
    for number in range(first, first + 40):
        is_bad, is_late = chance.random() < trouble, chance.random() < trouble / 5
        values = in_trouble(chance, number, most=first + 40) if is_bad else plain(number)
        rows.append(row(number, values, at=6 * 60 if is_late else 0, carries=carries))
    return rows


def everything() -> dict[str, list[str]]:
    """What the product holds, with people and events under the names that they have outside; without times of now."""
    names = {str(person.pk): _name(person) for person in Profile.objects.all()}
    names |= {str(event.pk): event.message_id for event in Event.objects.all()}
    rows: dict[str, Sequence[Any]] = {
        "people": [(each.properties, each.property_meta, each.merged_into) for each in Profile.objects.all()],
        "identities": [(each.rule_id, each.value, each.profile_id) for each in ProfileIdentity.objects.all()],
        "changes": [(each.profile_id, each.changes, each.lost, each.cause) for each in ProfileChange.objects.all()],
        "events": [(each.message_id, each.state, each.profile_id, each.error) for each in Event.objects.all()],
        "members": [(each.group.name, each.profile_id) for each in GroupMember.objects.all()],
        "dates": [(each.rule_id, each.profile_id, each.at) for each in ProfileDate.objects.exclude(rule_id=0)],
    }

    def told(value: Any) -> Any:
        match value:
            case dict():
                return {key: told(each) for key, each in value.items()}
            case list() | tuple():
                return [told(each) for each in value]
            case int() if value > to_us(READ_AT + timedelta(days=1)):
                return "now"
            case str() | UUID():
                return _ID.sub(lambda found: names[found.group()], str(value))
        return value

    return {table: sorted(str(told(row)) for row in found) for table, found in rows.items()}


_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _name(person: Profile) -> str:
    return str(sorted(person.properties.items()))


def counted(result: BatchResult) -> tuple[Any, ...]:
    return (
        *(result.events, result.duplicates, result.created, result.changed, result.moves, result.unlinked),
        *(result.conflicts, result.rejected, sorted(result.errors, key=str)),
    )


def take_pages(pages: Sequence[Sequence[InboundEvent]]) -> tuple[list[tuple[Any, ...]], dict[str, list[str]]]:
    forget_everything()
    return [counted(take(*each)) for each in pages], everything()


@pytest.mark.parametrize("carries", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_both_ways_come_to_the_same(seed: int, carries: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    trouble = (0.0, 0.1, 0.3, 0.8)[seed % 4]
    pages = [page(chance, first=first, trouble=trouble, carries=carries) for first in (0, 30, 60)]
    by_columns = take_pages(pages)
    monkeypatch.setattr(newcomers, "find", lambda *_, **__: None)
    the_long_way = take_pages(pages)
    assert by_columns == the_long_way
    assert len(by_columns[1]["people"]) > 40


def test_who_is_taken_as_a_newcomer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is known, in trouble or named twice is not; everyone else of the page is."""
    chosen = []
    choose = newcomers.Newcomers.choose

    def noting(self: newcomers.Newcomers, *given: Any) -> list[int]:
        others = choose(self, *given)
        chosen.append([self.accepted.events[place].payload["first_name"] for place in self.places])
        return others

    monkeypatch.setattr(newcomers.Newcomers, "choose", noting)
    take(event({"user_id": 3}))
    values = [plain(number) for number in range(30)]
    values[5]["email"] = "user6@example.com"
    values[8]["since"] = "never"
    values[9]["user_id"] = values[9]["email"] = None
    take(*(row(number, each) for number, each in enumerate(values)))
    assert chosen == [[f"Name {number}" for number in range(30) if number not in {3, 5, 6, 8, 9}]]
    assert Event.objects.filter(state=EventState.UNLINKED).count() == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"payload": {"user_id": 99}}, id="another shape"),
        pytest.param({"payload": plain(99) | {"_anonymous_id": "device"}}, id="an anonymous id"),
        pytest.param({"payload": plain(99), "may_create": False}, id="may not create"),
        pytest.param({"payload": plain(99), "saves": frozenset({"user_id"})}, id="saves less"),
    ],
)
def test_events_that_are_not_all_alike_go_the_long_way(other: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    find = newcomers.find

    def noting(*given: Any, **more: Any) -> Any:
        found.append(find(*given, **more))
        return found[-1]

    monkeypatch.setattr(newcomers, "find", noting)
    take(*(row(number, plain(number)) for number in range(20)), event(**other))
    assert found == [None]
    assert Profile.objects.count() == (20 if "may_create" in other else 21)
