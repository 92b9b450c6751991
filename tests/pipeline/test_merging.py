from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from core.accounts import project
from core.accounts.actors import SYSTEM
from core.accounts.models import Role
from core.lib.errors import InvalidInput, Refused
from events import queries as event_queries
from events.models import Event
from groups import groups_store
from groups.models import GroupKind, GroupMember
from pipeline import merging
from pipeline.process import Contended
from pipeline.refresh import refresh
from profiles import queries
from profiles.models import Profile, ProfileIdentity, ProfileMerge
from tests.accounts.factories import make_user
from tests.groups.people import calculated, members, recalculate_all
from tests.pipeline.people import event, everyone, shop_rules, take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _rules() -> Iterator[None]:
    shop_rules()
    yield
    call_command("check_integrity", stdout=StringIO())


def visitor(device: str, **payload: object) -> dict[str, object]:
    return {"_anonymous_id": device, **payload}


def alive() -> list[Profile]:
    return list(Profile.objects.filter(merged_into=None).order_by("guid"))


def guid_of(**value: object) -> UUID:
    ((key, wanted),) = value.items()
    return next(each.pk for each in alive() if each.properties.get(key) == wanted)


def two_people() -> tuple[UUID, UUID]:
    take(
        event({"user_id": 1, "first_name": "Alice"}, at=1),
        event({"email": "alice@example.com", "first_name": "Al", "age": 41}, at=2),
    )
    return guid_of(user_id=1), guid_of(email="alice@example.com")


# ---------------------------------------------------------------- devices


def test_a_device_alone_makes_somebody_whom_it_finds_again() -> None:
    take(event(visitor("d1", first_name="Alice")))
    take(event(visitor("d1", age=41), at=1))
    assert everyone() == [{"first_name": "Alice", "age": 41}]


def test_whoever_is_named_on_their_device_is_the_same_person() -> None:
    take(event(visitor("d1", first_name="Alice")), event(visitor("d1", user_id=1), at=1))
    assert everyone() == [{"first_name": "Alice", "user_id": 1}]


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_an_anonymous_profile_becomes_part_of_the_known_one(in_one_batch: bool) -> None:
    events = [
        event({"user_id": 1}, type="Signup"),
        event(visitor("d1", age=41), at=1, type="Visit"),
        event(visitor("d1", user_id=1), at=2),
        event(visitor("d1", first_name="Alice"), at=3),
    ]
    if in_one_batch:
        take(*events)
    else:
        for each in events:
            take(each)
    (alice,) = alive()
    assert alice.properties == {"user_id": 1, "age": 41, "first_name": "Alice"}
    assert set(Profile.objects.exclude(pk=alice.pk).values_list("merged_into", flat=True)) == {alice.pk}
    assert ProfileMerge.objects.get().winner_id == alice.pk
    assert {each.type for each in event_queries.of_profile(alice.pk, limit=10)} == {"Signup", "Visit", ""}
    assert len(queries.changes_of(alice.pk, limit=20)) >= 2


def test_someone_known_on_the_device_of_someone_else_stays_another_person() -> None:
    take(event(visitor("d1", user_id=1)))
    take(event(visitor("d1", user_id=2), at=1))
    assert everyone() == [{"user_id": 1}, {"user_id": 2}]
    assert not ProfileMerge.objects.exists()
    assert ProfileIdentity.objects.get(rule_id=0).profile_id == guid_of(user_id=1)


def test_a_person_has_no_more_devices_than_the_team_allows() -> None:
    project.update({"identity_limit": 2}, actor=SYSTEM)
    take(*(event(visitor(f"d{number}", user_id=1), at=number) for number in range(4)))
    assert ProfileIdentity.objects.filter(rule_id=0).count() == 2
    assert "d3 is not kept" in Event.objects.order_by("-id")[0].error


def test_a_blocked_value_is_no_device() -> None:
    result = take(event(visitor("anonymous", age=41)), event(visitor("  ", age=41)), event(visitor(7)))  # type: ignore[arg-type]
    assert result.unlinked == 3


def test_a_former_id_makes_two_known_people_one() -> None:
    take(event({"user_id": 1, "age": 41}), event({"user_id": 2}, at=1))
    take(event({"user_id": 2, "_previous_id": "1"}, at=2))
    assert everyone_alive() == [{"user_id": 2, "age": 41}]
    take(event({"user_id": 1, "first_name": "Alice"}, at=3))
    (alice,) = alive()
    assert alice.properties["first_name"] == "Alice"


