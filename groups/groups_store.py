"""Making, changing and deleting groups. The only writer of `Group` and `GroupRuleUse`, but for the marks of progress.

Every function writes the audit log in its own transaction and checks no roles: doors do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import F, ProtectedError, Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext

from core.accounts import audit, project
from core.accounts.actors import Actor
from core.lib.errors import InvalidInput, NotFound, Refused
from core.ui import notices
from groups import locks, membership, recalculation
from groups.locks import Locked
from groups.models import Group, GroupKind, GroupRuleUse
from groups.reading import mentioned_groups, read_tree, write_tree
from groups.sentence import say_span, say_tree
from groups.tree import AnyLeaf, EventLeaf, GroupLeaf, Leaf, Node
from profiles import ruleset
from profiles.models import ProfilePropertyRule, ValueTypeName
from profiles.rules import follow_updates, set_timed

MAX_NAME = 200
UPDATED_AT = "updated_at"
_DATE_FIELDS = ("created_at", UPDATED_AT)
_GRAPH_LOCK = 0x47520003

# From the group along what it would read, to itself: the shortest such way.
_WAY_BACK = """
with recursive way(path, last) as (
    select array[%s::bigint, read], read from unnest(%s::bigint[]) as read
    union all
    select w.path || u.reads_id, u.reads_id from way w join group_rule_use u on u.group_id = w.last
     where u.reads_id is not null and u.reads_id <> all(w.path[2:])
)
select path from way where last = %s order by cardinality(path) limit 1
"""


def check_rules(rules: Any) -> Node:
    """The tree of these rules as they would be used now; raises InvalidInput with what to mend."""
    known = Group.objects.filter(pk__in=mentioned_groups(rules)).values_list("pk", "name")
    return read_tree(rules, by_key=ruleset.load().by_key, groups=dict(known), region=project.current().phone_region)


def create_group(name: str, *, kind: str, rules: Mapping[str, Any] | None = None, actor: Actor) -> Group:
    """Make a group. A calculated one needs rules, see `groups/tree.py`, and fills in the background."""
    if kind not in GroupKind.values:
        raise _invalid("kind", gettext("A group is manual or calculated."))
    if kind == GroupKind.MANUAL and rules:
        raise _invalid("rules", gettext("A manual group has no rules: people are added to it by hand."))
    name = _check_name(name)
    node = check_rules(rules) if kind == GroupKind.CALCULATED else None
    with transaction.atomic():
        if node is not None:
            _follow_time(node, actor=actor)
            _lock_graph(node)
            _refuse_long_windows(node)
        try:
            with transaction.atomic():
                group = Group.objects.create(name=name, kind=kind, rules=write_tree(rules) if rules else None)
        except IntegrityError as error:
            raise _invalid("name", gettext("There is already a group named %(name)s.") % {"name": name}) from error
        if node is not None:
            _write_uses(group, node)
            recalculation.start(group.pk, version=group.rules_version, cause=actor.cause)
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
            raise _invalid("name", gettext("There is already a group named %(name)s.") % {"name": name}) from error
        audit.record("group.rename", group, before=before, after=describe(group), actor=actor)
    return group


def update_rules(group_id: int, rules: Mapping[str, Any], *, actor: Actor) -> Group:
    """Change what a calculated group asks; its members follow in the background. The same rules change nothing."""
    node = check_rules(rules)
    written = write_tree(rules)
    with transaction.atomic():
        _follow_time(node, actor=actor)
        _lock_graph(node)
        group = _locked(group_id)
        if group.kind != GroupKind.CALCULATED:
            raise Refused(gettext("A manual group has no rules: people are added to it by hand."))
        if group.rules == written:
            return group
        _refuse_cycle(group, node)
        _refuse_long_windows(node)
        before, dated = describe(group), _dated(group)
        group.rules = written
        group.rules_version += 1
        group.save(update_fields=["rules", "rules_version", "updated_at"])
        _write_uses(group, node)
        recalculation.start(group.pk, version=group.rules_version, dated=dated, cause=actor.cause)
        audit.record("group.update_rules", group, before=before, after=describe(group), actor=actor)
    return group


def recalculate_group(group_id: int, *, actor: Actor) -> None:
    """Go through all profiles again, as after a change of rules."""
    with transaction.atomic():
        group = _locked(group_id)
        if group.kind != GroupKind.CALCULATED:
            raise Refused(gettext("A manual group is not calculated."))
        recalculation.start(group.pk, version=group.rules_version, cause=actor.cause)
        audit.record("group.recalculate", group, actor=actor)


def recalculate_dated_groups(*, actor: Actor) -> int:
    """Recalculate the groups that ask for dates, as days and months begin at other moments now; how many."""
    dated = Q(rule_uses__rule__type=ValueTypeName.DATE) | Q(rule_uses__swept_until__isnull=False)
    return _recalculate_all(dated | Q(rule_uses__field__in=_DATE_FIELDS), actor=actor)


def recalculate_groups_of_all_time(*, actor: Actor) -> int:
    """Recalculate the groups that count events over all time, as old events are gone now; how many."""
    return _recalculate_all(Q(rule_uses__event_type__isnull=False, rule_uses__swept_until__isnull=True), actor=actor)


def refuse_short_retention(settings: Mapping[str, Any]) -> None:
    """Events have to be kept as long as any group looks back; raises InvalidInput."""
    days = settings.get("event_retention_days")
    if days is None:
        return
    asking = Group.objects.filter(rule_uses__event_type__isnull=False, rule_uses__swept_until__isnull=False)
    for group in asking.distinct().order_by("name"):
        if max(_windows(check_rules(group.rules)), default=timedelta()) > timedelta(days=days):
            raise _invalid(
                "event_retention_days",
                gettext("The group %(group)s looks further back than %(days)s days.")
                % {"group": group.name, "days": days},
            )


def _recalculate_all(asked: Q, *, actor: Actor) -> int:
    """Counts as a change of their rules, so that a recalculation under way begins anew."""
    found = Group.objects.filter(asked, kind=GroupKind.CALCULATED)
    with transaction.atomic():
        groups = list(Group.objects.select_for_update(no_key=True).filter(pk__in=found.values("pk")).order_by("pk"))
        dated = {group.pk: _dated(group) for group in groups}
        Group.objects.filter(pk__in=dated).update(rules_version=F("rules_version") + 1)
        for group in groups:
            recalculation.start(group.pk, version=group.rules_version + 1, dated=dated[group.pk])
            audit.record("group.recalculate", group, actor=actor)
    return len(groups)


def delete_group(group_id: int, *, actor: Actor) -> None:
    """Delete a group that nothing uses; everyone leaves it, and the log keeps that."""
    with transaction.atomic():
        locked = locks.lock(group_id)
        group = _locked(group_id)
        try:
            with transaction.atomic():
                if locked is not None:
                    membership.remove(group.pk, None, followers=[], now=locked.now, cause=actor.cause)
                audit.record("group.delete", group, before=describe(group), actor=actor)
                group.delete()
                notices.withdraw(recalculation.subject_of(group_id))
        except ProtectedError as error:
            users = ", ".join(sorted({str(each) for each in error.protected_objects}))
            raise Refused(
                gettext("%(group)s is in use by %(users)s. Take it out there first.")
                % {"group": group.name, "users": users}
            ) from error


def add_members(group_id: int, profile_ids: Sequence[UUID], *, actor: Actor) -> int:
    """Put profiles into a manual group; how many joined. Those that do not exist are passed over."""
    with transaction.atomic():
        locked = lock_manual(group_id)
        return membership.add(group_id, profile_ids, followers=locked.followers, now=locked.now, cause=actor.cause)


def remove_members(group_id: int, profile_ids: Sequence[UUID], *, actor: Actor) -> int:
    """Take profiles out of a manual group; how many left."""
    with transaction.atomic():
        locked = lock_manual(group_id)
        return membership.remove(group_id, profile_ids, followers=locked.followers, now=locked.now, cause=actor.cause)


def move_members(
    group_id: int, profile_ids: Sequence[UUID], *, act: str, is_trial: bool = False, actor: Actor
) -> tuple[int, int]:
    """Add, remove or replace the members of a manual group: how many joined and left; `is_trial` changes nothing.

    `act` is add, remove or replace, which makes these profiles and nobody else its members.
    """
    with transaction.atomic():
        locked = lock_manual(group_id)
        given: Any = {"followers": locked.followers, "now": locked.now, "cause": actor.cause}
        match act:
            case "add":
                moved = membership.add(group_id, profile_ids, **given), 0
            case "remove":
                moved = 0, membership.remove(group_id, profile_ids, **given)
            case "replace":
                moved = membership.replace(group_id, profile_ids, **given)
            case _:
                raise _invalid("act", gettext("Say add, remove or replace."))
        if is_trial:
            transaction.set_rollback(True)
    return moved


def copy_group(group_id: int, *, name: str = "", actor: Actor) -> Group:
    """Another group with the same rules, or of a manual one with the same members."""
    with transaction.atomic():
        group = _locked(group_id)
        copied = name or _free_name(group.name)
        if group.kind == GroupKind.CALCULATED:
            return create_group(copied, kind=group.kind, rules=group.rules, actor=actor)
        new = create_group(copied, kind=group.kind, actor=actor)
        locked = lock_manual(new.pk)
        inside = list(group.members.values_list("profile_id", flat=True))
        membership.add(new.pk, inside, followers=locked.followers, now=locked.now, cause=actor.cause)
        return new


def create_groups(given: Sequence[tuple[str, Mapping[str, Any]]], *, actor: Actor) -> list[Group]:
    """Several calculated groups at once, (name, rules) each: all of them, or none and InvalidInput."""
    names = [_check_name(name).lower() for name, _ in given]
    taken = Group.objects.annotate(lower=Lower("name")).filter(lower__in=names).values_list("name", flat=True)
    if taken:
        raise _invalid(
            "name", gettext("There are already groups named %(taken)s.") % {"taken": ", ".join(sorted(taken))}
        )
    if len(set(names)) < len(names):
        raise _invalid("name", gettext("Two of these groups would have the same name: leave {value} in the name."))
    with transaction.atomic():
        return [create_group(name, kind=GroupKind.CALCULATED, rules=rules, actor=actor) for name, rules in given]


def _free_name(name: str) -> str:
    taken = set(Group.objects.filter(name__istartswith=name[: MAX_NAME - 15]).values_list(Lower("name"), flat=True))
    options = (f"{name[: MAX_NAME - 15]} (copy{f' {number}' if number > 1 else ''})" for number in count(1))
    return next(each for each in options if each.lower() not in taken)


def lock_manual(group_id: int) -> Locked:
    """Keep everyone else away from a manual group and those that read it. Raises NotFound, Refused."""
    locked = locks.lock(group_id)
    group = _locked(group_id)
    if group.kind != GroupKind.MANUAL or locked is None:
        raise Refused(gettext("%(group)s is calculated: its members follow from its rules.") % {"group": group.name})
    return locked


def refuse_new_type(rule: ProfilePropertyRule) -> None:
    """A property may change its type only where every group can still ask what it asks; raises Refused."""
    for group in Group.objects.filter(rule_uses__rule=rule).distinct().order_by("name"):
        try:
            check_rules(group.rules)
        except InvalidInput as error:
            raise Refused(
                gettext("The group %(group)s could not ask any more what it asks. %(message)s")
                % {"group": group.name, "message": error.message}
            ) from error


def describe(group: Group) -> dict[str, Any]:
    """A group for the audit log."""
    return {"name": group.name, "kind": group.kind, "rules": group.rules}


def say_rules(group: Group) -> str:
    """A calculated group's rules in one sentence; what to do when they cannot be read any more."""
    if group.kind != GroupKind.CALCULATED:
        return gettext("People who were added by hand.")
    try:
        return say_tree(check_rules(group.rules))
    except InvalidInput as error:
        return error.message


