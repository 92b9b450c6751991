"""What people do with groups: lists of people, copies, overlap, breakdown, files, one group for each value."""

from __future__ import annotations

import csv
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from core.accounts.actors import SYSTEM
from core.lib.errors import InvalidInput, Refused
from core.ui.used_by import users_of
from groups import analysis, groups_store, people_lists, values
from groups.analysis import Combination
from groups.models import Group, GroupKind
from groups.people_lists import values_of_csv
from profiles.finding import find_by_values
from profiles.models import ProfileIdentity, ProfilePropertyRule
from tests.factories import make_profiles, make_rule
from tests.groups.people import calculated, logged, members, recalculate_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def email() -> ProfilePropertyRule:
    """A property that identifies people."""
    return make_rule("email", "email", is_unique=True, identity_rank=1, label="Email")


def manual(name: str, inside: list[UUID] | None = None) -> Group:
    """A manual group."""
    group = groups_store.create_group(name, kind=GroupKind.MANUAL, actor=SYSTEM)
    groups_store.add_members(group.pk, inside or [], actor=SYSTEM)
    return group


def in_group(group: Group, *, operator: str = "in") -> dict[str, Any]:
    return {"group": group.pk, "operator": operator}


# ---------------------------------------------------------------- lists


def test_a_list_replaces_the_members_and_groups_that_read_it_follow() -> None:
    alice, bob, charlie = make_profiles([{}, {}, {}])
    guests = manual("Guests", [alice, bob])
    others = calculated("Others", in_group(guests, operator="not_in"))
    recalculate_all()
    assert members(others) == {charlie}
    assert groups_store.move_members(guests.pk, [bob, charlie], act="replace", is_trial=True, actor=SYSTEM) == (1, 1)
    assert members(guests) == {alice, bob} == logged(guests)
    assert groups_store.move_members(guests.pk, [bob, charlie], act="replace", actor=SYSTEM) == (1, 1)
    assert members(guests) == {bob, charlie} == logged(guests)
    assert members(others) == {alice} == logged(others)
    assert groups_store.move_members(guests.pk, [], act="replace", actor=SYSTEM) == (0, 2)
    with pytest.raises(InvalidInput, match="add, remove or replace"):
        groups_store.move_members(guests.pk, [bob], act="burn", actor=SYSTEM)
    with pytest.raises(Refused, match="is calculated"):
        groups_store.move_members(others.pk, [bob], act="replace", actor=SYSTEM)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"email,name\na@x.com,Alice\nb@x.com,Bob\n", ["a@x.com", "b@x.com"]),
        (b"name;E-Mail;EMAIL\r\nAlice;x;a@x.com\r\n", ["a@x.com"]),
        ("\ufeffName\tEmail\nÄnne\tä@x.com".encode(), ["ä@x.com"]),
        ("Name,Email\nÄnne,ä@x.com".encode("latin-1"), ["ä@x.com"]),
        (b"a@x.com\nb@x.com\n\n", ["a@x.com", "b@x.com"]),
        (b'email\n"a@x.com, really"\nb@x.com', ["a@x.com, really", "b@x.com"]),
        (b"name,email\nAlice\nBob,b@x.com", ["b@x.com"]),
        (b"", []),
    ],
)
def test_people_are_read_out_of_a_csv(email: ProfilePropertyRule, raw: bytes, found: list[str]) -> None:
    assert values_of_csv(raw, [email]) == found


# ---------------------------------------------------------------- used by, copies


def test_a_group_that_another_one_reads_is_not_deleted_and_says_why() -> None:
    guests = manual("Guests")
    calculated("Others", in_group(guests, operator="not_in"))
    assert users_of(guests) == ["the group Others"]
    with pytest.raises(Refused, match="in use by the group Others"):
        groups_store.delete_group(guests.pk, actor=SYSTEM)
    assert Group.objects.filter(pk=guests.pk).exists()


def test_a_copy_has_the_same_rules_or_members_and_a_name_of_its_own() -> None:
    alice, _ = make_profiles([{}, {}])
    guests = manual("Guests", [alice])
    copies = [groups_store.copy_group(guests.pk, actor=SYSTEM) for _ in range(2)]
    assert [copy.name for copy in copies] == ["Guests (copy)", "Guests (copy 2)"]
    assert [members(copy) for copy in copies] == [{alice}, {alice}]
    there = calculated("There", in_group(guests))
    copy = groups_store.copy_group(there.pk, name="There too", actor=SYSTEM)
    recalculate_all()
    assert (copy.name, copy.rules, members(copy)) == ("There too", there.rules, {alice})


# ---------------------------------------------------------------- overlap and breakdown


def test_the_overlap_counts_everyone_once_and_pairs_of_groups() -> None:
    alice, bob, charlie = make_profiles([{}, {}, {}])
    one, two, three = manual("One", [alice, bob]), manual("Two", [bob, charlie]), manual("Three", [bob])
    found = analysis.overlap([one.pk, two.pk, three.pk])
    assert found.sizes == {one.pk: 2, two.pk: 2, three.pk: 1}
    assert set(found.combinations) == {
        Combination((one.pk,), 1),
        Combination((two.pk,), 1),
        Combination((one.pk, two.pk, three.pk), 1),
    }
    assert found.pairs == {(one.pk, two.pk): 1, (one.pk, three.pk): 1, (two.pk, three.pk): 1}
    with pytest.raises(InvalidInput, match="2 to 8"):
        analysis.overlap([one.pk])


