"""Making, changing and deleting groups. The only writer of `Group` and `GroupRuleUse`, but for the marks of progress.

Every function writes the audit log in its own transaction and checks no roles: doors do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import F, ProtectedError
from django.db.models.functions import Now

from core.accounts import audit, project
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from groups import membership, recalculation
from groups.compile import boundaries
from groups.models import Group, GroupKind, GroupRuleUse
from groups.sentence import say_tree
from groups.tree import Node, read_tree, write_tree
from profiles import ruleset
from profiles.models import ProfilePropertyRule, ValueTypeName
from profiles.rules import set_timed

MAX_NAME = 200


def check_rules(rules: Any) -> Node:
    """The tree of these rules as they would be used now; raises InvalidInput with what to mend."""
    return read_tree(rules, by_key=ruleset.load().by_key, region=project.current().phone_region)


def create_group(name: str, *, kind: str, rules: Mapping[str, Any] | None = None, actor: Actor) -> Group:
    """Make a group. A calculated one needs rules, see `groups/tree.py`, and fills in the background."""
    if kind not in GroupKind.values:
        raise _invalid("kind", "A group is manual or calculated.")
    if kind == GroupKind.MANUAL and rules:
        raise _invalid("rules", "A manual group has no rules: people are added to it by hand.")
    name = _check_name(name)
    node = check_rules(rules) if kind == GroupKind.CALCULATED else None
    with transaction.atomic():
        if node is not None:
            _follow_dates(node, actor=actor)
        try:
            with transaction.atomic():
                group = Group.objects.create(name=name, kind=kind, rules=write_tree(rules) if rules else None)
        except IntegrityError as error:
            raise _invalid("name", f"There is already a group named {name}.") from error
        if node is not None:
            _write_uses(group, node)
            recalculation.start(group.pk, version=group.rules_version)
        audit.record("group.create", group, after=describe(group), actor=actor)
    return group


def rename_group(group_id: int, *, name: str, actor: Actor) -> Group:
    """Give a group another name."""
    name = _check_name(name)
    with transaction.atomic():
        group = _locked(group_id)
        before = describe(group)
        group.name = name
        try:
            with transaction.atomic():
                group.save(update_fields=["name", "updated_at"])
        except IntegrityError as error:
            raise _invalid("name", f"There is already a group named {name}.") from error
        audit.record("group.rename", group, before=before, after=describe(group), actor=actor)
    return group


def update_rules(group_id: int, rules: Mapping[str, Any], *, actor: Actor) -> Group:
    """Change what a calculated group asks; its members follow in the background. The same rules change nothing."""
    node = check_rules(rules)
    written = write_tree(rules)
    with transaction.atomic():
        _follow_dates(node, actor=actor)
        group = _locked(group_id)
        if group.kind != GroupKind.CALCULATED:
            raise Refused("A manual group has no rules: people are added to it by hand.")
        if group.rules == written:
            return group
        before, dated = describe(group), _dated_rules(group)
        group.rules = written
        group.rules_version += 1
        group.save(update_fields=["rules", "rules_version", "updated_at"])
        _write_uses(group, node)
        recalculation.start(group.pk, version=group.rules_version, dated=dated)
        audit.record("group.update_rules", group, before=before, after=describe(group), actor=actor)
    return group


def recalculate_group(group_id: int, *, actor: Actor) -> None:
    """Go through all profiles again, as after a change of rules."""
    with transaction.atomic():
        group = _locked(group_id)
        if group.kind != GroupKind.CALCULATED:
            raise Refused("A manual group is not calculated.")
        recalculation.start(group.pk, version=group.rules_version)
        audit.record("group.recalculate", group, actor=actor)


def recalculate_dated_groups(*, actor: Actor) -> int:
    """Recalculate the groups that ask for dates, as days and months begin at other moments now; how many.

    Counts as a change of their rules, so that a recalculation under way begins anew.
    """
    asked = Group.objects.filter(kind=GroupKind.CALCULATED, rule_uses__rule__type=ValueTypeName.DATE)
    with transaction.atomic():
        groups = list(Group.objects.select_for_update(no_key=True).filter(pk__in=asked.values("pk")).order_by("pk"))
        dated = {group.pk: _dated_rules(group) for group in groups}
        Group.objects.filter(pk__in=dated).update(rules_version=F("rules_version") + 1)
        for group in groups:
            recalculation.start(group.pk, version=group.rules_version + 1, dated=dated[group.pk])
            audit.record("group.recalculate", group, actor=actor)
    return len(groups)


def delete_group(group_id: int, *, actor: Actor) -> None:
    """Delete a group that nothing uses; everyone leaves it, and the log keeps that."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s, %s)", [membership.GROUP_LOCK, group_id])
        group = _locked(group_id)
        membership.remove(group.pk, None, cause=actor.cause)
        audit.record("group.delete", group, before=describe(group), actor=actor)
        try:
            group.delete()
        except ProtectedError as error:
            users = ", ".join(sorted({str(each) for each in error.protected_objects}))
            raise Refused(f"{group.name} is in use by {users}. Take it out there first.") from error


