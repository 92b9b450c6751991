"""Groups against plain Python: random worlds, in which everything that can change membership happens in any order.

After each step every group has to hold exactly whom plain Python puts into it, whichever way it came about: full
recalculation, batches, moving boundaries, changes by hand, groups that read groups. Counts and explanations have to say
the same. ORACLE_SECONDS says for how long (make test: 90 s over all processes); a failure names its seed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from core.accounts import project
from core.accounts.actors import SYSTEM
from groups import boundaries, groups_store, membership
from groups.counting import count
from groups.explaining import Explanation, explain
from groups.models import Group, GroupKind
from profiles.models import Profile, ProfilePropertyRule
from tests.groups import worlds
from tests.groups.people import forget_caches, logged, make_rules, members, recalculate_all
from tests.groups.worlds import STEPS, World

pytestmark = pytest.mark.django_db
SetClock = Callable[[datetime], None]

PARTS = 3
SECONDS = float(os.environ.get("ORACLE_SECONDS", "90")) / PARTS
FIRST_SEED = int(os.environ.get("ORACLE_SEED", "1"))
SAMPLES = 12  # moments before what is foreseen at which nothing may have changed


@pytest.mark.parametrize("part", range(PARTS))
def test_random_worlds_agree_with_plain_python_whatever_happens(
    part: int, set_clock: SetClock, record_property: Callable[[str, object], None]
) -> None:
    until, seed, cases = time.monotonic() + SECONDS, FIRST_SEED + part * 1_000_000, 0
    while time.monotonic() < until:
        try:
            with transaction.atomic():
                cases += _play(worlds.begin(seed), set_clock)
                transaction.set_rollback(True)
        except Exception as error:
            error.add_note(f"the seed is {seed}: ORACLE_SEED={seed} plays it again")
            raise
        finally:
            forget_caches()
        seed += 1
    assert cases > 0
    record_property("cases", cases)
    print(f"{seed - FIRST_SEED - part * 1_000_000} worlds, {cases} answers compared")


def _play(world: World, set_clock: SetClock) -> int:
    """One world from its beginning to its end; how many answers were compared."""
    project.update({"time_zone": str(world.zone), "event_retention_days": 3650}, actor=SYSTEM)
    project.forget()
    set_clock(world.now)
    rules = make_rules(*world.keys)
    worlds.add_people(world, 8)
    for guid in world.people:
        worlds.happen(world, guid, world.rng.choice((0, 1, 3)))
    for number in range(world.rng.choice((2, 3, 4))):
        _make_group(world, number)
    recalculate_all()
    cases = _compare(world)
    for _ in range(world.rng.choice((3, 5))):
        world.rng.choice((_change_people, _let_time_pass, _let_time_pass, _change_rules, _move_by_hand))(
            world, rules, set_clock
        )
        cases += _compare(world)
    cases += _compare_counts(world) + _compare_explanations(world)
    return cases


Rules = dict[str, ProfilePropertyRule]


def _make_group(world: World, number: int) -> None:
    if world.rng.random() < 0.2:
        group = groups_store.create_group(f"Manual {number}", kind=GroupKind.MANUAL, actor=SYSTEM)
        chosen = world.rng.sample(list(world.people), 3)
        groups_store.add_members(group.pk, chosen, actor=SYSTEM)
        world.manual[group.pk] = set(chosen)
        return
    tree = worlds.tree(world, reads=[*world.trees, *world.manual])
    group = groups_store.create_group(f"Group {number}", kind=GroupKind.CALCULATED, rules=tree, actor=SYSTEM)
    world.trees[group.pk] = tree


def _change_people(world: World, rules: Rules, set_clock: SetClock) -> None:
    """A batch: some get other values, some do something, some are new; now and then later than the last sweep."""
    is_later = world.rng.random() < 0.5
    world.now += timedelta(seconds=is_later)
    set_clock(world.now)
    created = worlds.add_people(world, 1) if world.rng.random() < 0.3 else []
    changed = [guid for guid in world.people if world.rng.random() < 0.4 and guid not in created]
    for guid in changed:
        worlds.change(world, guid)
    happened = [event for guid in world.people if world.rng.random() < 0.4 for event in worlds.happen(world, guid, 1)]
    membership.refresh(
        [*created, *changed],
        changed_rules=frozenset(rule.pk for rule in rules.values()) if changed else frozenset(),
        created=bool(created),
        happened=happened,
    )
    if is_later:
        boundaries.sweep()


def _let_time_pass(world: World, rules: Rules, set_clock: SetClock) -> None:
    world.now += world.rng.choice(STEPS)
    set_clock(world.now)
    boundaries.sweep()


def _change_rules(world: World, rules: Rules, set_clock: SetClock) -> None:
    """A group asks something else; it may read any group made before it."""
    if not world.trees:
        return
    group_id = world.rng.choice(list(world.trees))
    before = [other for other in (*world.trees, *world.manual) if other < group_id]
    tree = worlds.tree(world, reads=before)
    groups_store.update_rules(group_id, tree, actor=SYSTEM)
    world.trees[group_id] = tree
    recalculate_all()


def _move_by_hand(world: World, rules: Rules, set_clock: SetClock) -> None:
    for group_id, inside in world.manual.items():
        chosen = world.rng.sample(list(world.people), 3)
        if world.rng.random() < 0.5:
            groups_store.add_members(group_id, chosen, actor=SYSTEM)
            inside |= set(chosen)
        else:
            groups_store.remove_members(group_id, chosen, actor=SYSTEM)
            inside -= set(chosen)


# ---------------------------------------------------------------- comparing


def _compare(world: World) -> int:
    for group_id, expected in world.expected().items():
        group = Group(pk=group_id)
        assert members(group) == expected, (world.now, world.trees.get(group_id))
        assert logged(group) == expected
    return len(world.people) * (len(world.trees) + len(world.manual))


def _compare_counts(world: World) -> int:
    inside, cases = world.expected(), 0
    for tree in world.trees.values():
        counted = count(tree)
        takes = [guid for guid, being in world.people.items() if world.holds(tree, guid, being, inside, now=world.now)]
        assert (counted.everyone, counted.matching) == (len(world.people), len(takes))
        assert set(counted.sample) <= set(takes)
        assert len(counted.sample) == min(10, len(takes))
        for place, step in enumerate(counted.funnel):
            cut = {"match": tree["match"], "rules": tree["rules"][: place + 1]}
            holding = [world.holds(cut, guid, being, inside, now=world.now) for guid, being in world.people.items()]
            assert step.people == sum(holding)
        for leaf in counted.leaves:
            found = _at(tree, leaf.path)
            holding = [world.holds(found, guid, being, inside, now=world.now) for guid, being in world.people.items()]
            assert leaf.alone == sum(holding), found
            cases += len(holding)
    return cases


def _compare_explanations(world: World) -> int:
    inside, cases = world.expected(), 0
    groups = list(Group.objects.filter(pk__in=world.trees))
    for guid, being in world.people.items():
        explained = explain(Profile.objects.get(pk=guid), groups, now=world.now)
        for group_id, tree in world.trees.items():
            found = explained[group_id]
            assert found.holds is (guid in inside[group_id])
            assert (found.missing == 0) is found.holds
            for reason in found.reasons:
                asked = _at(tree, reason.path)
                assert reason.holds is world.holds(asked, guid, being, inside, now=world.now), asked
                cases += 1
            _check_foreseen(world, tree, found, partial(_holds_at, world, tree, guid, inside))
    return cases


def _holds_at(world: World, tree: dict[str, Any], guid: UUID, inside: dict[int, set[UUID]], moment: datetime) -> bool:
    return world.holds(tree, guid, world.people[guid], inside, now=moment)


def _check_foreseen(
    world: World, tree: dict[str, Any], found: Explanation, holds_at: Callable[[datetime], bool]
) -> None:
    """What is foreseen comes true at that very moment, and nothing turns round before."""
    if found.flips_at is not None:
        assert holds_at(found.flips_at) is not found.holds, tree
        assert holds_at(found.flips_at - timedelta(microseconds=1)) is found.holds, tree
    end = found.flips_at or world.now + timedelta(days=400)
    for _ in range(SAMPLES):
        moment = world.now + (end - world.now) * world.rng.random()
        if moment < end:
            assert holds_at(moment) is found.holds, tree


def _at(tree: dict[str, Any], path: str) -> dict[str, Any]:
    for place in path.split("."):
        tree = tree["rules"][int(place)]
    return tree