def test_of_very_many_people_a_sample_is_looked_at_and_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    country = make_rule("country")
    alice, bob, charlie = make_profiles([{"country": "USA"}, {"country": "USA"}, {"country": "Chad"}])
    one, two = manual("One", [alice, bob]), manual("Two", [bob, charlie])
    with connection.cursor() as cursor:
        cursor.execute("analyze profile; analyze group_member")  # what is decided by the planner's estimate
    assert analysis.overlap([one.pk, two.pk]).is_exact
    monkeypatch.setattr(analysis, "FEW", 0)
    monkeypatch.setattr(analysis, "SAMPLED", 1.9999)  # so nearly all of them that every page of the table is drawn
    found = analysis.overlap([one.pk, two.pk])
    members = analysis.break_down(country, group_id=one.pk)
    assert not (found.is_exact)
    assert not (members.is_exact)
    assert not (analysis.break_down(country).is_exact)
    monkeypatch.setattr(analysis, "SAMPLED", 2.9999)
    assert analysis.overlap([one.pk, two.pk]).pairs == {(one.pk, two.pk): 1}
    assert [(part.label, part.people) for part in analysis.break_down(country).parts] == [("USA", 2), ("Chad", 1)]


def parts(rule: ProfilePropertyRule, group: Group | None = None, **more: Any) -> list[tuple[str, int]]:
    """A breakdown in short."""
    found = analysis.break_down(rule, group_id=None if group is None else group.pk, **more)
    assert (
        rule.is_array or sum(part.people for part in found.parts) + found.rest + found.without_value == found.everyone
    )
    return [(part.label, part.people) for part in found.parts]


def test_a_group_is_broken_down_by_values_ranges_and_months() -> None:
    country, ltv = make_rule("country"), make_rule("ltv", "float")
    born, tags = make_rule("born", "date"), make_rule("tags", is_array=True)
    vip = make_rule("vip", "boolean")
    people = make_profiles(
        [
            {"country": "USA", "ltv": 0.5, "born": "2024-01-31T23:30:00.000000Z", "tags": ["a", "b"], "vip": True},
            {"country": "USA", "ltv": 10, "born": "2024-02-01T00:00:00.000000Z", "tags": ["a"], "vip": False},
            {"country": "Chad", "ltv": 10},
            {},
        ]
    )
    group = manual("Some", people[1:])
    assert parts(country) == [("USA", 2), ("Chad", 1)]
    assert parts(country, group) == [("Chad", 1), ("USA", 1)]
    assert parts(country, most=1) == [("USA", 2)]
    assert analysis.break_down(country, most=1).rest == 1
    assert parts(ltv) == [("10", 2), ("0.5", 1)]
    ranges = parts(ltv, most=1)
    assert (len(ranges), ranges[0][1], ranges[-1]) == (10, 1, ("9.05 to 10", 2))
    assert parts(born) == [("2024-01", 1), ("2024-02", 1)]
    assert parts(tags) == [("a", 2), ("b", 1)]
    assert parts(vip) == [("No", 1), ("Yes", 1)]
    assert parts(country, manual("Nobody")) == []


def test_there_is_one_group_for_each_value_or_none_at_all() -> None:
    country, tags, vip = make_rule("country"), make_rule("tags", is_array=True), make_rule("vip", "boolean")
    alice, bob = make_profiles([{"country": "USA", "tags": ["a"], "vip": True}, {"country": "Chad", "vip": False}])
    made = values.make_groups(country, ["USA", "Chad"], name="From {value}", actor=SYSTEM)
    [tagged] = values.make_groups(tags, ["a"], name="Tag {value}", actor=SYSTEM)
    yes, no = values.make_groups(vip, ["true", "false"], name="VIP {value}", actor=SYSTEM)
    recalculate_all()
    assert [(group.name, members(group)) for group in made] == [("From USA", {alice}), ("From Chad", {bob})]
    assert (members(tagged), members(yes), members(no)) == ({alice}, {alice}, {bob})
    before = Group.objects.count()
    with pytest.raises(InvalidInput, match="already groups named From USA"):
        values.make_groups(country, ["Mali", "USA"], name="From {value}", actor=SYSTEM)
    with pytest.raises(InvalidInput, match=r"Write \{value\}"):
        values.make_groups(country, ["Mali"], name="From there", actor=SYSTEM)
    assert Group.objects.count() == before


# ---------------------------------------------------------------- files


def test_members_come_as_a_csv_in_which_no_cell_is_a_formula(
    email: ProfilePropertyRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_lists, "_PAGE", 2)
    name, ltv = make_rule("name"), make_rule("ltv", "float")
    people = make_profiles(
        [{"email": "a@x.com", "name": "=1+1", "ltv": -2.5}, {"name": 'Bob, "the" one'}, {"name": "@x"}, {}, {}]
    )
    group = manual("Some", people)
    rows = list(csv.reader("".join(people_lists.stream_members(group, [email, name, ltv])).splitlines()))
    assert rows[0] == ["guid", "joined_at", "email", "name", "ltv"]
    assert [row[0] for row in rows[1:]] == sorted(str(guid) for guid in people)
    assert [row[2:] for row in rows[1:4]] == [["a@x.com", "'=1+1", "-2.5"], ["", 'Bob, "the" one', ""], ["", "'@x", ""]]
    assert len(list(people_lists.stream_members(manual("Nobody"), [email]))) == 1


def test_a_list_of_a_hundred_thousand_is_found_in_a_few_statements(
    email: ProfilePropertyRule, django_assert_max_num_queries: Any
) -> None:

    [alice] = make_profiles([{"email": "a@x.com"}])
    ProfileIdentity.objects.create(rule=email, value="a@x.com", profile_id=alice)
    lines = [f"nobody{number}@x.com" for number in range(20_000)] + [" A@x.com ", str(alice)]
    with django_assert_max_num_queries(20):
        found = find_by_values(lines)
    assert found.guids == (alice,)
    assert len(found.unmatched) == 20_000