def everyone_alive() -> list[dict[str, object]]:
    return [each.properties for each in alive()]


# ---------------------------------------------------------------- by hand


def test_a_merge_keeps_the_later_values_and_all_identities() -> None:
    winner, loser = two_people()
    shown = merging.preview(winner, loser)
    assert {each.key: each.after for each in shown.differences} == {
        "user_id": 1,
        "email": "alice@example.com",
        "first_name": "Al",
        "age": 41,
    }
    assert len(alive()) == 2
    merging.merge(winner, loser, actor=SYSTEM)
    assert everyone_alive() == [{"user_id": 1, "email": "alice@example.com", "first_name": "Al", "age": 41}]
    take(event({"email": "alice@example.com", "age": 42}, at=9))
    assert alive()[0].properties["age"] == 42


def test_undoing_brings_both_back_with_values_events_and_groups() -> None:
    winner, loser = two_people()
    manual = groups_store.create_group("Friends", kind=GroupKind.MANUAL, actor=SYSTEM)
    grown = groups_store.create_group(
        "Grown",
        kind=GroupKind.CALCULATED,
        rules={"match": "all", "rules": [{"property": "age", "operator": "greater_than", "value": 40}]},
        actor=SYSTEM,
    )
    recalculate_all()
    groups_store.add_members(manual.pk, [loser], actor=SYSTEM)
    before = {each.pk: each.properties for each in alive()}
    before_members = set(GroupMember.objects.values_list("group_id", "profile_id"))
    assert before_members == {(manual.pk, loser), (grown.pk, loser)}

    made = merging.merge(winner, loser, actor=SYSTEM)
    assert set(GroupMember.objects.values_list("group_id", "profile_id")) == {(manual.pk, winner), (grown.pk, winner)}
    merging.undo(made.pk, actor=SYSTEM)

    assert {each.pk: each.properties for each in alive()} == before
    assert set(GroupMember.objects.values_list("group_id", "profile_id")) == before_members
    take(event({"email": "alice@example.com", "age": 50}, at=9))
    assert Profile.objects.get(pk=loser).properties["age"] == 50
    with pytest.raises(Refused, match="undone already"):
        merging.undo(made.pk, actor=SYSTEM)


def test_what_a_merged_profile_did_counts_for_the_one_that_stayed() -> None:
    bought = {"event": "Purchase", "operator": "at_least", "value": 2}
    twice = calculated("Bought twice", bought)
    recalculate_all()
    winner, loser = two_people()
    take(event({"user_id": 1}, at=3, type="Purchase"), event({"email": "alice@example.com"}, at=4, type="Purchase"))
    assert not GroupMember.objects.exists()
    made = merging.merge(winner, loser, actor=SYSTEM)
    assert members(twice) == {winner}
    again = calculated("The same, in full", bought)
    recalculate_all()
    assert members(again) == {winner}
    merging.undo(made.pk, actor=SYSTEM)
    assert not GroupMember.objects.exists()
    groups_store.recalculate_group(again.pk, actor=SYSTEM)
    recalculate_all()
    assert not GroupMember.objects.exists()


def test_what_was_written_after_a_merge_stays_with_the_winner() -> None:
    winner, loser = two_people()
    made = merging.merge(winner, loser, actor=SYSTEM)
    take(event({"user_id": 1, "age": 60}, at=30))
    merging.undo(made.pk, actor=SYSTEM)
    assert Profile.objects.get(pk=winner).properties == {"user_id": 1, "first_name": "Alice", "age": 60}
    assert Profile.objects.get(pk=loser).properties["age"] == 41


def test_a_winner_that_was_merged_on_has_to_come_back_first() -> None:
    winner, loser = two_people()
    take(event({"user_id": 7}, at=3))
    last = guid_of(user_id=7)
    first = merging.merge(winner, loser, actor=SYSTEM)
    second = merging.merge(last, winner, actor=SYSTEM)
    assert Profile.objects.get(pk=loser).merged_into == last
    with pytest.raises(Refused, match="undo that merge first"):
        merging.undo(first.pk, actor=SYSTEM)
    merging.undo(second.pk, actor=SYSTEM)
    assert Profile.objects.get(pk=loser).merged_into == winner
    merging.undo(first.pk, actor=SYSTEM)
    assert len(alive()) == 3


