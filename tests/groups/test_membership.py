"""Who is in which group: batches, full recalculations and plain Python agree, and the log tells the same."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.accounts.actors import SYSTEM
from core.accounts.models import AuditEntry
from core.lib.errors import InvalidInput, NotFound, Refused
from core.work.models import Work, WorkState
from groups import membership, recalculation
from groups.groups_store import add_members, create_group, delete_group, remove_members, rename_group, update_rules
from groups.models import Group, GroupKind, GroupMember, GroupMembershipChange, GroupRuleUse, GroupSize
from profiles.models import Profile, ProfilePropertyRule
from tests.factories import make_profiles, make_rule, set_properties
from tests.groups.people import calculated, expected, forget_caches, logged, make_rules, members, recalculate_all
from tests.groups.strategies import PROPERTIES, people, trees

pytestmark = pytest.mark.django_db

SPENT = {"property": "ltv", "operator": "greater_than", "value": 0}
FRENCH = {"property": "locale", "operator": "equals", "value": "fr"}
NOT_FRENCH = {"property": "locale", "operator": "does_not_equal", "value": "fr"}


@pytest.fixture
def rules() -> dict[str, ProfilePropertyRule]:
    """Two properties, by key."""
    return {"ltv": make_rule("ltv", "float"), "locale": make_rule("locale")}


def refresh(*guids: Any, rules: Any = (), created: bool = False) -> int:
    """Refresh as the pipeline does."""
    with transaction.atomic():
        changed = frozenset(rule.pk for rule in rules)
        return membership.refresh(guids, changed_rules=changed, created=created)


def test_a_changed_profile_joins_and_leaves_at_once_and_both_are_logged(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("Buyers", SPENT)
    alice, bob = make_profiles([{"ltv": 10}, {"ltv": 0}])
    assert refresh(alice, bob, created=True) == 1
    assert members(group) == {alice}
    set_properties(alice, {"ltv": 0})
    set_properties(bob, {"ltv": 5})
    assert refresh(alice, bob, rules=[rules["ltv"]]) == 2
    assert members(group) == {bob} == logged(group)
    log = GroupMembershipChange.objects.order_by("id").values_list("profile_id", "joined", "cause")
    assert sorted(log, key=str) == sorted(
        [(alice, True, "profile"), (bob, True, "profile"), (alice, False, "profile")], key=str
    )


def test_only_groups_that_read_what_changed_are_evaluated(rules: dict[str, ProfilePropertyRule]) -> None:
    buyers, french = calculated("Buyers", SPENT), calculated("French", FRENCH)
    [alice] = make_profiles([{"ltv": 10, "locale": "fr"}])
    assert refresh(alice, rules=[rules["locale"]]) == 1
    assert (members(buyers), members(french)) == (set(), {alice})


def test_new_profiles_are_looked_at_by_every_group_also_by_those_that_ask_for_no_value(
    rules: dict[str, ProfilePropertyRule],
) -> None:
    group = calculated("Not French", NOT_FRENCH)
    known = calculated("Known not to be French", {**NOT_FRENCH, "include_null": False})
    [alice, bob] = make_profiles([{}, {"locale": "en"}])
    refresh(alice, bob, created=True)
    assert members(group) == {alice, bob}
    assert members(known) == {bob}


def test_nothing_changed_costs_no_statement_and_nothing_moved_writes_nothing(
    rules: dict[str, ProfilePropertyRule],
) -> None:
    calculated("Buyers", SPENT)
    guids = make_profiles([{"ltv": n} for n in range(50)])
    refresh(*guids, created=True)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert membership.refresh(guids, changed_rules=frozenset(), created=False) == 0
    assert len(queries) == 0
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        assert membership.refresh(guids, changed_rules=frozenset([rules["ltv"].pk]), created=False) == 0
    assert not [query for query in queries if "insert" in query["sql"]]


@pytest.mark.parametrize("groups", [1, 20])
def test_a_batch_costs_the_same_statements_however_many_profiles_and_groups(
    rules: dict[str, ProfilePropertyRule], groups: int
) -> None:
    for number in range(groups):
        calculated(f"Above {number}", {**SPENT, "value": number})
    guids = make_profiles([{"ltv": n} for n in range(200)])
    refresh(guids[0], created=True)
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        membership.refresh(guids, changed_rules=frozenset(), created=True)
    assert len(queries) <= 6  # among them the version of the property rules; members and their log are two


def test_a_merged_profile_is_in_no_calculated_group(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("Buyers", SPENT)
    alice, bob = make_profiles([{"ltv": 1}, {"ltv": 1}])
    refresh(alice, bob, created=True)
    Profile.objects.filter(pk=bob).update(merged_into=alice)
    refresh(bob, rules=[rules["ltv"]])
    assert members(group) == {alice}


def test_a_recalculation_inserts_the_missing_deletes_the_extra_and_logs_both(
    rules: dict[str, ProfilePropertyRule],
) -> None:
    alice, bob, charlie = make_profiles([{"ltv": 1}, {"ltv": 0}, {"ltv": 2}])
    group = calculated("Buyers", SPENT)
    GroupMember.objects.bulk_create(
        [GroupMember(group=group, profile_id=guid, created_at=timezone.now()) for guid in (bob, charlie, uuid4())]
    )
    recalculate_all()
    assert members(group) == {alice, charlie}
    causes = set(GroupMembershipChange.objects.values_list("cause", "joined"))
    assert causes == {("rules", True), ("rules", False)}
    group.refresh_from_db()
    assert group.calculated_version == group.rules_version == 1
    assert GroupSize.objects.get(group=group).size == 2


def test_a_recalculation_in_many_slices_counts_and_misses_nobody(
    rules: dict[str, ProfilePropertyRule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalculation, "_FIRST_SIZE", 7)
    monkeypatch.setattr(recalculation, "_GREATEST_SIZE", 7)
    monkeypatch.setattr(recalculation, "_LEAST_SIZE", 7)
    guids = make_profiles([{"ltv": n % 3} for n in range(100)])
    group = calculated("Buyers", SPENT)
    recalculate_all()
    assert members(group) == {guid for n, guid in enumerate(guids) if n % 3}
    work = Work.objects.get()
    assert (work.state, work.done, work.total) == (WorkState.COMPLETE, 100, 100)


def test_rules_that_change_during_a_recalculation_start_it_over(
    rules: dict[str, ProfilePropertyRule], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("_FIRST_SIZE", "_GREATEST_SIZE", "_LEAST_SIZE"):
        monkeypatch.setattr(recalculation, bound, 10)
    guids = make_profiles([{"ltv": n} for n in range(40)])
    group = calculated("Buyers", SPENT)
    slices = 0
    real = membership.recalculate_range

    def change_in_the_middle(*args: Any, **more: Any) -> int:
        nonlocal slices
        slices += 1
        if slices == 2:
            update_rules(group.pk, {"match": "all", "rules": [{**SPENT, "value": 20}]}, actor=SYSTEM)
        return real(*args, **more)

    monkeypatch.setattr(membership, "recalculate_range", change_in_the_middle)
    recalculate_all()
    assert members(group) == set(guids[21:]) == logged(group)
    assert slices == 2 + 5  # two under the old rules, then from the first profile to the empty end
    group.refresh_from_db()
    assert group.calculated_version == group.rules_version == 2


def test_rules_that_change_during_the_last_slice_are_not_taken_for_calculated(
    rules: dict[str, ProfilePropertyRule], monkeypatch: pytest.MonkeyPatch
) -> None:
    guids = make_profiles([{"ltv": n} for n in range(4)])
    group = calculated("Buyers", SPENT)
    real = membership.recalculate_range
    later = [{**SPENT, "value": 2}]

    def change_at_the_end(*args: Any, **more: Any) -> int:
        if later:
            update_rules(group.pk, {"match": "all", "rules": [later.pop()]}, actor=SYSTEM)
        return real(*args, **more)

    monkeypatch.setattr(membership, "recalculate_range", change_at_the_end)
    recalculate_all()
    assert members(group) == {guids[3]}


def test_a_group_whose_rules_make_no_sense_any_more_stops_no_import(rules: dict[str, ProfilePropertyRule]) -> None:
    broken, group = calculated("Broken", FRENCH), calculated("Buyers", SPENT)
    Group.objects.filter(pk=broken.pk).update(rules={"match": "all", "rules": [{**FRENCH, "operator": "sounds_like"}]})
    [alice] = make_profiles([{"ltv": 1, "locale": "fr"}])
    refresh(alice, created=True)
    assert (members(group), members(broken)) == ({alice}, set())
    recalculate_all()
    failed = Work.objects.get(subject=str(broken.pk))
    assert failed.state == WorkState.FAILED
    assert "locale (string) can be asked" in failed.error


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    trees_of_groups=st.lists(trees(), min_size=1, max_size=4),
    before=st.lists(people(), min_size=6, max_size=6),
    after=st.lists(people(), min_size=6, max_size=6),
)
def test_batches_recalculation_and_plain_python_agree(
    trees_of_groups: list[dict[str, Any]], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    forget_caches()
    with transaction.atomic():
        made = make_rules(*PROPERTIES)
        groups = [
            create_group(f"Group {n}", kind=GroupKind.CALCULATED, rules=tree, actor=SYSTEM)
            for n, tree in enumerate(trees_of_groups)
        ]
        guids = make_profiles(before)
        recalculate_all()
        for group in groups:
            assert members(group) == expected(group, now=timezone.now())
        for guid, old, new in zip(guids, before, after, strict=True):
            set_properties(guid, new)
            changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
            refresh(guid, rules=[made[key] for key in changed])
        for group in groups:
            assert members(group) == expected(group, now=timezone.now()) == logged(group)
        log_size = GroupMembershipChange.objects.count()
        for group in groups:
            recalculation.start(group.pk, version=group.rules_version)
        recalculate_all()
        assert GroupMembershipChange.objects.count() == log_size, "a recalculation found something that batches left"
        transaction.set_rollback(True)


# ---------------------------------------------------------------- the store


def test_people_are_added_to_and_removed_from_a_manual_group_by_hand_alone(
    rules: dict[str, ProfilePropertyRule],
) -> None:
    group = create_group("Friends", kind=GroupKind.MANUAL, actor=SYSTEM)
    alice, bob, charlie = make_profiles([{"ltv": 1}] * 3)
    assert add_members(group.pk, [alice, bob, alice, uuid4()], actor=SYSTEM) == 2
    assert remove_members(group.pk, [bob, charlie], actor=SYSTEM) == 1
    refresh(alice, bob, charlie, rules=rules.values(), created=True)
    recalculate_all()
    assert members(group) == {alice} == logged(group)
    assert set(GroupMembershipChange.objects.values_list("cause", flat=True)) == {"system"}


def test_a_calculated_group_takes_nobody_by_hand_and_a_manual_one_no_rules(
    rules: dict[str, ProfilePropertyRule],
) -> None:
    manual = create_group("Friends", kind=GroupKind.MANUAL, actor=SYSTEM)
    group = calculated("Buyers", SPENT)
    with pytest.raises(Refused, match="its members follow from its rules"):
        add_members(group.pk, [uuid4()], actor=SYSTEM)
    with pytest.raises(Refused, match="no rules"):
        update_rules(manual.pk, {"match": "all", "rules": [SPENT]}, actor=SYSTEM)
    with pytest.raises(InvalidInput, match="no rules"):
        create_group("Both", kind=GroupKind.MANUAL, rules={"match": "all", "rules": [SPENT]}, actor=SYSTEM)


@pytest.mark.parametrize(("name", "words"), [("", "name"), ("  ", "name"), ("x" * 201, "200"), ("BUYERS", "already")])
def test_a_name_is_given_short_and_not_taken(rules: dict[str, ProfilePropertyRule], name: str, words: str) -> None:
    calculated("Buyers", SPENT)
    other = create_group("Others", kind=GroupKind.MANUAL, actor=SYSTEM)
    with pytest.raises(InvalidInput, match=words):
        create_group(name, kind=GroupKind.MANUAL, actor=SYSTEM)
    with pytest.raises(InvalidInput, match=words):
        rename_group(other.pk, name=name, actor=SYSTEM)


def test_what_a_group_reads_is_rows_that_keep_the_property_rule(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("French buyers", SPENT, FRENCH)
    uses = GroupRuleUse.objects.filter(group=group).order_by("leaf")
    assert list(uses.values_list("leaf", "rule__key", "swept_until")) == [("0", "ltv", None), ("1", "locale", None)]
    update_rules(group.pk, {"match": "any", "rules": [FRENCH]}, actor=SYSTEM)
    assert list(uses.values_list("leaf", "rule__key")) == [("0", "locale")]


def test_the_same_rules_again_change_nothing(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("Buyers", SPENT)
    recalculate_all()
    assert update_rules(group.pk, group.rules or {}, actor=SYSTEM).rules_version == 1
    assert Work.objects.filter(state=WorkState.PENDING).count() == 0


def test_from_a_deleted_group_everyone_leaves_and_the_log_keeps_that(rules: dict[str, ProfilePropertyRule]) -> None:
    [alice] = make_profiles([{"ltv": 1}])
    group = calculated("Buyers", SPENT)
    recalculate_all()
    delete_group(group.pk, actor=SYSTEM)
    log = GroupMembershipChange.objects.filter(profile_id=alice).order_by("id").values_list("joined", "cause")
    assert list(log) == [(True, "rules"), (False, "system")]
    assert not GroupRuleUse.objects.exists()
    with pytest.raises(NotFound):
        delete_group(group.pk, actor=SYSTEM)


def test_a_group_deleted_during_its_recalculation_ends_the_work(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("Buyers", SPENT)
    delete_group(group.pk, actor=SYSTEM)
    recalculate_all()
    assert Work.objects.get().state == WorkState.STOPPED


def test_every_change_to_a_group_is_in_the_audit_log(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("Buyers", SPENT)
    rename_group(group.pk, name="Customers", actor=SYSTEM)
    update_rules(group.pk, {"match": "any", "rules": [FRENCH]}, actor=SYSTEM)
    delete_group(group.pk, actor=SYSTEM)
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["group.create", "group.rename", "group.update_rules", "group.delete"]


def test_sizes_are_kept_once_a_day(rules: dict[str, ProfilePropertyRule]) -> None:
    group = calculated("Buyers", SPENT)
    guids = make_profiles([{"ltv": 1}] * 3)
    membership.record_sizes()
    refresh(*guids, created=True)
    membership.record_sizes()
    membership.record_sizes()
    assert [size.size for size in GroupSize.objects.filter(group=group)] == [3]
