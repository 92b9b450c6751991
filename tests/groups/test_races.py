"""Recalculations, batches, edits and sweeps at the same time, on real connections: nobody is left behind."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.accounts.actors import SYSTEM
from core.work.models import UNFINISHED, Work
from groups import boundaries, locks, membership, recalculation
from groups.definitions import define_many
from groups.groups_store import create_group, move_members, update_rules
from groups.models import Group, GroupKind
from profiles import ruleset
from profiles.models import Profile, ProfilePropertyRule
from tests.factories import make_profiles, make_rule, set_properties
from tests.groups.people import calculated, expected, logged, members, recalculate_all
from tests.groups.strategies import stored_date
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SPENT = {"property": "ltv", "operator": "greater_than", "value": 0}


@pytest.fixture
def ltv() -> ProfilePropertyRule:
    """A number property."""
    return make_rule("ltv", "float")


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recalculations of many short slices, so that others come between."""
    for bound in ("_FIRST_SIZE", "_GREATEST_SIZE", "_LEAST_SIZE"):
        monkeypatch.setattr(recalculation, bound, 20)


@pytest.fixture
def run() -> Iterator[Callable[..., Future[None]]]:
    """Return a function that runs another in a thread of its own, with a connection of its own."""
    with ThreadPoolExecutor(8) as pool:

        def with_connection(function: Callable[[], None]) -> None:
            try:
                function()
            finally:
                connection.close()

        yield lambda function: pool.submit(with_connection, function)


@contextmanager
def batch(guid: UUID, rule: ProfilePropertyRule, value: object) -> Iterator[None]:
    """A pipeline's transaction about one profile, still open inside the block: rules held, profile locked, written."""
    with transaction.atomic():
        assert ruleset.hold(ruleset.load().version)
        with connection.cursor() as cursor:
            cursor.execute("select from profile where guid = %s for no key update", [guid])
        set_properties(guid, {rule.key: value})
        yield


def refresh(guid: UUID, rule: ProfilePropertyRule) -> None:
    """What the pipeline does after writing."""
    membership.refresh([guid], changed_rules=frozenset([rule.pk]), created=False)


