"""Why someone is in a group or not, and when time alone will turn that round."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from groups.explaining import Explanation, explain
from groups.models import Group
from profiles.models import Profile
from tests.factories import make_profiles, make_rule
from tests.groups.people import calculated

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def rules() -> None:
    make_rule("name", label="Name")
    make_rule("ltv", "float", label="Lifetime value")
    make_rule("bought_at", "date", label="Last purchase")


def person(**values: Any) -> Profile:
    [guid] = make_profiles([values])
    return Profile.objects.get(pk=guid)


def rule(key: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    given = {"property": key, "operator": operator, **more}
    return given if value is None else {**given, "value": value}


def days(amount: int) -> dict[str, Any]:
    return {"amount": amount, "unit": "days"}


def stored(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def explained(profile: Profile, group: Group, *, now: datetime = NOW) -> Explanation:
    return explain(profile, [group], now=now)[group.pk]


def test_each_rule_says_whether_it_holds_and_for_which_value() -> None:
    group = calculated("Spenders", rule("ltv", "greater_than", 100), rule("name", "exists"))
    alice = explained(person(name="Alice", ltv=12.5), group)
    assert not alice.holds
    assert alice.missing == 1
    assert [(each.sentence, each.holds, each.value) for each in alice.reasons] == [
        ("Lifetime value is greater than 100", False, 12.5),
        ("Name exists", True, "Alice"),
    ]
    bob = explained(person(ltv=300), group)
    assert [(each.holds, each.value) for each in bob.reasons] == [(True, 300), (False, None)]


def test_where_one_rule_is_enough_the_others_are_not_needed() -> None:
    group = calculated("Either", rule("ltv", "greater_than", 100), rule("name", "equals", "Alice"), match="any")
    alice = explained(person(name="Alice", ltv=1), group)
    assert alice.holds
    assert [each.is_moot for each in alice.reasons] == [True, False]
    bob = explained(person(name="Bob", ltv=1), group)
    assert (bob.holds, bob.missing) == (False, 1)
    assert not any(each.is_moot for each in bob.reasons)


def test_a_negative_rule_holds_for_someone_without_a_value() -> None:
    everyone = calculated("Not Alice", rule("name", "does_not_equal", "Alice"))
    known = calculated("Known, not Alice", rule("name", "does_not_equal", "Alice", include_null=False))
    nobody = person()
    assert explained(nobody, everyone).holds
    assert not explained(nobody, known).holds


@pytest.mark.parametrize(
    ("operator", "holds", "flips_at"),
    [
        ("in_the_past", True, NOW + timedelta(days=4)),  # bought 3 days ago, leaves 7 days after the purchase
        ("not_in_the_past", False, NOW + timedelta(days=4)),
        ("more_than_ago", False, NOW + timedelta(days=4)),
        ("in_the_next", False, None),  # the purchase will never lie ahead again
    ],
)
def test_it_says_when_time_alone_turns_the_answer_round(operator: str, holds: bool, flips_at: datetime | None) -> None:
    group = calculated("Lately", rule("bought_at", operator, days(7)))
    alice = explained(person(bought_at=stored(NOW - timedelta(days=3))), group)
    assert (alice.holds, alice.flips_at) == (holds, flips_at)


def test_what_is_foreseen_is_the_answer_of_the_whole_group() -> None:
    both = calculated("Both", rule("bought_at", "in_the_past", days(7)), rule("ltv", "greater_than", 100))
    either = calculated("Either", rule("bought_at", "in_the_past", days(7)), rule("ltv", "equals", 5), match="any")
    alice = person(bought_at=stored(NOW - timedelta(days=3)), ltv=5)
    assert explained(alice, both).flips_at is None
    assert explained(alice, either).flips_at is None
    ahead = calculated("Ahead", rule("bought_at", "in_the_next", days(7)))
    bob = explained(person(bought_at=stored(NOW + timedelta(days=10))), ahead)
    assert (bob.holds, bob.flips_at) == (False, NOW + timedelta(days=3))


def test_what_is_foreseen_comes_true_to_the_microsecond() -> None:
    group = calculated("Lapsed", rule("bought_at", "more_than_ago", {"amount": 1, "unit": "months"}))
    alice = person(bought_at=stored(datetime(2026, 1, 31, 9, 30, tzinfo=UTC)))
    foreseen = explained(alice, group, now=datetime(2026, 2, 20, tzinfo=UTC)).flips_at
    assert foreseen is not None
    for at, holds in ((foreseen - timedelta(microseconds=1), False), (foreseen, True)):
        assert explained(alice, group, now=at).holds is holds


def test_many_groups_take_no_more_statements_than_one() -> None:
    alice = person(name="Alice", bought_at=stored(NOW - timedelta(days=3)))
    groups = [calculated(f"Group {n}", rule("bought_at", "in_the_past", days(n + 4))) for n in range(30)]
    explain(alice, groups, now=NOW)
    with CaptureQueriesContext(connection) as few:
        explain(alice, groups[:1], now=NOW)
    with CaptureQueriesContext(connection) as many:
        found = explain(alice, groups, now=NOW)
    assert len(many) == len(few)
    assert len(found) == 30


def test_a_group_whose_property_is_gone_is_left_out() -> None:
    group = calculated("Broken", rule("name", "exists"))
    group.rules = {"match": "all", "rules": [rule("nickname", "exists")]}
    group.rules_version = 2
    assert explain(person(name="Alice"), [group], now=NOW) == {}