def _follow_time(node: Node, *, actor: Actor) -> None:
    """Before anything else is locked: keep the values of relative leaves by date from now on."""
    moving = [leaf for leaf in node.leaves() if isinstance(leaf, Leaf) and leaf.boundaries]
    rules = ruleset.load()
    missing = {leaf.rule_id for leaf in moving if leaf.rule_id} - {rule.id for rule in rules.timed}
    if missing:
        set_timed(sorted(missing), actor=actor)
    if not rules.follows_updates and any(leaf.key == UPDATED_AT and not leaf.rule_id for leaf in moving):
        follow_updates(actor=actor)


def _lock_graph(node: Node) -> None:
    """One change at a time of which group reads which, so that two of them cannot close a circle together."""
    if node.group_ids:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", [_GRAPH_LOCK])


def _refuse_cycle(group: Group, node: Node) -> None:
    """A group that reads itself, be it by way of others, means nothing."""
    if not node.group_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(_WAY_BACK, [group.pk, sorted(node.group_ids), group.pk])
        row = cursor.fetchone()
    if row is None:
        return
    way = row[0]
    known = dict(Group.objects.filter(pk__in=way).values_list("pk", "name"))
    circle = f" {gettext('reads')} ".join(known.get(each, str(each)) for each in way)
    place = next(leaf.path for leaf in node.leaves() if isinstance(leaf, GroupLeaf) and leaf.group_id == way[1])
    message = gettext("A group cannot follow itself: %(circle)s.") % {"circle": circle}
    raise InvalidInput(message, fields={f"rules.{place}.group": message})