def somebody_waits_for_a_lock() -> bool:
    """Whether another connection waits for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from pg_locks where locktype = 'advisory' and not granted)")
        return bool(cursor.fetchone()[0])


def test_who_stopped_matching_in_an_open_batch_does_not_stay_through_a_recalculation(
    ltv: ProfilePropertyRule, run: Callable[..., Future[None]]
) -> None:
    [alice] = make_profiles([{"ltv": 1}])
    group = calculated("Buyers", SPENT)
    recalculate_all()
    recalculation.start(group.pk, version=1)
    with batch(alice, ltv, 0):
        refresh(alice, ltv)
        working = run(recalculate_all)
        wait_until(somebody_waits_for_a_lock, what="the recalculation waits for the batch")
    working.result(timeout=10)
    assert members(group) == set() == logged(group)


def test_a_batch_that_evaluated_before_the_rules_changed_is_waited_for(
    ltv: ProfilePropertyRule, run: Callable[..., Future[None]]
) -> None:
    """The batch reads which groups are concerned while no group reads what it wrote; one does when it commits."""
    locale = make_rule("locale")
    [alice] = make_profiles([{}])
    group = calculated("Buyers", {"property": "locale", "operator": "equals", "value": "fr"})
    recalculate_all()
    with batch(alice, ltv, 5):
        refresh(alice, ltv)
        changing = run(lambda: update_rules(group.pk, {"match": "all", "rules": [SPENT]}, actor=SYSTEM))
        changing.result(timeout=10)
        working = run(recalculate_all)
        wait_until(somebody_waits_for_a_lock, what="the recalculation waits for the batch")
    working.result(timeout=10)
    assert locale.pk
    assert members(group) == {alice}


def test_a_batch_waits_for_a_slice_and_sees_what_it_did(
    ltv: ProfilePropertyRule, run: Callable[..., Future[None]]
) -> None:
    [alice] = make_profiles([{"ltv": 1}])
    group = calculated("Buyers", SPENT)

    def leave() -> None:
        with batch(alice, ltv, 0):
            refresh(alice, ltv)

    with transaction.atomic():
        locked = locks.lock(group.pk)
        assert locked is not None
        leaving = run(leave)
        wait_until(somebody_waits_for_a_lock, what="the batch waits for the slice")
        definition = define_many([(group.pk, locked.version, locked.rules)])[0]
        membership.recalculate_range(definition, [], after=None, until=None, now=locked.now)
        assert members(group) == {alice}
    leaving.result(timeout=10)
    assert members(group) == set() == logged(group)


def test_many_batches_recalculations_and_edits_at_once_end_in_the_right_members(
    ltv: ProfilePropertyRule, small_slices: None, run: Callable[..., Future[None]]
) -> None:
    guids = make_profiles([{"ltv": n % 2} for n in range(300)])
    groups = [calculated(f"Above {n}", {**SPENT, "value": n}) for n in range(2)]
    until = time.monotonic() + 2.5

    def write(seed: int) -> None:
        choose = random.Random(seed)
        while time.monotonic() < until:
            some = sorted(choose.sample(guids, 5))
            with transaction.atomic():
                assert ruleset.hold(ruleset.load().version)
                with connection.cursor() as cursor:
                    cursor.execute("select from profile where guid = any(%s) order by guid for no key update", [some])
                for guid in some:
                    set_properties(guid, {"ltv": choose.randrange(4)})
                membership.refresh(some, changed_rules=frozenset([ltv.pk]), created=False)

    def recalculate() -> None:
        while time.monotonic() < until:
            for group in groups:
                with transaction.atomic():
                    recalculation.start(group.pk, version=group.rules_version)
            recalculation.recalculate_some()

    def edit() -> None:
        choose = random.Random(0)
        while time.monotonic() < until:
            update_rules(
                groups[0].pk, {"match": "all", "rules": [{**SPENT, "value": choose.randrange(3)}]}, actor=SYSTEM
            )
            threading.Event().wait(0.05)

    for done in [run(lambda seed=seed: write(seed)) for seed in range(3)] + [
        run(recalculate),
        run(recalculate),
        run(edit),
    ]:
        done.result(timeout=60)
    recalculate_all()
    for group in groups:
        assert members(group) == expected(group, now=timezone.now()) == logged(group)
        group.refresh_from_db()
        assert group.calculated_version == group.rules_version


def test_groups_that_read_groups_end_right_whoever_moves_whom_at_the_same_time(
    ltv: ProfilePropertyRule, small_slices: None, run: Callable[..., Future[None]]
) -> None:
    """Two properties, so that a batch may concern a follower alone while what it reads is recalculated, and by hand."""
    locale = make_rule("locale")
    guids = make_profiles([{"ltv": n % 2, "locale": "fr"} for n in range(200)])
    guests = create_group("Guests", kind=GroupKind.MANUAL, actor=SYSTEM)
    buyers = calculated("Buyers", SPENT)
    french = {"property": "locale", "operator": "equals", "value": "fr"}
    both = calculated("French buyers", french, {"group": buyers.pk, "operator": "in"})
    others = calculated("No guests", {"group": both.pk, "operator": "in"}, {"group": guests.pk, "operator": "not_in"})
    until = time.monotonic() + 3

    def write(seed: int) -> None:
        choose = random.Random(seed)
        while time.monotonic() < until:
            some = sorted(choose.sample(guids, 3))
            rule, value = choose.choice([(ltv, choose.randrange(3)), (locale, choose.choice(["fr", "de"]))])
            with transaction.atomic():
                assert ruleset.hold(ruleset.load().version)
                with connection.cursor() as cursor:
                    cursor.execute("select from profile where guid = any(%s) order by guid for no key update", [some])
                    cursor.execute(
                        "update profile set properties = properties || jsonb_build_object(%s::text, %s::jsonb)"
                        " where guid = any(%s)",
                        [rule.key, json.dumps(value), some],
                    )
                membership.refresh(some, changed_rules=frozenset([rule.pk]), created=False)

    def edit() -> None:
        choose = random.Random(0)
        while time.monotonic() < until:
            asked = {**SPENT, "value": choose.randrange(2)}
            update_rules(buyers.pk, {"match": "all", "rules": [asked]}, actor=SYSTEM)
            threading.Event().wait(0.05)

    def work() -> None:
        while time.monotonic() < until:
            recalculation.recalculate_some()

    def invite() -> None:
        choose = random.Random(1)
        while time.monotonic() < until:
            act = choose.choice(["add", "remove", "replace"])
            move_members(guests.pk, choose.sample(guids, 20), act=act, actor=SYSTEM)

    jobs = [run(lambda seed=seed: write(seed)) for seed in range(3)]
    for done in [*jobs, run(work), run(work), run(edit), run(invite)]:
        done.result(timeout=60)
    while Work.objects.filter(state__in=UNFINISHED).exists():
        recalculation.recalculate_some()
    values = dict(Profile.objects.values_list("guid", "properties"))
    buyers.refresh_from_db()
    assert buyers.rules is not None
    least = buyers.rules["rules"][0]["value"]
    rich = {guid for guid, found in values.items() if found["ltv"] > least}
    assert members(buyers) == rich == logged(buyers)
    fine = {guid for guid in rich if values[guid]["locale"] == "fr"}
    assert members(both) == fine == logged(both)
    assert members(others) == fine - members(guests) == logged(others)


def test_batches_alone_keep_members_right_after_a_recalculation_beside_them(
    ltv: ProfilePropertyRule, small_slices: None, run: Callable[..., Future[None]]
) -> None:
    """No recalculation comes after the last batch, so nothing hides what was missed."""
    guids = make_profiles([{"ltv": 1} for _ in range(400)])
    group = calculated("Buyers", SPENT)

    def empty_all(seed: int) -> None:
        mine = guids[seed::2]
        random.Random(seed).shuffle(mine)
        for guid in mine:
            with batch(guid, ltv, 0):
                refresh(guid, ltv)

    for done in [run(lambda: empty_all(0)), run(lambda: empty_all(1)), run(recalculate_all)]:
        done.result(timeout=60)
    assert not Work.objects.filter(state__in=UNFINISHED).exists()
    assert members(group) == set() == logged(group)


def test_two_workers_share_recalculations_without_doing_anything_twice(
    ltv: ProfilePropertyRule, small_slices: None, run: Callable[..., Future[None]]
) -> None:
    guids = make_profiles([{"ltv": n % 3} for n in range(500)])
    groups = [calculated(f"Above {n}", {**SPENT, "value": n}) for n in range(3)]
    for done in [run(recalculate_all) for _ in range(3)]:
        done.result(timeout=60)
    for n, group in enumerate(groups):
        assert members(group) == {guid for place, guid in enumerate(guids) if place % 3 > n} == logged(group)


def test_a_sweep_waits_for_a_batch_whose_dates_it_cannot_see_yet(run: Callable[..., Future[None]]) -> None:
    seen = make_rule("seen", "date")
    alice, bob = make_profiles([{}, {}])
    value = {"amount": 1, "unit": "hours"}
    group = calculated("Lately", {"property": "seen", "operator": "in_the_past", "value": value})
    recalculate_all()
    passing = timezone.now() - timedelta(hours=1) + timedelta(milliseconds=300)
    with batch(bob, seen, stored_date(passing)):
        refresh(bob, seen)
    with batch(alice, seen, stored_date(passing)):
        refresh(alice, seen)
        assert alice in members(group)
        wait_until(lambda: timezone.now() - timedelta(hours=1) > passing, what="the dates have passed the boundary")
        sweeping = run(boundaries.sweep)
        wait_until(lambda: somebody_waits_for_a_lock() or sweeping.done(), what="the sweep waits for the batch")
    sweeping.result(timeout=10)
    assert members(group) == set() == logged(group)


def test_sweeps_beside_batches_leave_nobody_behind(run: Callable[..., Future[None]]) -> None:
    seen = make_rule("seen", "date")
    guids = make_profiles([{} for _ in range(100)])
    value = {"amount": 1, "unit": "hours"}
    group = calculated("Lately", {"property": "seen", "operator": "in_the_past", "value": value})
    recalculate_all()
    until = time.monotonic() + 2.0

    def write(seed: int) -> None:
        """Dates that pass the boundary within fractions of a second of being written."""
        choose = random.Random(seed)
        while time.monotonic() < until:
            guid = choose.choice(guids[seed::2])
            soon = timezone.now() - timedelta(hours=1) + timedelta(milliseconds=choose.randrange(-20, 60))
            with batch(guid, seen, stored_date(soon)):
                refresh(guid, seen)

    def sweep() -> None:
        while time.monotonic() < until:
            boundaries.sweep()

    for done in [run(lambda: write(0)), run(lambda: write(1)), run(sweep), run(sweep)]:
        done.result(timeout=60)
    wait_until(lambda: sweep_leaves_nobody(group), what="every date has passed its boundary", within=5)
    assert logged(group) == set()


def sweep_leaves_nobody(group: Group) -> bool:
    """Sweep once more; whether the group is empty."""
    boundaries.sweep()
    return not members(group)