def add_members(group_id: int, profile_ids: Sequence[UUID], *, actor: Actor) -> int:
    """Put profiles into a manual group; how many joined. Those that do not exist are passed over."""
    with transaction.atomic():
        group = _locked_manual(group_id)
        return membership.add(group.pk, profile_ids, cause=actor.cause)


def remove_members(group_id: int, profile_ids: Sequence[UUID], *, actor: Actor) -> int:
    """Take profiles out of a manual group; how many left."""
    with transaction.atomic():
        group = _locked_manual(group_id)
        return membership.remove(group.pk, profile_ids, cause=actor.cause)


def refuse_new_type(rule: ProfilePropertyRule) -> None:
    """A property may change its type only where every group can still ask what it asks; raises Refused."""
    for group in Group.objects.filter(rule_uses__rule=rule).distinct().order_by("name"):
        try:
            check_rules(group.rules)
        except InvalidInput as error:
            raise Refused(f"The group {group.name} could not ask any more what it asks. {error.message}") from error


def describe(group: Group) -> dict[str, Any]:
    """A group for the audit log."""
    return {"name": group.name, "kind": group.kind, "rules": group.rules}


def say_rules(group: Group) -> str:
    """A calculated group's rules in one sentence; what to do when they cannot be read any more."""
    if group.kind != GroupKind.CALCULATED:
        return "People who were added by hand."
    try:
        return say_tree(check_rules(group.rules))
    except InvalidInput as error:
        return error.message


def _follow_dates(node: Node, *, actor: Actor) -> None:
    """Before anything else is locked: keep the values of relative leaves by date from now on."""
    timed = {rule.id for rule in ruleset.load().timed}
    missing = {leaf.rule_id for leaf in node.leaves() if boundaries(leaf)} - timed
    if missing:
        set_timed(sorted(missing), actor=actor)


def _write_uses(group: Group, node: Node) -> None:
    group.rule_uses.all().delete()
    GroupRuleUse.objects.bulk_create(
        [
            GroupRuleUse(
                group=group, rule_id=leaf.rule_id, leaf=leaf.path, swept_until=Now() if boundaries(leaf) else None
            )
            for leaf in node.leaves()
        ]
    )


def _dated_rules(group: Group) -> set[int]:
    """Rules whose dates this group, being fully calculated, has already had filled in."""
    if group.calculated_version != group.rules_version:
        return set()
    return set(group.rule_uses.filter(swept_until__isnull=False).values_list("rule_id", flat=True))


def _locked(group_id: int) -> Group:
    group = Group.objects.select_for_update(no_key=True).filter(pk=group_id).first()
    if group is None:
        raise NotFound("There is no such group. It may have been deleted.")
    return group


def _locked_manual(group_id: int) -> Group:
    group = _locked(group_id)
    if group.kind != GroupKind.MANUAL:
        raise Refused(f"{group.name} is calculated: its members follow from its rules.")
    return group


def _check_name(name: Any) -> str:
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not text or "\0" in text:
        raise _invalid("name", "Give the group a name.")
    if len(text) > MAX_NAME:
        raise _invalid("name", f"A name has at most {MAX_NAME} characters.")
    return text


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={field: message})