def _refuse_long_windows(node: Node) -> None:
    """Events that are no longer kept cannot be counted."""
    kept = project.current().event_retention_days
    for leaf in node.leaves():
        if isinstance(leaf, EventLeaf) and leaf.within is not None and _window_of(leaf) > timedelta(days=kept):
            message = gettext("Events are kept for %(kept)s days (a setting), so %(span)s cannot be looked back.") % {
                "kept": kept,
                "span": say_span(leaf.within),
            }
            raise InvalidInput(message, fields={f"rules.{leaf.path}.within": message})


def _windows(node: Node) -> list[timedelta]:
    return [_window_of(leaf) for leaf in node.leaves() if isinstance(leaf, EventLeaf) and leaf.within is not None]


def _window_of(leaf: EventLeaf) -> timedelta:
    """How far back an event leaf looks, at the most."""
    if leaf.within is None:
        return timedelta()
    days = {"hours": 1 / 24, "days": 1, "weeks": 7, "months": 31, "quarters": 92, "years": 366}
    return timedelta(days=leaf.within.amount * days[leaf.within.unit])


def _write_uses(group: Group, node: Node) -> None:
    group.rule_uses.all().delete()
    GroupRuleUse.objects.bulk_create([_use_of(group, leaf) for leaf in node.leaves()])


def _use_of(group: Group, leaf: AnyLeaf) -> GroupRuleUse:
    use = GroupRuleUse(group=group, leaf=leaf.path, swept_until=Now() if leaf.boundaries else None)
    match leaf:
        case Leaf():
            use.rule_id, use.field = leaf.rule_id, "" if leaf.rule_id else leaf.key
        case GroupLeaf():
            use.reads_id = leaf.group_id
        case EventLeaf():
            use.event_type = leaf.type
    return use


def _dated(group: Group) -> set[int]:
    """Rules whose dates this group, being fully calculated, has already had filled in; 0 for the last change."""
    if group.calculated_version != group.rules_version:
        return set()
    return recalculation.dates_of(group)


def _locked(group_id: int) -> Group:
    group = Group.objects.select_for_update(no_key=True).filter(pk=group_id).first()
    if group is None:
        raise NotFound(gettext("There is no such group. It may have been deleted."))
    return group


def _check_name(name: Any) -> str:
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not text or "\0" in text:
        raise _invalid("name", gettext("Give the group a name."))
    if len(text) > MAX_NAME:
        raise _invalid("name", gettext("A name has at most %(most)s characters.") % {"most": MAX_NAME})
    return text


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, fields={field: message})