def test_nobody_is_merged_with_themselves_or_twice() -> None:
    winner, loser = two_people()
    with pytest.raises(InvalidInput):
        merging.merge(winner, winner, actor=SYSTEM)
    merging.merge(winner, loser, actor=SYSTEM)
    with pytest.raises(Refused, match="part of"):
        merging.merge(winner, loser, actor=SYSTEM)
    refresh([loser])  # nobody is asked for someone who is part of another
    assert len(alive()) == 1


def test_an_event_whose_identities_contradict_each_other_offers_a_merge(client: Client) -> None:
    winner, loser = two_people()
    take(event({"user_id": 1, "email": "alice@example.com", "age": 50}, at=5))
    assert len(alive()) == 2
    contradicting = Event.objects.order_by("-id")[0]
    assert str(loser) in contradicting.error
    client.force_login(make_user("Bob", role=Role.EDITOR))
    page = client.get(reverse("events:show", args=[contradicting.pk])).content.decode()
    assert f"{reverse('profiles:merge', args=[winner])}?with={loser}" in page


def test_who_becomes_part_of_someone_who_becomes_part_of_another_in_one_batch_can_come_back() -> None:
    take(event(visitor("d1", age=41), type="Visit"), event({"user_id": 1}), event({"user_id": 2}))
    guest = next(each.pk for each in alive() if "user_id" not in each.properties)
    first, last = guid_of(user_id=1), guid_of(user_id=2)
    friends = groups_store.create_group("Friends", kind=GroupKind.MANUAL, actor=SYSTEM)
    groups_store.add_members(friends.pk, [guest], actor=SYSTEM)
    before = {each.pk: each.properties for each in alive()}

    take(
        event(visitor("d2", first_name="Alice"), at=1),
        event(visitor("d2", user_id=1), at=2),
        event(visitor("d1", user_id=1), at=3),
        event({"user_id": 2, "_previous_id": "1"}, at=4),
    )
    assert everyone_alive() == [{"user_id": 2, "age": 41, "first_name": "Alice"}]
    assert set(Profile.objects.exclude(pk=last).values_list("merged_into", flat=True)) == {last}
    assert {each.type for each in event_queries.of_profile(last, limit=10)} == {"Visit", ""}
    assert list(GroupMember.objects.values_list("profile_id", flat=True)) == [last]

    links = list(ProfileMerge.objects.order_by("pk"))
    assert [(each.loser_id, each.winner_id) for each in links[-2:]] == [(guest, first), (first, last)]
    merging.undo(links[-1].pk, actor=SYSTEM)
    owned = ProfileIdentity.objects.filter(profile_id=first, rule_id=0).values_list("value", flat=True)
    assert set(owned) == {"d1", "d2"}
    merging.undo(links[-2].pk, actor=SYSTEM)
    assert {each.pk: each.properties for each in alive()} == {
        **before,
        first: {"user_id": 1, "first_name": "Alice"},
    }
    assert list(GroupMember.objects.values_list("profile_id", flat=True)) == [guest]


# ---------------------------------------------------------------- at once


@pytest.mark.parametrize("seed", range(3))
def test_three_workers_that_meet_devices_and_people_make_nobody_too_many(seed: int) -> None:
    people = 30
    events = []
    for number in range(people):
        events += [visitor(f"d{number}"), visitor(f"e{number}"), visitor(f"d{number}", user_id=number)]
        events += [visitor(f"e{number}", user_id=number), {"user_id": number, "email": f"p{number}@example.com"}]
    events *= 2
    random.Random(seed).shuffle(events)

    def work(part: list[dict[str, object]]) -> None:
        for start in range(0, len(part), 10):
            batch = [event(payload, at=start) for payload in part[start : start + 10]]
            while True:
                with suppress(Contended):  # a worker leaves it for later then
                    take(*batch)
                    break
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, [events[0::3], events[1::3], events[2::3]]))
    assert len(alive()) == people
    assert all({"user_id", "email"} <= each.properties.keys() for each in alive())
    owners = dict(ProfileIdentity.objects.filter(rule_id=0).values_list("value", "profile_id"))
    assert {each: owners[f"d{each.properties['user_id']}"] for each in alive()} == {each: each.pk for each in alive()}
    assert Event.objects.count() == len(events)
